//! OpenAI's Responses: the objects and events that tell of a task.
//!
//! A response is a task by another name: its id is the message's, its status the task's state.

use serde::Serialize;
use serde_json::json;

use super::{
    ids::MessageId,
    task::{Answer, NewTask, TaskOutcome, TaskRecord, TaskState},
    turn::Failure,
};
use object::Response;

pub use events::ResponseEvents;
pub use input_items::{InputItemsQuery, ItemOrder, input_items};

mod echo;
mod events;
mod input_items;
mod object;
#[cfg(test)]
mod tests;
pub mod webhook;

/// How the id of a response begins.
const ID_PREFIX: &str = "resp_";

/// The id of a message's response: `resp_<32 hex>`.
pub fn response_id(message: MessageId) -> String {
    format!("{ID_PREFIX}{}", message.as_uuid().as_simple())
}

/// The message of a response id, in exactly the form of [`response_id`].
pub fn parse_response_id(id: &str) -> Option<MessageId> {
    let message = MessageId::parse(id.strip_prefix(ID_PREFIX)?)?;
    (response_id(message) == id).then_some(message)
}

/// The `status` of a response.
///
/// `incomplete` is none of them: no CLI tells that it was cut off at a token limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseStatus {
    /// It waits for a turn.
    Queued,
    /// A turn works on it.
    InProgress,
    /// It has its answer.
    Completed,
    /// It will get none.
    Failed,
    /// It was taken back.
    Cancelled,
}

impl From<TaskState> for ResponseStatus {
    fn from(state: TaskState) -> Self {
        match state {
            TaskState::Queued => Self::Queued,
            TaskState::Running => Self::InProgress,
            TaskState::Answered | TaskState::Done => Self::Completed,
            TaskState::Failed => Self::Failed,
            TaskState::Cancelled | TaskState::Expired => Self::Cancelled,
        }
    }
}

/// What a response object tells besides its request.
#[derive(Debug, Clone, Copy)]
struct Standing<'a> {
    status: ResponseStatus,
    answer: Option<&'a Answer>,
    failure: Option<&'a Failure>,
}

impl<'a> Standing<'a> {
    const fn open(status: ResponseStatus) -> Self {
        Self {
            status,
            answer: None,
            failure: None,
        }
    }

    fn of_outcome(outcome: &'a TaskOutcome) -> Self {
        let open = Self::open(outcome.state().into());
        match outcome {
            TaskOutcome::Answered(answer) => Self {
                answer: Some(answer),
                ..open
            },
            TaskOutcome::Failed(failure) => Self {
                failure: Some(failure),
                ..open
            },
            TaskOutcome::Done | TaskOutcome::Cancelled | TaskOutcome::Expired => open,
        }
    }

    fn of_record(record: &'a TaskRecord) -> Self {
        Self {
            status: record.state.into(),
            answer: record.answer.as_ref(),
            failure: record.failure.as_ref(),
        }
    }
}

/// The response object of a task that has just been kept: `status: "queued"`.
pub fn queued_response(task: &NewTask) -> String {
    Response::of(task).to_json(Standing::open(ResponseStatus::Queued))
}

/// The response object of a task that has ended like this.
pub fn ended_response(task: &NewTask, outcome: &TaskOutcome) -> String {
    Response::of(task).to_json(Standing::of_outcome(outcome))
}

/// The response object of a task as it is kept.
pub fn stored_response(record: &TaskRecord) -> String {
    Response::of(&record.task).to_json(Standing::of_record(record))
}

/// What tells that a response is gone.
pub fn deleted_response(message: MessageId) -> String {
    let id = response_id(message);
    to_text(&json!({"id": id, "object": "response", "deleted": true}))
}

/// Strings, numbers and values that were JSON always have a JSON form.
fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
