use std::sync::Arc;

use chrono::{TimeZone, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::{
    envelope::Sequence,
    ids::{AgentId, SessionKey},
    task::TaskOrigin,
    turn::{FailureCode, Usage},
};

const HEX: &str = "0000000000000000000000000000002a";

fn task(body: &Value, is_background: bool) -> NewTask {
    let at = Utc.with_ymd_and_hms(2026, 11, 21, 7, 5, 9).unwrap();
    NewTask {
        id: MessageId::new(Uuid::from_u128(0x2a)),
        agent: AgentId::parse("manager").unwrap(),
        session: SessionKey::new("s"),
        origin: TaskOrigin::Response,
        caller: None,
        received_at: at,
        body: body.to_string().into(),
        is_background,
        is_streamed: true,
        is_kept: true,
        traceparent: None,
        envelope: None,
        is_handed_over: false,
    }
}

fn record(is_background: bool, state: TaskState) -> TaskRecord {
    TaskRecord {
        sequence: Sequence(1),
        task: Arc::new(task(&json!({"input": "hi"}), is_background)),
        state,
        attempts: 1,
        turn: None,
        started_at: None,
        answer: None,
        failure: None,
        ended_at: None,
    }
}

fn answer(pieces: &[&str]) -> Answer {
    Answer {
        text: pieces.concat().into(),
        pieces: pieces
            .iter()
            .map(|piece| u32::try_from(piece.len()).unwrap())
            .collect(),
        usage: Some(Usage {
            input_tokens: 11,
            cached_input_tokens: 4,
            output_tokens: 7,
            reasoning_tokens: 2,
            cost_microdollars: None,
        }),
    }
}

fn failure() -> Failure {
    Failure {
        code: FailureCode::TimedOut,
        message: "too slow".to_owned(),
    }
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// The names and the data of server-sent events.
fn events(text: &str) -> Vec<(String, Value)> {
    text.split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').unwrap();
            let name = name.strip_prefix("event: ").unwrap();
            let data = value(data.strip_prefix("data: ").unwrap());
            assert_eq!(data["type"], name);
            (name.to_owned(), data)
        })
        .collect()
}

fn names(text: &str) -> Vec<String> {
    let names = events(text).into_iter();
    names
        .map(|(name, _)| name.trim_start_matches("response.").to_owned())
        .collect()
}

fn live(
    is_background: bool,
    starting_after: Option<u64>,
    pieces: &[&str],
    end: &TaskOutcome,
) -> String {
    let record = record(is_background, TaskState::Queued);
    let mut events = ResponseEvents::new(&record.task, starting_after);
    let mut text = events.begin() + &events.started() + &events.started();
    for piece in pieces {
        text.push_str(&events.said(piece));
    }
    text + &events.ended(end) + &events.ended(end) + &events.said("late")
}

fn stored(is_background: bool, answer: Answer) -> TaskRecord {
    TaskRecord {
        answer: Some(answer),
        ..record(is_background, TaskState::Answered)
    }
}

#[test]
fn an_id_is_the_messages_own_and_is_read_back_only_in_its_own_form() {
    let message = MessageId::new(Uuid::from_u128(0x2a));
    let id = response_id(message);
    assert_eq!(id, format!("resp_{HEX}"));
    assert_eq!(parse_response_id(&id), Some(message));
    let dashed = format!("resp_{}", message.as_uuid());
    for other in ["", HEX, "resp_", "resp_2a", &dashed, &id.to_uppercase()] {
        assert_eq!(parse_response_id(other), None, "{other}");
    }
}

#[test]
fn a_completed_response_has_openais_shape() {
    let body = json!({
        "model": "gpt-x", "input": "hi", "instructions": "be kind", "metadata": {"a": "b"},
        "temperature": 0.5, "previous_response_id": "resp_0", "user": "u", "unknown": 1,
    });
    let outcome = TaskOutcome::Answered(answer(&["hel", "lo"]));
    let expected = json!({
        "id": format!("resp_{HEX}"), "object": "response", "created_at": 1_795_244_709,
        "status": "completed", "background": false, "error": null, "incomplete_details": null,
        "instructions": "be kind", "max_output_tokens": null, "max_tool_calls": null,
        "model": "gpt-x",
        "output": [{
            "id": format!("msg_{HEX}"), "type": "message", "status": "completed", "role": "assistant",
            "content": [
                {"type": "output_text", "text": "hello", "annotations": [], "logprobs": []},
            ],
        }],
        "parallel_tool_calls": true, "previous_response_id": "resp_0", "prompt_cache_key": null,
        "reasoning": {"effort": null, "summary": null}, "safety_identifier": null, "store": true,
        "temperature": 0.5, "text": {"format": {"type": "text"}}, "tool_choice": "auto",
        "tools": [], "top_logprobs": 0, "top_p": null, "truncation": "disabled",
        "usage": {
            "input_tokens": 11, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0}, "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 18,
        },
        "user": "u", "metadata": {"a": "b"},
    });
    let told = value(&ended_response(&task(&body, false), &outcome));
    assert_eq!(told, expected);
}

