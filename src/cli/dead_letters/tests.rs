use serde_json::{Value, json};

use crate::cli::{
    client::tests::{Seen, home, json_answer, server},
    exit,
    tests::run_alone,
};

fn dead(id: &str) -> Value {
    json!({"id": id, "direction": "out", "origin": "message", "state": "dead", "type": "STATUS",
        "from": "agent:alice", "to": "peer:office", "received_at": "2026-11-21T07:05:09Z",
        "failure": {"code": "out_of_attempts", "message": "cannot connect"}})
}

fn told(request: &Seen) -> String {
    let ok = json!({"ok": true});
    let answer = match request.line.trim_end_matches(" HTTP/1.1") {
        "GET /dead-letters?limit=20" | "GET /dead-letters?limit=200&peer=office" => {
            json!({"dead_letters": [dead("d3"), dead("d2")], "has_more": true, "total": 3})
        }
        "GET /dead-letters?limit=200&before=d2&peer=office" => {
            json!({"dead_letters": [dead("d1")], "has_more": false, "total": 3})
        }
        "GET /dead-letters/d3" => dead("d3"),
        "POST /dead-letters/d2/retry"
        | "POST /dead-letters/d1/retry"
        | "DELETE /dead-letters/d3" => ok,
        "DELETE /dead-letters/d9" => {
            let error = json!({"error": {"message": "the store cannot write"}});
            return json_answer("503 Service Unavailable", &error);
        }
        _ => {
            let error = json!({"error": {"message": "this is no dead letter"}});
            return json_answer("404 Not Found", &error);
        }
    };
    json_answer("200 OK", &answer)
}

#[test]
fn dead_letters_are_listed_retried_and_dropped_over_the_api() {
    let (endpoint, _requests) = server(Box::new(told));
    let home = home(&endpoint);
    let base_dir = home.path().to_str().unwrap().to_owned();
    let run = |arguments: &str| {
        let arguments = ["postroom", "dead-letters"]
            .into_iter()
            .chain(arguments.split(' '));
        let arguments: Vec<_> = arguments.chain(["--base-dir", &base_dir]).collect();
        let ran = run_alone(&arguments);
        (ran.code, ran.output + &ran.error)
    };
    let (code, page) = run("list");
    assert!(
        code == exit::OK && page.contains("peer:office  cannot connect\n"),
        "{page}"
    );
    let (code, shown) = run("show d3");
    assert!(
        code == exit::OK && shown.starts_with("d3 dead\n"),
        "{shown}"
    );
    // One that is no dead letter any more does not keep the others.
    assert_eq!(
        run("retry --all --peer office"),
        (
            exit::FAILURE,
            "d3: this is no dead letter\nd2 retried\nd1 retried\n".to_owned()
        )
    );
    assert_eq!(run("drop d3"), (exit::OK, "d3 dropped\n".to_owned()));
    let (code, done) = run("drop d3 d4 --json");
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(code, exit::FAILURE);
    assert_eq!(
        done,
        json!({"dropped": ["d3"],
            "refused": [{"id": "d4", "message": "this is no dead letter"}]})
    );
    // What is true of all is told once.
    assert_eq!(
        run("drop d9 d3"),
        (exit::TEMPORARY, "the store cannot write\n".to_owned())
    );
}

#[test]
fn nothing_is_dropped_or_retried_unless_it_was_chosen() {
    for verb in ["retry", "drop"] {
        for wrong in [
            &[][..],
            &["--peer", "office"],
            &["--all", "d1"],
            &["d1", "--agent", "alice"],
        ] {
            let arguments: Vec<_> = ["postroom", "dead-letters", verb]
                .iter()
                .chain(wrong)
                .copied()
                .collect();
            assert_eq!(run_alone(&arguments).code, exit::USAGE, "{arguments:?}");
        }
    }
}
