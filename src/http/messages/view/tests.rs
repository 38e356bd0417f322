use bytes::Bytes;
use chrono::TimeZone;
use postroom_actors::domain::{
    envelope::Sequence,
    ids::{ContextId, SessionKey},
    post::{Beginning, DeadCode, NewDelivery},
    task::{Answer, NewTask},
    turn::FailureCode,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn id(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

fn at(minute: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_900_000_000 + minute * 60, 0).unwrap()
}

/// Of a message that peer `bob` has sent to agent `manager`.
pub(in crate::http) fn envelope() -> Envelope {
    Envelope::new(
        Party::parse("peer:bob").unwrap(),
        Party::parse("agent:manager").unwrap(),
        "TASK",
    )
}

/// What agent `manager` works on, brought by a key of this name.
pub(in crate::http) fn chat(origin: TaskOrigin, caller: Option<&str>) -> TaskRecord {
    let task = NewTask {
        id: id(1),
        agent: AgentId::parse("manager").unwrap(),
        session: SessionKey::new("s"),
        origin,
        caller: caller.map(Arc::from),
        received_at: at(0),
        body: Bytes::from_static(b"{\"type\": \"TASK\"}"),
        is_background: true,
        is_streamed: false,
        is_kept: true,
        traceparent: None,
        envelope: None,
        is_handed_over: false,
    };
    TaskRecord {
        sequence: Sequence(1),
        task: Arc::new(task),
        state: TaskState::Queued,
        attempts: 0,
        turn: None,
        started_at: None,
        answer: None,
        failure: None,
        ended_at: None,
    }
}

/// A message from peer `bob` to agent `manager`.
pub(in crate::http) fn task() -> TaskRecord {
    let record = chat(TaskOrigin::Message, Some("peer:bob"));
    let task = NewTask {
        envelope: Some(Arc::new(envelope())),
        ..(*record.task).clone()
    };
    TaskRecord {
        task: Arc::new(task),
        ..record
    }
}

/// A message from agent `manager` on its way to peer `bob`.
pub(in crate::http) fn delivery() -> DeliveryRecord {
    let Envelope {
        sender, recipient, ..
    } = envelope();
    let delivery = NewDelivery {
        id: id(1),
        envelope: Arc::new(Envelope {
            sender: recipient,
            recipient: sender,
            ..envelope()
        }),
        conversation: "c".into(),
        received_at: at(0),
        body: Bytes::from_static(b"{\"type\": \"STATUS\"}"),
        traceparent: None,
        beginning: Beginning::Due,
    };
    DeliveryRecord {
        sequence: Sequence(1),
        delivery: Arc::new(delivery),
        state: DeliveryState::Waiting,
        attempts: 0,
        due: Some(at(5)),
        ended_at: None,
        reason: None,
        history: Vec::new(),
    }
}

fn callback_to(recipient: &str) -> MessageSummary {
    MessageSummary {
        id: id(2),
        direction: Direction::Out,
        state: "waiting",
        envelope: Some(Arc::new(Envelope {
            sender: Party::parse("agent:manager").unwrap(),
            recipient: Party::parse(recipient).unwrap(),
            kind: "STATUS".into(),
            context_id: Some(ContextId::new("c-1")),
            ..envelope()
        })),
        agent: None,
        origin: TaskOrigin::Message,
        received_at: at(1),
        ended_at: None,
        due: Some(at(2)),
        attempts: 1,
        callbacks: 0,
        trouble: None,
    }
}

fn shown_as(record: MessageRecord, around: Surroundings) -> Value {
    serde_json::to_value(MessageView::new(record, around)).unwrap()
}

#[test]
fn a_message_that_waits_is_shown_flat_and_whole() {
    let around = Surroundings {
        with_body: true,
        ..Surroundings::default()
    };
    let text = serde_json::to_string(&MessageView::new(MessageRecord::Task(task()), around));
    let text = text.unwrap();
    assert!(text.contains(r#""body":{"type": "TASK"}"#), "{text}");
    let view: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        view,
        json!({
            "id": ID,
            "direction": "in",
            "origin": "message",
            "state": "queued",
            "type": "TASK",
            "from": "peer:bob",
            "to": "agent:manager",
            "sender_id": null,
            "remote_agent": null,
            "context_id": null,
            "in_reply_to": null,
            "hops": 0,
            "priority": 4,
            "expires_at": null,
            "received_at": "2030-03-17T17:46:40Z",
            "started_at": null,
            "ended_at": null,
            "attempts": 0,
            "failure": null,
            "answer": null,
            "turns": [],
            "callbacks": [],
            "delivery": null,
            "body": {"type": "TASK"},
        })
    );
    let without = shown_as(MessageRecord::Task(task()), Surroundings::default());
    assert_eq!(without.get("body"), None);
}

#[test]
fn a_message_counts_as_answered_where_its_sender_was_called_back() {
    let done = TaskRecord {
        state: TaskState::Done,
        ..task()
    };
    let state = |record: &TaskRecord, callbacks: &[&str]| {
        let around = Surroundings {
            callbacks: callbacks.iter().map(|to| callback_to(to)).collect(),
            ..Surroundings::default()
        };
        shown_as(MessageRecord::Task(record.clone()), around)["state"].clone()
    };
    assert_eq!(state(&done, &[]), "done");
    assert_eq!(state(&done, &["agent:engineer"]), "done");
    assert_eq!(state(&done, &["agent:engineer", "peer:bob"]), "answered");
    let running = TaskRecord {
        state: TaskState::Running,
        ..task()
    };
    assert_eq!(state(&running, &["peer:bob"]), "running");
}

#[test]
fn what_answers_a_message_is_listed_in_short() {
    let around = Surroundings {
        callbacks: vec![callback_to("peer:bob")],
        ..Surroundings::default()
    };
    let view = shown_as(MessageRecord::Task(task()), around);
    assert_eq!(
        view["callbacks"],
        json!([{
            "id": "00000000-0000-0000-0000-000000000002",
            "direction": "out",
            "origin": "message",
            "state": "waiting",
            "type": "STATUS",
            "from": "agent:manager",
            "to": "peer:bob",
            "context_id": "c-1",
            "in_reply_to": null,
            "received_at": "2030-03-17T17:47:40Z",
            "ended_at": null,
            "due_at": "2030-03-17T17:48:40Z",
            "attempts": 1,
            "callbacks": 0,
            "failure": null,
        }])
    );
}

#[test]
fn a_dead_letter_tells_why_and_what_was_tried() {
    let reason = DeadReason {
        code: DeadCode::Refused,
        message: "it answered 404".to_owned(),
    };
    let attempt = Attempt {
        number: 1,
        started_at: at(1),
        ended_at: at(2),
        status: Some(404),
        error: Some("not found".to_owned()),
    };
    let dead = DeliveryRecord {
        state: DeliveryState::Dead,
        attempts: 1,
        due: None,
        ended_at: Some(at(2)),
        reason: Some(reason),
        history: vec![attempt],
        ..delivery()
    };
    let view = shown_as(MessageRecord::Delivery(dead), Surroundings::default());
    assert_eq!(view["state"], "dead");
    assert_eq!(view["direction"], "out");
    assert_eq!(view["started_at"], "2030-03-17T17:47:40Z");
    let why = json!({"code": "refused", "message": "it answered 404"});
    assert_eq!(view["failure"], why);
    assert_eq!(view["delivery"]["reason"], why);
    assert_eq!(view["delivery"]["delivered_at"], Value::Null);
    assert_eq!(view["delivery"]["history"][0]["status"], 404);
}

#[test]
fn a_delivery_that_has_arrived_tells_when() {
    let arrived = DeliveryRecord {
        state: DeliveryState::Delivered,
        due: None,
        ended_at: Some(at(3)),
        ..delivery()
    };
    let view = shown_as(MessageRecord::Delivery(arrived), Surroundings::default());
    assert_eq!(view["delivery"]["state"], "delivered");
    assert_eq!(view["delivery"]["delivered_at"], view["ended_at"]);
    assert_eq!(view["failure"], Value::Null);
}

#[test]
fn a_chat_is_shown_with_its_answer_or_its_failure() {
    let answered = TaskRecord {
        state: TaskState::Answered,
        answer: Some(Answer {
            text: "done".into(),
            ..Answer::default()
        }),
        ..chat(TaskOrigin::Chat, Some("app"))
    };
    let view = shown_as(MessageRecord::Task(answered), Surroundings::default());
    assert_eq!(view["origin"], "chat");
    assert_eq!(view["answer"], "done");
    assert_eq!(view["from"], "app");
    assert_eq!(view["to"], "agent:manager");
    assert_eq!(view["type"], Value::Null);
    let failed = TaskRecord {
        state: TaskState::Failed,
        failure: Some(Failure {
            code: FailureCode::TimedOut,
            message: "too slow".to_owned(),
        }),
        ..chat(TaskOrigin::Response, None)
    };
    let view = shown_as(MessageRecord::Task(failed), Surroundings::default());
    let why = json!({"code": "timed_out", "message": "too slow"});
    assert_eq!(view["failure"], why);
}
