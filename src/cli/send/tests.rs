use clap::Parser;
use serde_json::json;

use super::*;
use crate::cli::{
    Cli, Command,
    client::tests::{Seen, home, json_answer, server},
    tests::{run_alone, world},
};

const SENT: &str = "01a1fded8bd875c6b4c8760927de8a70";
const ANSWER: &str = "01a1fded8bd875c6b4c8760927de8a71";

fn args(arguments: &[&str]) -> Box<SendArgs> {
    let arguments = ["postroom", "send"].iter().chain(arguments);
    match Cli::try_parse_from(arguments).unwrap().command {
        Command::Send(args) => args,
        _ => panic!("another verb"),
    }
}

fn body_of(arguments: &[&str], input: &str) -> anyhow::Result<Value> {
    let root = tempfile::TempDir::new().unwrap();
    body(&args(arguments), &world(&root), &mut input.as_bytes())
}

#[test]
fn what_is_written_becomes_the_body() {
    for (arguments, input, expected) in [
        (
            &["alice", "water", "the plants"][..],
            "",
            json!({"type": "TASK", "to": "alice", "payload": {"text": "water the plants"}}),
        ),
        (
            &["office/bob", "--type", "PING"],
            "",
            json!({"type": "PING", "to": "office/bob", "payload": {}}),
        ),
        (
            &["alice", "--payload", "-"],
            "{\"n\": 1}",
            json!({"type": "TASK", "to": "alice", "payload": {"n": 1}}),
        ),
        (
            &[
                "alice",
                "hi",
                "--id",
                "i",
                "--context",
                "c",
                "--in-reply-to",
                "r",
                "--priority",
                "high",
                "--expires-in",
                "1h",
            ],
            "",
            json!({"type": "TASK", "to": "alice", "payload": {"text": "hi"}, "id": "i",
                "context_id": "c", "in_reply_to": "r", "priority": "high",
                "expires_at": "1970-01-01T01:00:00.000Z"}),
        ),
        (
            &["alice", "--payload", "{\"a\": [2]}", "--priority", "0"],
            "",
            json!({"type": "TASK", "to": "alice", "payload": {"a": [2]}, "priority": 0}),
        ),
    ] {
        assert_eq!(body_of(arguments, input).unwrap(), expected);
    }
}

#[test]
fn a_payload_that_is_no_json_is_wrong_usage() {
    let error = body_of(&["alice", "--payload", "{"], "").unwrap_err();
    assert!(error.to_string().contains("not JSON"), "{error}");
    assert_eq!(crate::cli::exit_code(&error), exit::USAGE);
    for wrong in [
        &["alice"][..],
        &["alice", "text", "--payload", "{}"],
        &["alice", "text", "--priority", "10"],
        &["alice", "text", "--priority", "urgent"],
        &["alice", "text", "--expires-in", "0s"],
        &["alice", "text", "--timeout", "later"],
        &[],
    ] {
        let arguments: Vec<_> = ["postroom", "send"].iter().chain(wrong).copied().collect();
        assert_eq!(run_alone(&arguments).code, exit::USAGE, "{wrong:?}");
    }
}

fn message(state: &str, direction: &str, callbacks: &Value) -> Value {
    json!({"id": SENT, "direction": direction, "origin": "message", "state": state, "type": "TASK",
        "from": "key:run", "to": "agent:alice", "received_at": "2026-11-21T07:05:09Z",
        "callbacks": callbacks, "body": {}})
}

/// A service whose message passes through these views; the last one stays.
fn service(views: Vec<Value>) -> Box<dyn FnMut(&Seen) -> String + Send> {
    let mut looks = 0;
    Box::new(move |request| {
        let answer = match request.line.trim_end_matches(" HTTP/1.1") {
            "POST /send" => json!({"status": "sent", "id": SENT}),
            line if line == format!("GET /messages/{SENT}") => {
                let view = views.get(looks).or(views.last()).cloned().unwrap();
                looks += 1;
                view
            }
            line if line == format!("GET /messages/{ANSWER}") => {
                let mut answer = callback();
                answer["body"] = json!({"type": "STATUS", "payload": {"text": "half\nway"}});
                answer
            }
            line => panic!("{line}"),
        };
        json_answer("200 OK", &answer)
    })
}

fn callback() -> Value {
    json!({"id": ANSWER, "direction": "out", "origin": "message", "state": "held",
        "type": "STATUS", "from": "agent:alice", "to": "key:run",
        "received_at": "2026-11-21T07:05:19Z"})
}

fn sent(views: Vec<Value>, arguments: &[&str]) -> (u8, String) {
    let (endpoint, _requests) = server(service(views));
    let home = home(&endpoint);
    let base_dir = ["--base-dir", home.path().to_str().unwrap()];
    let arguments: Vec<_> = ["postroom", "send", "alice", "hi"]
        .iter()
        .chain(arguments)
        .chain(&base_dir)
        .copied()
        .collect();
    let ran = run_alone(&arguments);
    (ran.code, ran.output + &ran.error)
}

#[test]
fn a_message_that_is_sent_tells_its_id() {
    assert_eq!(sent(Vec::new(), &[]), (exit::OK, format!("sent {SENT}\n")));
}

#[test]
fn answers_are_printed_once_each_until_the_turn_ends() {
    let views = vec![
        message("queued", "in", &json!([])),
        message("running", "in", &json!([callback()])),
        message("done", "in", &json!([callback()])),
    ];
    assert_eq!(
        sent(views.clone(), &["--answer"]),
        (
            exit::OK,
            format!("sent {SENT}\nSTATUS from agent:alice:\nhalf\nway\n")
        )
    );
    let (code, told) = sent(views, &["--answer", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["status"]), (exit::OK, &json!("sent")));
    assert_eq!(told["message"]["state"], "done");
    assert_eq!(told["answers"][0]["body"]["payload"]["text"], "half\nway");
}

#[test]
fn a_turn_that_ends_without_an_answer_is_no_success() {
    let silent = vec![message("done", "in", &json!([]))];
    let (code, told) = sent(silent, &["--answer"]);
    assert_eq!(code, exit::FAILURE);
    assert!(told.ends_with("ended without an answer\n"), "{told}");
    let mut failed = message("failed", "in", &json!([]));
    failed["failure"] = json!({"code": "turn_failed", "message": "no credit"});
    let (code, told) = sent(vec![failed], &["--answer"]);
    assert_eq!(code, exit::FAILURE);
    assert!(told.ends_with("is failed: no credit\n"), "{told}");
}

#[test]
fn a_delivery_is_waited_for_and_its_end_is_told() {
    let waiting = || message("waiting", "out", &json!([]));
    let arrived = vec![waiting(), message("delivered", "out", &json!([]))];
    assert_eq!(
        sent(arrived, &["--delivered"]),
        (exit::OK, format!("sent {SENT}\ndelivered\n"))
    );
    let at_an_agent = vec![message("queued", "in", &json!([]))];
    assert_eq!(sent(at_an_agent, &["--delivered"]).0, exit::OK);
    let mut dead = message("dead", "out", &json!([]));
    dead["delivery"] =
        json!({"state": "dead", "reason": {"code": "refused", "message": "status 403"}});
    let (code, told) = sent(vec![waiting(), dead], &["--delivered"]);
    assert_eq!(code, exit::FAILURE);
    assert!(told.ends_with("is dead: status 403\n"), "{told}");
    let (code, told) = sent(vec![waiting()], &["--delivered", "--timeout", "250ms"]);
    assert_eq!(code, exit::TEMPORARY);
    assert!(told.contains("is not delivered after"), "{told}");
}
