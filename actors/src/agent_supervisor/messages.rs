//! What an agent's supervisor is told and asked.

use std::{path::PathBuf, sync::Arc};

use actix::Message;
use chrono::{DateTime, Utc};
use serde::Serialize;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::{
    domain::{
        agent::{Delivery, Permissions},
        agent_message::IdempotencyKey,
        ids::{AgentId, MessageId, SessionKey, TurnId},
        party::Party,
        task::{NewTask, TaskOutcome},
        turn::Failure,
    },
    feed::{Feed, TaskEvent},
    ports::StoreError,
};

/// Gives an agent something to do.
///
/// The reply comes once the task is kept; its feed tells the rest.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct QueueTask {
    /// The task.
    pub task: Arc<NewTask>,
    /// Where its sender gave it an id.
    pub once: Option<IdempotencyKey>,
    /// Hears that it is kept, or why not. Nobody listening takes nothing back.
    pub reply: oneshot::Sender<Result<Feed<TaskEvent>, QueueError>>,
}

/// Why an agent does not take a task. Nothing of it is kept.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum QueueError {
    /// The store did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// As much waits as may wait.
    #[error(
        "{waiting} tasks wait for agent `{agent}`, which is its limit (`queue`); try again later"
    )]
    Full {
        /// The agent.
        agent: AgentId,
        /// How many wait.
        waiting: usize,
    },
    /// It was stopped by an operator.
    #[error("agent `{0}` is stopped; start it with `POST /agents/{0}/start`")]
    Stopped(AgentId),
    /// Its turns failed to start too often.
    #[error("agent `{agent}` is parked: {why}; mend that, then `POST /agents/{agent}/resume`")]
    Parked {
        /// The agent.
        agent: AgentId,
        /// What failed.
        why: String,
    },
    /// The service is about to stop.
    #[error("the service is stopping; try again shortly")]
    Stopping,
    /// Its sender has sent it before: this is that one.
    #[error("this is a repeat of message `{0}`")]
    Duplicate(MessageId),
    /// Its sender has sent another body under the same id.
    #[error(
        "message `{0}` was sent under the same id with another body; use a new id for a new message"
    )]
    Conflict(MessageId),
}

/// Lets a message that failed be worked on again, with no attempts behind it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RetryTask {
    /// Which task.
    pub task: MessageId,
    /// Answers whether it had failed.
    pub reply: oneshot::Sender<Result<bool, StoreError>>,
}

/// A turn has sent a message; it is kept already. Shown to those who follow the turn.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CallbackReceived {
    /// Which turn.
    pub turn: TurnId,
    /// The message.
    pub message: MessageId,
    /// Its type.
    pub kind: Arc<str>,
    /// Who gets it.
    pub to: Party,
}

/// Takes a task back: one that waits is never begun, a turn that works on it alone is ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CancelTask {
    /// Which task.
    pub task: MessageId,
    /// Answers whether it had not ended before; once its processes are gone.
    pub reply: oneshot::Sender<Result<bool, StoreError>>,
}

/// Ends a running turn; its tasks are cancelled.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CancelTurn {
    /// Which turn.
    pub turn: TurnId,
    /// Answers whether it ran; once its processes are gone.
    pub reply: oneshot::Sender<bool>,
}

/// Ends a task with an answer that came by `/agent-reply`.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AnswerTask {
    /// Which task.
    pub task: MessageId,
    /// How it ends.
    pub outcome: TaskOutcome,
    /// Answers whether it had not ended before.
    pub reply: oneshot::Sender<Result<bool, StoreError>>,
}

/// Tells an agent to take turns, or not to.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub enum SetRunState {
    /// No turns from now on; those that run are interrupted, what waits goes on waiting.
    Stop,
    /// Turns again; also out of being parked.
    Start,
}

/// Lets an agent come to rest before the service ends.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WindDown {
    /// Whether turns that run are ended too; otherwise only no new ones begin.
    pub interrupt: bool,
    /// Whether the actor then stops; what waits is left to its successor.
    pub stop: bool,
    /// Hears when no turn runs.
    pub reply: oneshot::Sender<()>,
}

/// Ends an agent for good: what waits fails, what runs is cancelled, then the actor stops.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Retire {
    /// Hears when all is ended.
    pub reply: oneshot::Sender<()>,
}

/// Asks an agent how it is.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "AgentStatus")]
pub struct GetAgentStatus;

/// How an agent is.
#[derive(Debug, Clone, Serialize, actix::MessageResponse)]
pub struct AgentStatus {
    /// Its name.
    pub id: AgentId,
    /// What it does.
    pub state: AgentState,
    /// Why it is parked or cannot start turns, in words.
    pub problem: Option<String>,
    /// How tasks reach it.
    pub delivery: Delivery,
    /// What its turns may do.
    pub permissions: Permissions,
    /// Its command, in one line.
    pub cli: String,
    /// Its folder.
    pub workspace: PathBuf,
    /// Turns that run now.
    pub turns: Vec<RunningTurnStatus>,
    /// Tasks that wait.
    pub waiting: usize,
    /// Since when the oldest of them waits.
    pub oldest_waiting_since: Option<DateTime<Utc>>,
    /// Why the next task waits, in words; `None` where none does.
    pub waits_for: Option<String>,
    /// How its last turn failed, if it did.
    pub last_failure: Option<Failure>,
}

/// What an agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// No turn runs.
    Idle,
    /// A turn runs.
    Running,
    /// It takes no turns until it is started.
    Stopped,
    /// It failed too often and takes no turns until it is resumed.
    Parked,
}

impl AgentState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Running, Self::Stopped, Self::Parked];

    /// Its word: in metrics and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Parked => "parked",
        }
    }
}

/// A turn that runs now.
#[derive(Debug, Clone, Serialize)]
pub struct RunningTurnStatus {
    /// Which turn.
    pub turn: TurnId,
    /// Its process group; `None` before it has one.
    pub pid: Option<u32>,
    /// In which session.
    pub session: SessionKey,
    /// Since when.
    pub since: DateTime<Utc>,
    /// What it works on.
    pub tasks: Vec<MessageId>,
}
