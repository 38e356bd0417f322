use serde_json::{Value, json};

use super::*;
use crate::domain::{
    task::{Answer, TaskOutcome},
    turn::{Failure, FailureCode},
};

fn completion(content: &str) -> Completion<'_> {
    Completion {
        id: Uuid::from_u128(0xf),
        created_s: 7,
        model: MAILBOX_MODEL,
        content,
        usage: None,
    }
}

fn chunks(events: &str) -> Vec<Value> {
    events
        .split_terminator("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

#[test]
fn an_empty_completion_has_openais_shape() {
    let expected = json!({
        "id": "chatcmpl-0000000000000000000000000000000f",
        "object": "chat.completion",
        "created": 7,
        "model": "local-agent",
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": ""},
            "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    });
    assert_eq!(
        serde_json::from_str::<Value>(&completion("").to_json()).unwrap(),
        expected
    );
}

#[test]
fn a_stream_ends_with_finish_reason_and_done() {
    let events = completion("thanks").to_events(false);
    let chunks = chunks(&events);
    assert_eq!(chunks.len(), 2);
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": "thanks"})
    );
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "stop");
    assert!(events.ends_with("data: [DONE]\n\n"));
}

#[test]
fn usage_comes_last_and_only_when_asked_for() {
    let with_usage = chunks(&completion("").to_events(true));
    assert_eq!(with_usage[2]["choices"], json!([]));
    assert_eq!(with_usage[2]["usage"]["total_tokens"], 0);
    assert!(
        chunks(&completion("").to_events(false))
            .iter()
            .all(|chunk| chunk.get("usage").is_none())
    );
}

fn usage() -> Usage {
    Usage {
        input_tokens: 11,
        cached_input_tokens: 4,
        output_tokens: 7,
        reasoning_tokens: 2,
        cost_microdollars: None,
    }
}

fn answered(text: &str) -> TaskOutcome {
    TaskOutcome::Answered(Answer {
        text: text.into(),
        pieces: Vec::new(),
        usage: Some(usage()),
    })
}

fn stream(include_usage: bool) -> CompletionStream {
    CompletionStream::new(Uuid::from_u128(0xf), 7, "manager".to_owned(), include_usage)
}

#[test]
fn a_turns_usage_is_told_under_openais_names() {
    let mut completion = completion("hello");
    completion.usage = Some(usage());
    let whole: Value = serde_json::from_str(&completion.to_json()).unwrap();
    let expected = json!({
        "prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    });
    assert_eq!(whole["usage"], expected);
}

#[test]
fn a_streamed_answer_comes_in_pieces_with_one_end() {
    let mut stream = stream(true);
    let events = [
        stream.begin(),
        stream.said("he"),
        stream.said(""),
        stream.keep_alive(),
        stream.said("llo"),
        stream.ended(&answered("hello")),
    ]
    .concat();
    let chunks = chunks(&events);
    let deltas: Vec<&Value> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"].get(0))
        .map(|choice| &choice["delta"])
        .collect();
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({"content": "he"}),
        json!({}),
        json!({"content": "llo"}),
        json!({}),
    ];
    assert_eq!(deltas, expected.iter().collect::<Vec<_>>());
    assert_eq!(chunks[4]["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[5]["usage"]["total_tokens"], 18);
    assert_eq!(chunks[5]["choices"], json!([]));
    assert!(chunks.iter().all(|chunk| chunk["model"] == "manager"));
    assert!(events.ends_with("data: [DONE]\n\n"));
}

#[test]
fn what_was_not_streamed_comes_before_the_end() {
    let mut stream = stream(false);
    stream.said("hé");
    let chunks = chunks(&stream.ended(&answered("hé there")));
    assert_eq!(chunks.len(), 2);
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"content": " there"})
    );
}

#[test]
fn a_failure_after_the_first_byte_is_an_error_event() {
    let failure = Failure {
        code: FailureCode::TimedOut,
        message: "too slow".to_owned(),
    };
    for (outcome, code) in [
        (TaskOutcome::Failed(failure), "timed_out"),
        (TaskOutcome::Cancelled, "cancelled"),
    ] {
        let events = stream(true).ended(&outcome);
        let chunks = chunks(&events);
        assert_eq!(chunks.len(), 1, "{events}");
        assert_eq!(chunks[0]["error"]["code"], code);
        assert!(chunks[0].get("choices").is_none());
        assert!(events.ends_with("data: [DONE]\n\n"));
    }
}
