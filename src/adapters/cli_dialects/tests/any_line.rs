use proptest::prelude::*;

use super::{exited, failure, read};
use crate::adapters::cli_dialects::DIALECTS;
use postroom_actors::domain::turn::FailureCode;

/// Types and subtypes that readers know, to be met with fields that they do not expect.
const KINDS: [&str; 24] = [
    "thread.started",
    "item.started",
    "item.completed",
    "turn.completed",
    "turn.failed",
    "error",
    "system",
    "stream_event",
    "assistant",
    "result",
    "init",
    "message",
    "tool_use",
    "tool_result",
    "text",
    "step_finish",
    "assistant.message",
    "assistant.message_delta",
    "tool.execution_start",
    "model.call_failure",
    "session.error",
    "abort",
    "user",
    "no.such.event",
];

const FIELDS: [&str; 16] = [
    "item", "message", "usage", "subtype", "event", "is_error", "content", "part", "error",
    "stats", "data", "status", "payloads", "exitCode", "role", "ok",
];

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
        prop::sample::select(vec!["success", "stop", "ok", "assistant", "text"])
            .prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let field = prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(field, inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn event_line() -> impl Strategy<Value = String> {
    let field = prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned);
    let fields = prop::collection::btree_map(field, value(), 0..5);
    (prop::sample::select(KINDS.to_vec()), fields).prop_map(|(kind, fields)| {
        let mut event: serde_json::Map<_, _> = fields.into_iter().collect();
        event.insert("type".to_owned(), kind.into());
        serde_json::Value::from(event).to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn no_line_does_harm(
        lines in prop::collection::vec(prop_oneof![event_line(), any::<String>()], 0..12),
        code in prop::option::of(any::<i32>()),
        stderr in any::<String>(),
    ) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for known in DIALECTS {
            let end = super::ProcessEnd { exit_code: code, signal: None, stderr_tail: &stderr };
            let (_, verdict) = read(known.name(), &lines, &end);
            if let Err(failure) = verdict.result {
                prop_assert!(!failure.message.is_empty() && failure.message.len() <= 2048);
            }
        }
    }
}

#[test]
fn what_is_no_event_is_passed_over_and_is_no_answer() {
    let deep = format!("{{\"type\":{}", "[".repeat(10_000));
    let huge = format!(
        r#"{{"type":"tool_output","text":"{}"}}"#,
        "x".repeat(2 << 20)
    );
    let lines = [
        "",
        "plain words",
        "[1,2]",
        "{",
        r#"{"type":7}"#,
        r#"{"type":null,"message":"hello"}"#,
        r#"{"no_type":true}"#,
        "{\"type\":\"text\"} trailing",
        deep.as_str(),
        huge.as_str(),
    ];
    for known in DIALECTS {
        if known.name() == "command" {
            continue;
        }
        let (events, verdict) = read(known.name(), &lines, &exited(0));
        assert_eq!(events, [], "{}", known.name());
        assert_eq!(
            failure(&verdict).0,
            FailureCode::NoAnswer,
            "{}",
            known.name()
        );
        assert_eq!(verdict.usage, None);
    }
}