#[test]
fn every_state_of_a_task_has_its_status() {
    for (state, status, outputs) in [
        (TaskState::Queued, "queued", 0),
        (TaskState::Running, "in_progress", 0),
        (TaskState::Answered, "completed", 1),
        (TaskState::Failed, "failed", 0),
        (TaskState::Cancelled, "cancelled", 0),
    ] {
        let record = TaskRecord {
            answer: (state == TaskState::Answered).then(|| answer(&["x"])),
            failure: (state == TaskState::Failed).then(failure),
            ..record(true, state)
        };
        let told = value(&stored_response(&record));
        assert_eq!(told["status"], status);
        assert_eq!(
            told["output"].as_array().unwrap().len(),
            outputs,
            "{status}"
        );
        assert_eq!(told["usage"].is_null(), status != "completed", "{status}");
        let error = match state {
            TaskState::Failed => {
                json!({"code": "server_error", "message": "too slow", "reason": "timed_out"})
            }
            _ => Value::Null,
        };
        assert_eq!(told["error"], error, "{status}");
        assert_eq!(told["model"], "manager");
    }
}

#[test]
fn a_kept_background_response_is_queued() {
    let told = value(&queued_response(&task(&json!({"input": "hi"}), true)));
    assert_eq!(
        (&told["status"], &told["background"]),
        (&json!("queued"), &json!(true))
    );
    let gone = value(&deleted_response(MessageId::new(Uuid::from_u128(0x2a))));
    assert_eq!(
        gone,
        json!({"id": format!("resp_{HEX}"), "object": "response", "deleted": true})
    );
}

#[test]
fn events_come_in_the_order_of_the_sdks_with_their_numbers() {
    let pieces = ["he", "", "llo"];
    let text = live(
        false,
        None,
        &pieces,
        &TaskOutcome::Answered(answer(&pieces)),
    );
    let expected = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    assert_eq!(names(&text), expected);
    let events = events(&text);
    for (number, (_, data)) in events.iter().enumerate() {
        assert_eq!(data["sequence_number"], number);
    }
    let delta = json!({
        "type": "response.output_text.delta", "sequence_number": 4, "item_id": format!("msg_{HEX}"),
        "output_index": 0, "content_index": 0, "delta": "he", "logprobs": [],
    });
    assert_eq!(events[4].1, delta);
    assert_eq!(events[6].1["text"], "hello");
    assert_eq!(events[7].1["part"]["text"], "hello");
    assert_eq!(events[8].1["item"]["status"], "completed");
    assert_eq!(events[9].1["response"]["usage"]["total_tokens"], 18);
    assert_eq!(events[0].1["response"]["status"], "in_progress");
}

#[test]
fn a_background_response_is_queued_first() {
    let text = live(true, None, &[], &TaskOutcome::Cancelled);
    assert_eq!(
        names(&text),
        ["created", "queued", "in_progress", "incomplete"]
    );
    let events = events(&text);
    assert_eq!(events[0].1["response"]["status"], "queued");
    assert_eq!(events[3].1["response"]["status"], "cancelled");
}

#[test]
fn an_end_before_the_start_still_tells_all_steps() {
    let record = record(false, TaskState::Queued);
    let mut events = ResponseEvents::new(&record.task, None);
    let text = events.ended(&TaskOutcome::Failed(failure()));
    assert_eq!(names(&text), ["created", "in_progress", "failed"]);
}

#[test]
fn what_has_not_ended_is_replayed_up_to_where_it_stands() {
    let queued = ResponseEvents::replay(&record(true, TaskState::Queued), None);
    assert_eq!(names(&queued), ["created", "queued"]);
    let running = ResponseEvents::replay(&record(true, TaskState::Running), Some(0));
    assert_eq!(names(&running), ["queued", "in_progress"]);
}

