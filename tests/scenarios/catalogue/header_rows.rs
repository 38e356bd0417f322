//! Headers, and the credentials among them.

use super::rows::{Row, framed, post};
use crate::support::broker::{Broker, KEY};

/// What a line of a log would look like, had its writer let a value in as it came.
const FORGED: &str = "2026-01-01T00:00:00Z ERROR an operator logged in";

/// Each in front of a small body that would be accepted.
pub(crate) fn rows(broker: &Broker) -> Vec<Row> {
    let mut rows = shapes(broker);
    rows.extend(credentials(broker));
    rows.extend(agents(broker));
    rows
}

fn shapes(broker: &Broker) -> Vec<Row> {
    let many = |count: usize| "X-Many: 1\r\n".repeat(count);
    // `Host`, `Authorization` and `Content-Length` are there already.
    let (most, one_more) = (many(93), many(94));
    let large = format!("X-Large: {}\r\n", "y".repeat(140 << 10));
    let agent = format!("User-Agent: curl\n{FORGED}\r\n");
    let with = |headers: &str| post(broker, headers, "{}");
    vec![
        Row::answered("96 headers", with(&most), 200).and_kept(),
        Row::closed("97 headers", with(&one_more), 431),
        Row::closed("a header of 140 KB", with(&large), 431),
        Row::closed("a folded header", with("X-Folded: a\r\n b\r\n"), 400),
        Row::closed("a NUL in a header", with("X-Nul: a\0b\r\n"), 400),
        Row::closed("a bare CR in a header", with("X-Cr: a\rb\r\n"), 400),
        Row::closed("a header without a name", with(": a\r\n"), 400),
        Row::closed("a header without a colon", with("X-None\r\n"), 400),
        Row::closed("a space in a header's name", with("X Y: a\r\n"), 400),
        Row::answered(
            "bytes beyond ASCII in a header",
            with("User-Agent: ä\u{202e}\r\n"),
            200,
        )
        .and_kept(),
        Row::closed("two hosts", with("Host: another.example\r\n"), 400),
        Row::answered("an expectation nobody knows", with("Expect: foo\r\n"), 200).and_kept(),
        // A line may end with LF alone: what follows is a header of its own.
        Row::answered("a log line after the user agent", with(&agent), 200).and_kept(),
        Row::answered("lines that end with LF alone", line_feeds(broker), 200).and_kept(),
        Row::closed("no host", without_host(broker), 400),
    ]
}

fn line_feeds(broker: &Broker) -> Vec<u8> {
    let request = String::from_utf8(post(broker, "", "{}")).unwrap();
    request.replace("\r\n", "\n").into_bytes()
}

fn without_host(broker: &Broker) -> Vec<u8> {
    let request = String::from_utf8(post(broker, "", "{}")).unwrap();
    let host = format!("Host: {}\r\n", broker.address());
    request.replace(&host, "").into_bytes()
}

fn credentials(broker: &Broker) -> Vec<Row> {
    let mut almost = KEY.to_owned();
    almost.pop();
    let right = format!("Authorization: Bearer {KEY}\r\n");
    [
        ("no key", String::new()),
        ("a scheme without a key", "Authorization: Bearer\r\n".to_owned()),
        ("another scheme", format!("Authorization: Basic {KEY}\r\n")),
        ("a key less its last byte", format!("Authorization: Bearer {almost}\r\n")),
        ("a key and one more byte", format!("Authorization: Bearer {KEY}x\r\n")),
        ("a key in capitals", format!("Authorization: Bearer {}\r\n", KEY.to_uppercase())),
        ("a key of bytes beyond ASCII", "Authorization: Bearer \u{fc}\r\n".to_owned()),
        ("a wrong key before the right one", format!("Authorization: Bearer wrong\r\n{right}")),
        ("a right key before a wrong one", format!("{right}Authorization: Bearer wrong\r\n")),
    ]
    .into_iter()
    .enumerate()
    .map(|(number, (name, headers))| {
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\nX-Forwarded-For: 192.0.2.{number}\r\n{headers}Content-Length: 2\r\n\r\n{{}}",
            broker.address()
        );
        Row::closed(name, request, 401)
    })
    .collect()
}

fn agents(broker: &Broker) -> Vec<Row> {
    let long = "y".repeat(10_000);
    let mut rows: Vec<Row> = [
        ("an agent above its folder", "../../etc/passwd"),
        ("an agent of two dots", ".."),
        ("an agent of one dot", "."),
        ("an agent that is a home", "~"),
        ("an agent that is a flag", "-rf"),
        ("an agent with a slash", "a/b"),
        ("an agent with a backslash", "a\\b"),
        ("an agent with an escaped slash", "a%2fb"),
        ("an agent that is a device", "CON"),
        ("an agent with a dot at its end", "a."),
        ("an agent of 10 KB", long.as_str()),
    ]
    .into_iter()
    .map(|(name, agent)| {
        let header = format!("X-OpenClaw-Agent-Id: {agent}\r\n");
        Row::answered(name, post(broker, &header, "{}"), 404)
    })
    .collect();
    let forged = format!("X-OpenClaw-Agent-Id: a\n{FORGED}\r\nContent-Length: 2\r\n");
    let escaped = format!("X-OpenClaw-Agent-Id: a\\n{FORGED}\r\n");
    let unknown = ["m\u{430}nager", "\u{202e}reganam", "manager\u{200b}"].map(|agent| {
        let header = format!("X-OpenClaw-Agent-Id: {agent}\r\n");
        let name = "an agent in bytes beyond ASCII";
        Row::answered(name, post(broker, &header, "{}"), 404)
    });
    rows.extend(unknown);
    rows.extend([
        Row::answered(
            "an agent of no letters",
            post(broker, "X-OpenClaw-Agent-Id: \r\n", "{}"),
            200,
        )
        .and_kept(),
        Row::answered(
            "a log line after an agent",
            framed(broker, &forged, "{}"),
            404,
        ),
        Row::answered(
            "an escaped log line after an agent",
            post(broker, &escaped, "{}"),
            404,
        ),
    ]);
    rows
}
