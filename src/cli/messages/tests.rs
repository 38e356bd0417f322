use serde_json::json;

use crate::cli::{
    client::tests::{Seen, home, json_answer, server},
    exit,
    tests::run_alone,
};

const ID: &str = "01a1fded8bd875c6b4c8760927de8a70";

fn told(request: &Seen) -> String {
    let line = request.line.as_str();
    let summary = json!({"id": ID, "state": "queued", "type": "TASK", "from": "key:run",
        "to": "agent:alice", "received_at": "2026-11-21T07:05:09Z"});
    if line.starts_with("GET /messages?limit=2&") {
        let page = json!({"messages": [summary], "has_more": true});
        return json_answer("200 OK", &page);
    }
    if line.starts_with("GET /messages?") {
        return json_answer("200 OK", &json!({"messages": [], "has_more": false}));
    }
    if line == format!("GET /messages/{ID} HTTP/1.1") {
        return json_answer("200 OK", &summary);
    }
    if line == format!("DELETE /messages/{ID} HTTP/1.1") {
        let answer = json!({"ok": true, "cancelled": true, "state": "cancelled"});
        return json_answer("200 OK", &answer);
    }
    if line.starts_with("DELETE /messages/") {
        let answer = json!({"ok": true, "cancelled": false, "state": "done"});
        return json_answer("200 OK", &answer);
    }
    let error = json!({"error": {"message": "there is no message `nine`"}});
    json_answer("404 Not Found", &error)
}

#[test]
fn messages_are_listed_shown_and_cancelled_over_the_api() {
    let (endpoint, requests) = server(Box::new(told));
    let home = home(&endpoint);
    let base_dir = home.path().to_str().unwrap().to_owned();
    let run = |arguments: &str| {
        let arguments = ["postroom", "messages"]
            .into_iter()
            .chain(arguments.split(' '));
        let arguments: Vec<_> = arguments.chain(["--base-dir", &base_dir]).collect();
        let ran = run_alone(&arguments);
        (ran.code, ran.output + &ran.error)
    };
    let (code, page) = run(
        "list --limit 2 --state queued --direction in --agent alice \
         --context a:b --before 9 --all",
    );
    assert_eq!(code, exit::OK, "{page}");
    assert!(
        page.ends_with(&format!("there are more: --before {ID}\n")),
        "{page}"
    );
    assert_eq!(
        requests.recv().unwrap().line,
        "GET /messages?limit=2&before=9&direction=in&state=queued&context_id=a%3Ab&agent=alice\
         &all=true HTTP/1.1"
    );
    assert_eq!(run("list"), (exit::OK, "no messages\n".to_owned()));
    let (code, shown) = run(&format!("show {ID}"));
    assert!(
        code == exit::OK && shown.starts_with(&format!("{ID} queued\n")),
        "{shown}"
    );
    let (code, shown) = run(&format!("show {ID} --json"));
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &shown["id"]), (exit::OK, &json!(ID)));
    assert_eq!(
        run(&format!("cancel {ID}")),
        (exit::OK, format!("{ID} cancelled\n"))
    );
    assert_eq!(
        run("cancel two"),
        (exit::FAILURE, "two is done already\n".to_owned())
    );
    let unknown = "there is no message `nine`\n";
    assert_eq!(run("show nine"), (exit::FAILURE, unknown.to_owned()));
}

#[test]
fn a_state_that_no_message_has_is_wrong_usage() {
    for wrong in [
        &["list", "--state", "lost"][..],
        &["list", "--direction", "up"],
        &["list", "--agent", "alice", "--peer", "office"],
        &["list", "--limit", "201"],
        &["show"],
        &[],
    ] {
        let arguments: Vec<_> = ["postroom", "messages"]
            .iter()
            .chain(wrong)
            .copied()
            .collect();
        assert_eq!(run_alone(&arguments).code, exit::USAGE, "{wrong:?}");
    }
}
