//! Conversations with a small server.

use serde_json::json;

use super::*;
use crate::cli::client::tests::{Seen, home, json_answer, server};

fn events(events: &[&str]) -> String {
    let events: Vec<_> = events
        .iter()
        .map(|event| {
            format!(
                "data: {event}

"
            )
        })
        .collect();
    let events = events.concat();
    format!("200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\n\r\n{events}")
}

const ID: &str = "0190a0b0-0000-7000-8000-0000000000aa";

fn hello() -> String {
    events(&[
        r#"{"id":"chatcmpl-0190a0b00000700080000000000000aa","choices":[{"delta":{"role":"assistant"}}]}"#,
        r#"{"id":"x","choices":[{"delta":{"content":"Hel"}}]}"#,
        r#"{"id":"x","choices":[{"delta":{"content":"lo"}}]}"#,
        r#"{"id":"x","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        "[DONE]",
    ])
}

struct Talked {
    code: u8,
    output: String,
    requests: Vec<Seen>,
}

/// Lets a script of lines talk to a server.
fn talk(
    input: &'static str,
    context: Option<&str>,
    interrupts: mpsc::Receiver<()>,
    answer: impl FnMut(&Seen) -> String + Send + 'static,
) -> Talked {
    let (endpoint, requests) = server(Box::new(answer));
    let home = home(&endpoint);
    let mut output = Vec::new();
    let code = block_on(async {
        let mut conversation = Conversation {
            client: Client::of_home(home.path())?,
            agent: AgentId::parse("manager")?,
            session: "connect:ann:manager".to_owned(),
            context: context.map(|folder| super::context(Path::new(folder))),
            lines: lines(input.as_bytes()),
            interrupts,
            is_typed: false,
            output: &mut output,
        };
        conversation.talk().await
    });
    Talked {
        code: code.unwrap(),
        output: String::from_utf8(output).unwrap(),
        requests: requests.try_iter().collect(),
    }
}

/// Ctrl-C is never pressed; the sender must be kept.
fn no_interrupts() -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
    mpsc::channel(1)
}

fn content(request: &Seen) -> String {
    let body: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body["model"], "manager");
    assert_eq!(body["stream"], true);
    body["messages"][0]["content"].as_str().unwrap().to_owned()
}

#[test]
fn each_line_is_a_message_of_one_session_and_exit_ends() {
    let (_keep, interrupts) = no_interrupts();
    let talked = talk(
        "first\n\n  second \n/exit\nthird\n",
        Some("/srv/project"),
        interrupts,
        |_| hello(),
    );
    assert_eq!((talked.code, talked.output.as_str()), (0, "Hello\nHello\n"));
    let contents: Vec<_> = talked.requests.iter().map(content).collect();
    assert_eq!(
        contents,
        [
            "The folder that this is about: /srv/project\n\nfirst",
            "second"
        ]
    );
    let key = "x-openclaw-session-key: connect:ann:manager".to_owned();
    assert!(
        talked
            .requests
            .iter()
            .all(|request| request.headers.contains(&key))
    );
}

#[test]
fn a_reply_that_fails_or_breaks_off_is_told_and_the_next_line_goes_on() {
    let (_keep, interrupts) = no_interrupts();
    let mut number = 0;
    let talked = talk("a\nb\nc\nd\n", None, interrupts, move |_| {
        number += 1;
        match number {
            1 => events(&[r#"{"error":{"message":"the CLI said no"}}"#, "[DONE]"]),
            2 => events(&[r#"{"choices":[{"delta":{"content":"half"}}]}"#]),
            3 => json_answer("400 Bad Request", &json!({"error": {"message": "not so"}})),
            _ => hello(),
        }
    });
    assert_eq!(
        talked.output,
        "\nerror: the CLI said no\nhalf\nerror: the reply broke off\nerror: not so\nHello\n"
    );
    assert_eq!(talked.code, exit::FAILURE);
}

#[test]
fn an_interrupt_ends_the_turn_that_works_on_the_message() {
    let (press, interrupts) = mpsc::channel(1);
    press.try_send(()).unwrap();
    let talked = talk("", None, interrupts, |_| unreachable!());
    assert_eq!(talked.code, exit::INTERRUPTED, "outside of a reply it ends");

    let (press, interrupts) = mpsc::channel(1);
    let talked = talk("work\n", None, interrupts, move |request| {
        if request.line.starts_with("POST /v1/") {
            // Pressed while the reply is on its way; what is after it is never read.
            press.try_send(()).unwrap();
            return events(&[]);
        }
        let turn = |turn, session| {
            json!({"turn": turn, "since": "2026-11-21T07:05:09Z",
            "session": session, "tasks": [ID]})
        };
        let turns = [turn("other", "x"), turn("ours", "key/connect:ann:manager")];
        json_answer(
            "200 OK",
            &json!({"id": "manager", "state": "running", "turns": turns, "ok": true}),
        )
    });
    let lines: Vec<_> = talked
        .requests
        .iter()
        .map(|seen| seen.line.as_str())
        .collect();
    assert!(
        lines.contains(&"DELETE /turns/ours HTTP/1.1"),
        "{lines:?} {}",
        talked.output
    );
}

#[test]
fn a_reply_is_known_by_the_id_of_its_task() {
    assert!(reply::same_id(
        ID,
        "chatcmpl-0190a0b00000700080000000000000aa"
    ));
    assert!(!reply::same_id(
        ID,
        "chatcmpl-0190a0b00000700080000000000000ab"
    ));
    assert!(!reply::same_id("", "chatcmpl-1"));
}