#[test]
fn a_failure_is_heard_although_the_deltas_before_it_are_gone() {
    let outcome = TaskOutcome::Failed(failure());
    let seen = events(&live(true, None, &["a", "b"], &outcome));
    let last_seen = seen[seen.len() - 2].1["sequence_number"].as_u64();
    let failed = TaskRecord {
        failure: Some(failure()),
        ..record(true, TaskState::Failed)
    };
    let replayed = events(&ResponseEvents::replay(&failed, last_seen));
    assert_eq!(replayed.len(), 1);
    assert_eq!(replayed[0], seen[seen.len() - 1]);
}

#[test]
fn an_answer_that_was_not_streamed_comes_as_one_piece() {
    let whole = Answer {
        pieces: Vec::new(),
        ..answer(&["hello"])
    };
    let told = live(true, None, &[], &TaskOutcome::Answered(whole.clone()));
    assert_eq!(told, ResponseEvents::replay(&stored(true, whole), None));
    let deltas = names(&told);
    assert_eq!(
        deltas
            .iter()
            .filter(|name| *name == "output_text.delta")
            .count(),
        1
    );
}

#[test]
fn lengths_that_do_not_fit_the_text_lose_nothing_of_it() {
    let torn = Answer {
        pieces: vec![1, 99],
        ..answer(&["aé"])
    };
    let told = events(&ResponseEvents::replay(&stored(false, torn), None));
    let deltas = told.iter().filter_map(|(_, data)| data["delta"].as_str());
    assert_eq!(deltas.collect::<Vec<_>>(), ["a", "é"]);
}

fn listed(input: &Value, query: InputItemsQuery<'_>) -> Value {
    value(&input_items(&task(&json!({"input": input}), false), query))
}

#[test]
fn the_input_is_listed_as_items() {
    let list = listed(&json!("hi"), InputItemsQuery::default());
    let id = format!("msg_{HEX}_0");
    let expected = json!({
        "object": "list", "has_more": false, "first_id": id, "last_id": id,
        "data": [{
            "id": id, "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_text", "text": "hi"}],
        }],
    });
    assert_eq!(list, expected);
    assert_eq!(
        listed(&json!(null), InputItemsQuery::default())["data"],
        json!([])
    );
}

#[test]
fn a_long_list_of_input_items_comes_in_parts() {
    let input = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"type": "function_call_output", "call_id": "c", "output": "d", "id": "own"},
    ]);
    let ids = |list: &Value| -> Vec<String> {
        let data = list["data"].as_array().unwrap().iter();
        data.map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = listed(
        &input,
        InputItemsQuery {
            limit: 2,
            ..InputItemsQuery::default()
        },
    );
    assert_eq!(ids(&first), ["own".to_owned(), format!("msg_{HEX}_1")]);
    assert_eq!(first["has_more"], true);
    assert_eq!(first["data"][1]["content"][0]["type"], "output_text");
    let query = InputItemsQuery {
        after: first["last_id"].as_str(),
        ..InputItemsQuery::default()
    };
    assert_eq!(ids(&listed(&input, query)), [format!("msg_{HEX}_0")]);
    let query = InputItemsQuery {
        order: ItemOrder::Ascending,
        ..query
    };
    assert_eq!(ids(&listed(&input, query)), ["own"]);
    let query = InputItemsQuery {
        after: Some("nobody's"),
        ..query
    };
    assert_eq!(listed(&input, query)["data"], json!([]));
}

proptest! {
    #[test]
    fn a_stream_is_the_same_live_and_replayed_from_any_number(
        pieces in prop::collection::vec("[a\n\"é🦀]{0,3}", 0..6),
        is_background: bool,
    ) {
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let answer = answer(&pieces);
        let outcome = TaskOutcome::Answered(answer.clone());
        let record = stored(is_background, answer);
        let whole = live(is_background, None, &pieces, &outcome);
        prop_assert_eq!(&whole, &ResponseEvents::replay(&record, None));
        let all = events(&whole);
        for (seen, _) in all.iter().enumerate() {
            let after = u64::try_from(seen).ok();
            let rest = live(is_background, after, &pieces, &outcome);
            prop_assert_eq!(&rest, &ResponseEvents::replay(&record, after));
            prop_assert_eq!(&events(&rest)[..], &all[seen + 1..]);
        }
        let told: String = all.iter().filter_map(|(_, data)| data["delta"].as_str()).collect();
        prop_assert_eq!(told, pieces.concat());
    }
}
