//! A task: one accepted message that an agent is to work on, and what became of it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    agent_message::{Envelope, Priority},
    envelope::Sequence,
    ids::{AgentId, MessageId, SessionKey, TurnId},
    turn::{Failure, Usage},
};

/// Which surface a task came in by; decides how its body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskOrigin {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/responses`.
    Response,
    /// `POST /message` of a peer, or `POST /send` of a local agent.
    Message,
}

/// A task on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact about the task"
)]
pub struct NewTask {
    /// Its id, made at the door; also the message's id, and the response's (`resp_<32 hex>`).
    pub id: MessageId,
    /// Who works on it.
    pub agent: AgentId,
    /// What it belongs together with.
    pub session: SessionKey,
    /// Which surface it came in by.
    pub origin: TaskOrigin,
    /// Whose key it came with; may read it later.
    pub caller: Option<Arc<str>>,
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// The request's JSON as it came.
    pub body: Bytes,
    /// It is begun again after a crash of CLI or broker (background responses, messages); what
    /// somebody waits for on an open connection is begun once.
    pub is_background: bool,
    /// Its answer is read as it comes, and so is all that the agent says, not the last message
    /// alone.
    pub is_streamed: bool,
    /// Whether it may be read later (`store` of a response).
    pub is_kept: bool,
    /// W3C trace context of the request.
    pub traceparent: Option<String>,
    /// Who, to whom, about what; with [`TaskOrigin::Message`].
    pub envelope: Option<Arc<Envelope>>,
    /// The courier hands it over: keeping it is the end of a delivery, and counted as such. Not
    /// kept itself.
    pub is_handed_over: bool,
}

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// It waits for a turn.
    Queued,
    /// A turn works on it, or it lies in the agent's inbox.
    Running,
    /// It has an answer.
    Answered,
    /// Its turn ended well and it needs no answer.
    Done,
    /// It has none, and will not get one.
    Failed,
    /// It was taken back.
    Cancelled,
    /// It was of no use any more before a turn began with it.
    Expired,
}

impl TaskState {
    /// Its word: in the store and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Answered => "answered",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more will happen to it.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOutcome {
    /// With an answer.
    Answered(Answer),
    /// Without one, as it should (a `/message` whose turn ended well).
    Done,
    /// It will not be answered.
    Failed(Failure),
    /// It was taken back.
    Cancelled,
    /// It was of no use any more before a turn began with it.
    Expired,
}

impl TaskOutcome {
    /// The state it leaves the task in.
    pub const fn state(&self) -> TaskState {
        match self {
            Self::Answered(_) => TaskState::Answered,
            Self::Done => TaskState::Done,
            Self::Failed(_) => TaskState::Failed,
            Self::Cancelled => TaskState::Cancelled,
            Self::Expired => TaskState::Expired,
        }
    }
}

/// What an agent answered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The text: the final message, or for a streamed task all that was said.
    pub text: Arc<str>,
    /// The lengths in bytes of the pieces that the text was streamed in; empty: one piece. Their sum
    /// is the text's length.
    pub pieces: Vec<u32>,
    /// What the turn used, where the CLI reports it.
    pub usage: Option<Usage>,
}

/// A task as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its place in the order of acceptance of tasks.
    pub sequence: Sequence,
    /// What came in.
    pub task: Arc<NewTask>,
    /// Where it stands.
    pub state: TaskState,
    /// How often a turn was begun for it.
    pub attempts: u32,
    /// Its last turn.
    pub turn: Option<TurnId>,
    /// When a turn first began with it.
    pub started_at: Option<DateTime<Utc>>,
    /// Set with [`TaskState::Answered`].
    pub answer: Option<Answer>,
    /// Set with [`TaskState::Failed`].
    pub failure: Option<Failure>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
}

impl WaitingTask {
    /// When it expires; `None` where it does not, or a turn has begun with it already.
    pub fn expiry(&self) -> Option<DateTime<Utc>> {
        self.expires_at.filter(|_time| self.attempts == 0)
    }
}

impl TaskRecord {
    /// How it ended; `None` while it has not.
    pub fn outcome(&self) -> Option<TaskOutcome> {
        match self.state {
            TaskState::Queued | TaskState::Running => None,
            TaskState::Answered => self.answer.clone().map(TaskOutcome::Answered),
            TaskState::Done => Some(TaskOutcome::Done),
            TaskState::Failed => self.failure.clone().map(TaskOutcome::Failed),
            TaskState::Cancelled => Some(TaskOutcome::Cancelled),
            TaskState::Expired => Some(TaskOutcome::Expired),
        }
    }
}

/// What the supervisor keeps in memory of a task that waits: no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingTask {
    /// Its place in the order.
    pub sequence: Sequence,
    /// Its id.
    pub id: MessageId,
    /// What it belongs together with.
    pub session: SessionKey,
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// How often a turn was begun for it.
    pub attempts: u32,
    /// Not before this time.
    pub not_before: Option<DateTime<Utc>>,
    /// It is begun again after a crash.
    pub is_background: bool,
    /// How urgent it is.
    pub priority: Priority,
    /// When it is of no use any more.
    pub expires_at: Option<DateTime<Utc>>,
    /// The turn that worked on it when the broker ended; `None` where it waited.
    pub interrupted_turn: Option<TurnId>,
}
