//! Bodies.

use super::rows::{Row, framed, post};
use crate::support::broker::Broker;

/// A number that no machine type holds.
pub(crate) fn long_number() -> String {
    "1234567890".repeat(40)
}

/// Each as the body of a chat request.
pub(crate) fn rows(broker: &Broker) -> Vec<Row> {
    let mut rows = refused(broker);
    rows.extend(accepted(broker));
    rows.extend(framing(broker));
    rows
}

fn refused(broker: &Broker) -> Vec<Row> {
    let utf16: Vec<u8> = "{\"a\": 1}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("empty body", Vec::new()),
        ("only white space", b" \r\n\t ".to_vec()),
        ("cut off", b"{\"messages\": [{\"role\"".to_vec()),
        ("byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("UTF-16", utf16),
        ("overlong UTF-8", b"\"\xc0\xaf\"".to_vec()),
        ("surrogate in UTF-8", b"\"\xed\xa0\x80\"".to_vec()),
        ("lone high surrogate", br#""\ud800""#.to_vec()),
        ("lone low surrogate", br#""\udc00 x""#.to_vec()),
        ("NaN", b"{\"n\": NaN}".to_vec()),
        ("negative Infinity", b"{\"n\": -Infinity}".to_vec()),
        ("hexadecimal", b"{\"n\": 0x10}".to_vec()),
        ("plus sign", b"{\"n\": +1}".to_vec()),
        ("bare fraction", b"{\"n\": .5}".to_vec()),
        ("leading zero", b"{\"n\": 007}".to_vec()),
        ("comment", b"{} // done".to_vec()),
        ("trailing comma", b"{\"a\": 1,}".to_vec()),
        ("single quotes", b"{'a': 1}".to_vec()),
        ("raw newline in a string", b"{\"a\": \"x\ny\"}".to_vec()),
        ("raw NUL in a string", b"{\"a\": \"x\0y\"}".to_vec()),
        ("NUL after the end", b"{}\0".to_vec()),
        ("garbage after the end", b"{}]".to_vec()),
        ("two documents", b"{\"a\": 1}{\"b\": 2}".to_vec()),
        (
            "two lines of documents",
            b"{\"a\": 1}\n{\"b\": 2}\n".to_vec(),
        ),
        ("form data", b"a=1&b=2".to_vec()),
        ("128 levels", deep(128)),
        ("100 000 levels", deep(100_000)),
        ("100 000 levels that never close", b"[".repeat(100_000)),
        ("100 000 nested objects", b"{\"a\":".repeat(100_000)),
    ];
    bodies
        .into_iter()
        .map(|(name, body)| Row::answered(name, post(broker, "", body), 400))
        .collect()
}

fn accepted(broker: &Broker) -> Vec<Row> {
    let number = format!("{{\"max_tokens\": {}}}", long_number());
    let twice = concat!(
        r#"{"messages": [{"role": "user", "content": "first"}], "#,
        r#""messages": [{"role": "user", "content": "second"}]}"#
    );
    let levels = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let bodies = [
        ("127 levels", levels.as_str()),
        ("400 digits", number.as_str()),
        ("the same key twice", twice),
        ("NUL as an escape", r#"{"text": "a\u0000b"}"#),
        ("false", "false"),
        ("an exponent beyond any float", "{\"n\": 1e999999}"),
        ("minus zero", "{\"n\": -0}"),
        ("an empty object", "{}"),
        ("an empty key", "{\"\": 1}"),
        ("messages that are a number", "{\"messages\": 5}"),
        (
            "a role that is none",
            r#"{"messages": [{"role": "root", "content": {}}]}"#,
        ),
        ("surrogates in pairs", r#""\ud83d\ude00""#),
    ];
    bodies
        .into_iter()
        .map(|(name, body)| Row::answered(name, post(broker, "", body), 200).and_kept())
        .collect()
}

fn framing(broker: &Broker) -> Vec<Row> {
    let mut rows = chunks(broker);
    rows.extend(lengths(broker));
    rows
}

fn chunks(broker: &Broker) -> Vec<Row> {
    let chunked = |rest: &str| framed(broker, "Transfer-Encoding: chunked\r\n", rest);
    let extension =
        |size: usize| chunked(&format!("2;x={}\r\n{{}}\r\n0\r\n\r\n", "y".repeat(size)));
    let tiny = format!("{}0\r\n\r\n", "1\r\n1\r\n".repeat(20_000));
    let mut rows: Vec<Row> = [
        ("a chunk size beyond 64 bits", "ffffffffffffffff1\r\n{}"),
        ("a chunk size that is no number", "zz\r\n{}\r\n0\r\n\r\n"),
        ("a negative chunk size", "-2\r\n{}\r\n0\r\n\r\n"),
        ("a chunk longer than it says", "1\r\n{}\r\n0\r\n\r\n"),
    ]
    .into_iter()
    .map(|(name, rest)| Row::closed(name, chunked(rest), 400))
    .collect();
    rows.extend([
        Row::answered("20 000 chunks of a byte", chunked(&tiny), 200).and_kept(),
        Row::answered("a short chunk extension", extension(10), 200).and_kept(),
        Row::answered("a chunk extension of 100 KB", extension(100_000), 200).and_kept(),
        Row::closed(
            "a chunk size of the largest number",
            chunked("ffffffffffffffff\r\n{}"),
            408,
        ),
    ]);
    rows
}

fn lengths(broker: &Broker) -> Vec<Row> {
    let mut rows: Vec<Row> = [
        (
            "a length and chunks",
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "the same length twice",
            "Content-Length: 2\r\nContent-Length: 2\r\n",
        ),
        ("a length with a sign", "Content-Length: +2\r\n"),
        ("a negative length", "Content-Length: -1\r\n"),
        ("a hexadecimal length", "Content-Length: 0x2\r\n"),
        ("a list of lengths", "Content-Length: 2,2\r\n"),
        ("a length as a power", "Content-Length: 2e0\r\n"),
        ("an empty length", "Content-Length: \r\n"),
        (
            "a length beyond 64 bits",
            "Content-Length: 99999999999999999999\r\n",
        ),
        (
            "an encoding nobody knows",
            "Transfer-Encoding: xchunked\r\n",
        ),
        (
            "chunked, then identity",
            "Transfer-Encoding: chunked, identity\r\n",
        ),
        ("identity alone", "Transfer-Encoding: identity\r\n"),
        (
            "a space before the colon",
            "Transfer-Encoding : chunked\r\n",
        ),
    ]
    .into_iter()
    .map(|(name, headers)| Row::closed(name, framed(broker, headers, "{}"), 400))
    .collect();
    let too_small = framed(broker, "Content-Length: 2\r\n", "{} GET");
    rows.push(Row::closed_after("a length that is too small", too_small, 200, 2).and_kept());
    rows
}
