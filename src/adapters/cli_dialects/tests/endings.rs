use postroom_actors::domain::turn::FailureCode::{NoAnswer, TurnFailed};

use super::{exited, failure, read};
use crate::adapters::cli_dialects::{DIALECTS, ProcessEnd};

const CODEX_DONE: [&str; 2] = [
    r#"{"type":"item.completed","item":{"type":"agent_message","text":"all is well"}}"#,
    r#"{"type":"turn.completed"}"#,
];

#[test]
fn exit_code_zero_alone_is_no_answer_and_any_other_end_is_a_failure() {
    for known in DIALECTS {
        let (_, verdict) = read(known.name(), &[], &exited(0));
        let expected = format!("`{}` ended well, but without an answer", known.name());
        if known.name() == "command" {
            // It has no other word of success.
            assert_eq!(verdict.result.as_deref(), Ok(""));
        } else {
            assert_eq!(failure(&verdict), (NoAnswer, expected.as_str()));
        }

        let (_, verdict) = read(known.name(), &[], &exited(9));
        let (code, message) = failure(&verdict);
        assert_eq!(code, TurnFailed);
        let expected = format!("`{}` ended with exit code 9", known.name());
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn a_word_of_success_does_not_outweigh_a_bad_end() {
    let (_, verdict) = read("codex", &CODEX_DONE, &exited(0));
    assert_eq!(&*verdict.result.unwrap(), "all is well");
    let killed = ProcessEnd {
        exit_code: None,
        signal: Some(9),
        stderr_tail: "",
    };
    let (_, verdict) = read("codex", &CODEX_DONE, &killed);
    let message = "`codex` was ended by signal 9 after it had told of success";
    assert_eq!(failure(&verdict), (TurnFailed, message));
}

#[test]
fn known_exit_codes_are_explained() {
    for (name, code, part) in [
        ("gemini", 41, "(it has no key and no log-in)"),
        ("gemini", 42, "(it does not take its input"),
        ("gemini", 55, "(it does not trust the folder"),
        ("qwen", 55, "(it took longer than its own limit of time)"),
        ("codex", 2, "(it does not know an argument"),
        ("openclaw", 143, "(somebody ended it by SIGTERM)"),
    ] {
        let (_, verdict) = read(name, &[], &exited(code));
        let (_, message) = failure(&verdict);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn the_end_of_standard_error_is_told_where_the_events_had_no_words() {
    let end = ProcessEnd {
        stderr_tail: "\u{1b}[91mno such session: \u{1b}[0ms-1\r\n\n",
        ..exited(1)
    };
    let (_, verdict) = read("opencode", &[], &end);
    let message =
        "`opencode` ended with exit code 1 before its turn was complete: no such session: s-1";
    assert_eq!(failure(&verdict), (TurnFailed, message));
}

#[test]
fn long_words_are_cut_between_characters() {
    let long = format!("{}the end", "é".repeat(4000));
    let end = ProcessEnd {
        stderr_tail: &long,
        ..exited(1)
    };
    let (_, verdict) = read("command", &[], &end);
    let (_, message) = failure(&verdict);
    assert!(
        message.len() <= 2048 && message.ends_with("éthe end"),
        "{message}"
    );

    let event = format!(r#"{{"type":"turn.failed","error":{{"message":"{long}"}}}}"#);
    let (_, verdict) = read("codex", &[&event], &exited(1));
    let (_, message) = failure(&verdict);
    assert!(
        message.len() <= 2048 && message.ends_with("é…"),
        "{message}"
    );
}

#[test]
fn an_empty_answer_is_an_answer_where_the_cli_told_of_success() {
    for (name, line) in [
        ("codex", r#"{"type":"turn.completed","usage":{}}"#),
        (
            "claude",
            r#"{"is_error":false,"subtype":"success","result":"","type":"result"}"#,
        ),
        ("gemini", r#"{"type":"result","status":"success"}"#),
        (
            "opencode",
            r#"{"type":"step_finish","part":{"reason":"stop"}}"#,
        ),
        ("openclaw", r#"{"status":"ok","result":{"payloads":[]}}"#),
        ("copilot", r#"{"type":"result","exitCode":0}"#),
    ] {
        let (_, verdict) = read(name, &[line], &exited(0));
        assert_eq!(verdict.result.as_deref(), Ok(""), "{name}");
    }
}
