//! What the owner of a background response is told when it has ended: an event in OpenAI's form.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::response_id;
use crate::domain::{ids::MessageId, task::TaskState, trace_context::TraceContext};

/// A background response that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedResponse {
    /// Its id.
    pub id: MessageId,
    /// The name of the key that it was asked for with.
    pub caller: String,
    /// How it ended.
    pub state: TaskState,
    /// When.
    pub ended_at: DateTime<Utc>,
    /// Where it belongs in its trace.
    pub traceparent: Option<TraceContext>,
}

/// The type of the event; `None` where it has not ended.
pub const fn event_type(state: TaskState) -> Option<&'static str> {
    match state {
        TaskState::Queued | TaskState::Running => None,
        TaskState::Answered | TaskState::Done => Some("response.completed"),
        TaskState::Failed => Some("response.failed"),
        TaskState::Cancelled | TaskState::Expired => Some("response.cancelled"),
    }
}

/// The event as JSON; always the same for the same response.
pub fn event(response: &EndedResponse, kind: &str) -> Bytes {
    let event = json!({
        "id": format!("evt_{}", response.id.as_uuid().as_simple()),
        "object": "event",
        "created_at": response.ended_at.timestamp(),
        "type": kind,
        "data": {"id": response_id(response.id)},
    });
    event.to_string().into()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_event_names_its_response_and_how_it_ended() {
        let response = EndedResponse {
            id: MessageId::new(Uuid::from_u128(7)),
            caller: "app".to_owned(),
            state: TaskState::Answered,
            ended_at: Utc.timestamp_opt(1_800_000_000, 0).unwrap(),
            traceparent: None,
        };
        let body = event(&response, event_type(response.state).unwrap());
        let event: Value = serde_json::from_slice(&body).unwrap();
        let hex = "00000000000000000000000000000007";
        assert_eq!(
            event,
            json!({"id": format!("evt_{hex}"), "object": "event", "created_at": 1_800_000_000,
                   "type": "response.completed", "data": {"id": format!("resp_{hex}")}})
        );
    }

    #[test]
    fn every_end_has_its_event_and_nothing_else_has() {
        use TaskState::{Answered, Cancelled, Done, Expired, Failed, Queued, Running};
        for (state, kind) in [
            (Queued, None),
            (Running, None),
            (Answered, Some("response.completed")),
            (Done, Some("response.completed")),
            (Failed, Some("response.failed")),
            (Cancelled, Some("response.cancelled")),
            (Expired, Some("response.cancelled")),
        ] {
            assert_eq!(event_type(state), kind);
        }
    }
}
