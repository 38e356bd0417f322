use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn accepts(body: &[u8]) -> bool {
    read_request(body, HeaderHints::default()).is_ok()
}

fn facts(body: &str) -> RequestFacts {
    read_request(body.as_bytes(), HeaderHints::default()).unwrap()
}

#[test]
fn what_is_not_json_is_refused_without_an_echo() {
    let refused: &[&[u8]] = &[
        b"",
        b" ",
        b"{",
        b"\xEF\xBB\xBF{}",
        b"\xFF\xFE{\0}\0",
        b"{\"a\":\"\\ud800\"}",
        b"{\"a\":\"\\udc00\\ud800\"}",
        b"{\"a\":\"\\ud800x\"}",
        b"{\"a\":\"\\u12g4\"}",
        b"{\"a\":NaN}",
        b"[Infinity]",
        b"[-Infinity]",
        b"{} x",
        b"{}{}",
        b"{\"a\":1,}",
        b"[1,]",
        b"[01]",
        b"[1.]",
        b"[1e]",
        b"[+1]",
        b"{'a':1}",
        b"{a:1}",
        b"\"\t\"",
        b"\"\\x\"",
        b"\"abc",
        b"[1 2]",
        b"{\"a\" 1}",
        b"nul",
        b"\"\xFF\"",
    ];
    for body in refused {
        assert!(!accepts(body), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn an_error_tells_the_place_and_nothing_else() {
    let error = read_request(b"{\n \"secret\": x}", HeaderHints::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "invalid json at line 2 column 12: expected value"
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(accepts(nested(127).as_bytes()));
    assert!(!accepts(nested(128).as_bytes()));
    assert!(!accepts("[".repeat(5_000_000).as_bytes()));
    assert!(!accepts("{\"a\":".repeat(1_000_000).as_bytes()));
}

#[test]
fn any_json_value_is_a_request() {
    for body in [
        "null",
        "\"text\"",
        "[1]",
        "3",
        "true",
        " {} ",
        "{\"messages\":{}}",
    ] {
        assert_eq!(facts(body), RequestFacts::default(), "{body}");
    }
}

#[test]
fn the_shape_of_a_request_is_read() {
    let read = facts(r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#);
    assert_eq!(read.model.as_deref(), Some("m"));
    assert!(read.stream && read.include_usage);
    let other = facts(r#"{"model":5,"stream":"true","stream_options":[1]}"#);
    assert_eq!(other, RequestFacts::default());
}

#[test]
fn of_a_repeated_key_the_last_one_counts() {
    assert_eq!(
        facts(r#"{"model":"a","model":"b"}"#).model.as_deref(),
        Some("b")
    );
    assert_eq!(
        facts(r#"{"model":"a","mod\u0065l":"b"}"#).model.as_deref(),
        Some("b")
    );
    assert_eq!(facts(r#"{"model":"a","model":1}"#).model, None);
}

#[test]
fn magic_keys_of_the_json_library_are_plain_keys() {
    for key in [
        "$serde_json::private::Number",
        "$serde_json::private::RawValue",
    ] {
        for value in ["\"1\"", "1", "\"{\"", "{}"] {
            let body = format!("{{\"{key}\":{value},\"model\":\"m\"}}");
            assert_eq!(facts(&body).model.as_deref(), Some("m"), "{body}");
        }
    }
}

#[test]
fn a_tool_loop_adds_what_follows_the_last_answer() {
    let body = br#"{"messages":[{"role":"user"},{"role":"assistant"}, {"role":"tool","n":1.0} ,{"role":"user"}]}"#;
    assert_eq!(
        new_tool_messages(body),
        r#"[{"role":"tool","n":1.0},{"role":"user"}]"#
    );
    assert_eq!(new_tool_messages(b"not json"), "[]");
    assert_eq!(new_tool_messages(b"[]"), "[]");
}

/// JSON-like text: valid pieces put together at random, so that many are nearly valid.
fn json_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\n\"",
        "\\",
        "\\u",
        "\\ud83d",
        "\\ude00",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "0",
        "-",
        "1",
        ".",
        "e",
        "E+",
        "12.5e3",
        "-0",
        "true",
        "null",
        "false",
        "nul",
        " ",
        "\n",
        "\t",
        "\u{1}",
        "é",
        "\"é⟦\"",
        "NaN",
        "{\"a\":1}",
        "[1,\"x\"]",
        "\"long plain text over eight bytes\"",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nearly_json_is_judged_as_by_the_library(text in json_like()) {
        prop_assert_eq!(accepts(text.as_bytes()), serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn broken_json_is_judged_as_by_the_library(
        at in 0usize..120, byte in any::<u8>(),
    ) {
        let mut body = br#"{"model":"m","n":[-1.5e3,0,true],"messages":[{"role":"user","content":"h\u00e9\ud83d\ude00 \n there"}]}"#.to_vec();
        let place = at % body.len();
        body[place] = byte;
        prop_assert_eq!(accepts(&body), serde_json::from_slice::<Value>(&body).is_ok());
        body.truncate(place);
        prop_assert_eq!(accepts(&body), serde_json::from_slice::<Value>(&body).is_ok());
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(accepts(&body), serde_json::from_slice::<Value>(&body).is_ok());
    }

    #[test]
    fn any_text_survives_escaping(text in any::<String>()) {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]});
        let prompt = facts(&body.to_string()).prompt;
        if !text.starts_with("<<<BEGIN") && !text.is_empty() {
            prop_assert_eq!(prompt.as_deref(), Some(text.as_str()));
        }
    }
}
