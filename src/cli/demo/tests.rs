//! The steps that the demo tells.

use super::*;
use crate::cli::client::tests::{Seen, json_answer, server};

const TURN: &str = "0190a0b0-0000-7000-8000-000000000001";

/// What a service answers whose turn does all that a turn can do.
fn told(request: &Seen) -> String {
    if request.line.starts_with("POST /v1/chat/completions") {
        let events = [
            r#"{"choices":[{"delta":{"content":"Hello!\n"}}]}"#,
            "[DONE]",
        ]
        .map(|event| format!("data: {event}\n\n"))
        .concat();
        return format!("200 OK\r\nConnection: close\r\n\r\n{events}");
    }
    if request.line == format!("GET /turns/{TURN}/events HTTP/1.1") {
        let events = [
            ("started", r#"{"pid":4711}"#),
            ("session", r#"{"cli_session":"s"}"#),
            ("said", r#"{"text":"reading"}"#),
            ("said", r#"{"text":"\nwriting\u001b"}"#),
            ("tool", r#"{"name":"ls"}"#),
            ("trouble", r#"{"text":"slow"}"#),
            ("exited", r#"{"state":"done","exit_code":0,"failure":null}"#),
        ]
        .map(|(name, data)| format!("event: {name}\nid: 1\ndata: {data}\n\n"))
        .concat();
        return format!("200 OK\r\nConnection: close\r\n\r\n{events}");
    }
    let answer = if request.line.starts_with("GET /agents/demo/turns") {
        json!({"turns": [{"id": TURN}]})
    } else {
        assert_eq!(request.line, format!("GET /turns/{TURN} HTTP/1.1"));
        json!({"id": TURN, "callbacks": 1})
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
    assert!(steps[1].starts_with("accepted in "), "{output}");
    let callback = "its callback is received and kept";
    let when = steps.iter().position(|step| *step == callback);
    assert!(when.is_some_and(|at| (2..8).contains(&at)), "{output}");
    let others: Vec<_> = steps.iter().filter(|step| **step != callback).collect();
    assert_eq!(
        others[2..],
        [
            &"turn started (pid 4711)",
            &"agent: reading",
            &"agent: writing\u{fffd}",
            &"tool: ls",
            &"trouble: slow",
            &"turn ended: done",
            &"answer, 1 lines: … Hello!",
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
