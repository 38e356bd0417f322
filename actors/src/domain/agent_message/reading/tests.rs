use chrono::TimeZone;

use super::*;

fn fault(body: &str) -> MessageFault {
    read_message(body.as_bytes()).unwrap_err()
}

fn with(field: &str, value: &str) -> String {
    format!(r#"{{"type":"TASK","{field}":{value}}}"#)
}

#[test]
fn the_smallest_message_has_a_type_alone() {
    let fields = read_message(br#"{"type":"TASK"}"#).unwrap();
    let nothing = MessageFields {
        kind: "TASK".into(),
        payload: None,
        id: None,
        to: None,
        from: None,
        context_id: None,
        in_reply_to: None,
        priority: Priority::NORMAL,
        expires_at: None,
        reply_to: None,
        hops: 0,
    };
    assert_eq!(fields, nothing);
    let nulls = br#"{"type":"TASK","payload":null,"id":null,"to":null,"from":null,
        "context_id":null,"in_reply_to":null,"priority":null,"expires_at":null,
        "reply_to":null,"hops":null,"extra":null}"#;
    assert_eq!(read_message(nulls).unwrap(), nothing);
}

#[test]
fn every_field_is_read() {
    let body = r#"{"id":"m-1","type":"T\u0041SK","payload":{"a": [1,2]},"to":"alice","from":"carol",
        "context_id":"issue/7","in_reply_to":17,"priority":"high",
        "expires_at":"2030-01-31T12:00:00+02:00","reply_to":"https://peer.example/inbox","hops":3,
        "$serde_json::private::Number":"x"}"#;
    let fields = read_message(body.as_bytes()).unwrap();
    assert_eq!(&*fields.kind, "TASK");
    assert_eq!(fields.payload, Some(r#"{"a": [1,2]}"#));
    assert_eq!(fields.id.as_deref(), Some("m-1"));
    assert_eq!(fields.to.as_deref(), Some("alice"));
    assert_eq!(fields.from.as_deref(), Some("carol"));
    assert_eq!(fields.context_id, Some(ContextId::new("issue/7")));
    assert_eq!(fields.in_reply_to.as_deref(), Some("17"));
    assert_eq!(fields.priority, Priority::HIGH);
    let expires_at = Utc.with_ymd_and_hms(2030, 1, 31, 10, 0, 0).unwrap();
    assert_eq!(fields.expires_at, Some(expires_at));
    assert_eq!(
        fields.reply_to.as_deref(),
        Some("https://peer.example/inbox")
    );
    assert_eq!(fields.hops, 3);
}

#[test]
fn a_message_without_a_type_is_told_so_in_the_words_of_the_protocol() {
    for body in [
        "{}",
        r#"{"type":null}"#,
        r#"{"type":""}"#,
        r#"{"type":" \n"}"#,
        r#"{"type":5}"#,
        r#"{"type":["TASK"]}"#,
        r#"{"Type":"TASK","payload":{}}"#,
    ] {
        assert_eq!(fault(body), MessageFault::MissingType, "{body}");
    }
    assert_eq!(MessageFault::MissingType.to_string(), "missing type");
    assert_eq!(MessageFault::MissingType.field(), Some("type"));
}

#[test]
fn a_body_that_is_no_object_is_refused_with_what_it_is() {
    for (body, is) in [
        ("null", "null"),
        ("true", "a boolean"),
        ("5", "a number"),
        ("\"type\"", "a string"),
        ("[{\"type\":\"TASK\"}]", "an array"),
    ] {
        assert_eq!(fault(body), MessageFault::NotAnObject(is), "{body}");
    }
    for body in [
        "",
        "{",
        "type=TASK",
        "{\"type\":\"TASK\"} x",
        "{\"type\":\"\\ud800\"}",
        "{\"type\":NaN}",
        "\u{feff}{\"type\":\"TASK\"}",
    ] {
        assert!(matches!(fault(body), MessageFault::NotJson(_)), "{body}");
    }
    let deep = with("payload", &("[".repeat(100_000) + &"]".repeat(100_000)));
    assert!(matches!(fault(&deep), MessageFault::NotJson(_)));
    assert!(read_message(b"{\"type\":\"\xff\"}").is_err());
}

#[test]
fn a_field_that_is_there_twice_is_refused_and_never_guessed() {
    let twice = fault(r#"{"type":"TASK","to":"alice","\u0074o":"bob"}"#);
    assert_eq!(twice, MessageFault::Repeated("to".to_owned()));
    assert!(read_message(br#"{"type":"T","payload":{"a":1,"a":2}}"#).is_ok());
}

#[test]
fn each_wrong_value_is_told_with_its_field_and_what_is_allowed() {
    let long = format!("\"{}\"", "x".repeat(MAX_NAME + 1));
    for (field, value) in [
        ("id", "\"\""),
        ("id", "\" \""),
        ("id", "\"a\\nb\""),
        ("id", "\"a\\u0000\""),
        ("id", "true"),
        ("id", &long),
        ("to", "7"),
        ("to", "[\"alice\",\"bob\"]"),
        ("from", "{}"),
        ("context_id", "\"a\\tb\""),
        ("in_reply_to", "[]"),
        ("priority", "10"),
        ("priority", "-1"),
        ("priority", "1.5"),
        ("priority", "\"urgent\""),
        ("priority", "\"5\""),
        ("expires_at", "\"tomorrow\""),
        ("expires_at", "1893456000"),
        ("expires_at", "\"2030-01-31 12:00\""),
        ("reply_to", "{}"),
        ("hops", "-1"),
        ("hops", "1.0"),
        ("hops", "\"3\""),
        ("hops", "1e1"),
    ] {
        let fault = fault(&with(field, value));
        assert_eq!(fault.field(), Some(field), "{field}: {value}");
        let words = fault.to_string();
        assert!(words.starts_with(&format!("`{field}` must be ")), "{words}");
        assert!(words.len() < 300 && !words.contains('\n'), "{words}");
    }
    assert_eq!(
        fault(&with("priority", "\"urgent\"")).to_string(),
        "`priority` must be `low`, `normal`, `high` or an integer from 0 to 9, got `\"urgent\"`"
    );
    assert_eq!(
        fault(&with("to", "[\"a\\n\",\n\"\u{202e}b\"]")).to_string(),
        "`to` must be a string of 1 to 255 bytes without control characters, got \
         `[\"a\\n\",\\n\"\\u{202e}b\"]`"
    );
    let kind = fault(&format!(r#"{{"type":{long}}}"#));
    assert_eq!(kind.field(), Some("type"));
}

#[test]
fn numbers_are_ids_as_they_are_written_and_hops_never_wrap() {
    let body = r#"{"type":"T","id":12345678901234567890123,"priority":0,"hops":4294967296}"#;
    let fields = read_message(body.as_bytes()).unwrap();
    assert_eq!(fields.id.as_deref(), Some("12345678901234567890123"));
    assert_eq!(fields.priority.level(), 0);
    assert_eq!(fields.hops, u32::MAX);
}

#[test]
fn any_payload_is_one() {
    for payload in ["{}", "[]", "\"text\"", "5", "false", "\"\\u0000\""] {
        let body = with("payload", payload);
        let fields = read_message(body.as_bytes()).unwrap();
        assert_eq!(fields.payload, Some(payload));
    }
}
