//! The steps that the demo tells.

use super::*;
use crate::cli::client::tests::{Seen, json_answer, server};

const TURN: &str = "0190a0b0-0000-7000-8000-000000000001";

/// What a service answers whose turn does all that a turn can do.
fn told(request: &Seen) -> String {
    if request.line == format!("GET /turns/{TURN}/events HTTP/1.1") {
        let events = [
            ("started", r#"{"pid":4711}"#),
            ("session", r#"{"cli_session":"s"}"#),
            ("said", r#"{"text":"reading"}"#),
            ("said", r#"{"text":"\nwriting\u001b"}"#),
            ("tool", r#"{"name":"ls"}"#),
            ("trouble", r#"{"text":"slow"}"#),
            (
                "called_back",
                r#"{"message":"m2","type":"DONE","to":"key:run"}"#,
            ),
            ("exited", r#"{"state":"done","exit_code":0,"failure":null}"#),
        ]
        .map(|(name, data)| format!("event: {name}\nid: 1\ndata: {data}\n\n"))
        .concat();
        return format!("200 OK\r\nConnection: close\r\n\r\n{events}");
    }
    let path = request.line.strip_suffix(" HTTP/1.1").unwrap();
    let answer = match path {
        "POST /message" => json!({"status": "received", "id": "m1"}),
        "GET /agents/demo/turns?limit=1" => json!({"turns": [{"id": TURN}]}),
        "GET /messages/m1" => json!({"state": "answered", "callbacks": [{"id": "m2"}]}),
        "GET /messages/m2" => json!({"type": "DONE", "body": {"payload": {"text": "Hello!"}}}),
        other => panic!("{other}"),
    };
    json_answer("200 OK", &answer)
}

#[test]
fn the_way_of_a_message_is_told_step_by_step() {
    let (endpoint, _requests) = server(Box::new(told));
    let mut output = Vec::new();
    let client = Client::at(&endpoint, "k").unwrap();
    block_on(async {
        let log = Log::new(&mut output, Paint { colours: false });
        follow(&client, log).await
    })
    .unwrap();
    let output = String::from_utf8(output).unwrap();
    let steps: Vec<_> = output
        .lines()
        .map(|line| line.split_once(" s  ").unwrap().1)
        .collect();
    assert!(steps[0].starts_with("message to `demo`"), "{output}");
    assert!(steps[1].starts_with("received in "), "{output}");
    assert_eq!(
        steps[2..],
        [
            "turn started (pid 4711)",
            "agent: reading",
            "agent: writing\u{fffd}",
            "tool: ls",
            "trouble: slow",
            "it sends DONE by /send: kept",
            "turn ended: done",
            "answer of type DONE: Hello!",
            "the message is `answered`",
        ]
    );
}

#[test]
fn the_configuration_survives_odd_paths() {
    let text = configuration(
        Path::new("/tmp/a \"b\""),
        Path::new("/opt/it's here/postroom"),
    );
    let read: toml::Table = text.parse().unwrap();
    assert_eq!(
        read["mailbox"]["inbox"].as_str(),
        Some("/tmp/a \"b\"/inbox")
    );
    assert_eq!(
        read["agents"]["demo"]["cli"].as_str(),
        Some(r"'/opt/it'\''s here/postroom' demo-agent")
    );
}
