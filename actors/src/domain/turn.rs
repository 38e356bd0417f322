//! A turn: one run of an agent's CLI with one prompt.
//!
//! `starting → running → done | failed | timed-out | cancelled | interrupted`. What waits for a
//! turn is a task ([`super::task`]); a turn is kept from the moment before its process starts.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    ids::{AgentId, MessageId, SessionKey, TurnId},
    party::Party,
    task::TaskOutcome,
};

/// Where a turn stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnState {
    /// It is kept; its process is about to start.
    Starting,
    /// Its process runs.
    Running,
    /// It ended well.
    Done,
    /// It ended without success; see its failure.
    Failed,
    /// It was ended at its deadline.
    TimedOut,
    /// It was ended because somebody asked for it.
    Cancelled,
    /// The broker ended while it ran.
    Interrupted,
}

impl TurnState {
    /// Its word: in the store, in metrics and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed-out",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether its processes are gone.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Starting | Self::Running)
    }
}

/// Tokens and cost of one turn, as the CLI reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input_tokens: u64,
    /// Of these, from a cache.
    pub cached_input_tokens: u64,
    /// Tokens written, reasoning included.
    pub output_tokens: u64,
    /// Of these, for reasoning.
    pub reasoning_tokens: u64,
    /// In millionths of a US dollar, where it is told.
    pub cost_microdollars: Option<u64>,
}

impl Eq for Usage {}

/// Why a task got no answer, or a turn no success. `code` is for programs, `message` for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct Failure {
    /// Which kind of failure.
    pub code: FailureCode,
    /// In words; the CLI's own where it said some. Holds no secret and at most 2 KiB.
    pub message: String,
}

/// The kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The program was not found, or cannot be started. The prompt was never handed over.
    CannotStart,
    /// The CLI said that the turn failed.
    TurnFailed,
    /// The CLI ended well but gave no answer.
    NoAnswer,
    /// The turn was ended at its deadline.
    TimedOut,
    /// The turn was cancelled.
    Cancelled,
    /// The broker was stopped or crashed while the turn ran.
    Interrupted,
    /// The CLI no longer knows the session that was to be resumed. The prompt was not worked on.
    SessionLost,
    /// The prompt is too long for the CLI.
    PromptTooLong,
    /// It was begun as often as it may be.
    OutOfAttempts,
    /// The agent was removed.
    AgentRemoved,
}

impl FailureCode {
    /// Its word: in metrics and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CannotStart => "cannot_start",
            Self::TurnFailed => "turn_failed",
            Self::NoAnswer => "no_answer",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
            Self::SessionLost => "session_lost",
            Self::PromptTooLong => "prompt_too_long",
            Self::OutOfAttempts => "out_of_attempts",
            Self::AgentRemoved => "agent_removed",
        }
    }
}

/// A turn about to begin, as the store keeps it before its process starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnStart {
    /// Its id.
    pub id: TurnId,
    /// Whose turn.
    pub agent: AgentId,
    /// In which session.
    pub session: SessionKey,
    /// What it works on, in order; at least one.
    pub tasks: Vec<MessageId>,
    /// The CLI's session that it resumes, or that we chose for it.
    pub cli_session: Option<String>,
    /// Now.
    pub started_at: DateTime<Utc>,
}

/// A turn that has ended, and what becomes of its tasks: one transaction. With
/// [`FailureCode::SessionLost`] the session's CLI id is forgotten too: the next turn begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnEnd {
    /// Which turn.
    pub id: TurnId,
    /// How it ended.
    pub state: TurnState,
    /// The process's exit code, where it had one.
    pub exit_code: Option<i32>,
    /// The signal that ended the process, where one did.
    pub signal: Option<i32>,
    /// What it used.
    pub usage: Option<Usage>,
    /// Where the CLI counts a session's total: that total, for the next turn to subtract.
    pub usage_total: Option<Usage>,
    /// Why it had no success.
    pub failure: Option<Failure>,
    /// Its transcript.
    pub transcript: Option<PathBuf>,
    /// Now.
    pub ended_at: DateTime<Utc>,
    /// What becomes of its tasks; each of them once.
    pub tasks: Vec<(MessageId, AfterTurn)>,
}

/// What becomes of a task when its turn has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterTurn {
    /// It has ended too.
    Ended(TaskOutcome),
    /// It lies in the agent's inbox and stays open until it is answered from there.
    Delivered,
    /// It waits for another turn.
    Again {
        /// Not before this time.
        not_before: Option<DateTime<Utc>>,
        /// Whether the turn counted as an attempt.
        counts: bool,
    },
}

/// A turn as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TurnRecord {
    /// Its id.
    pub id: TurnId,
    /// Whose turn.
    pub agent: AgentId,
    /// In which session.
    pub session: SessionKey,
    /// Where it stands.
    pub state: TurnState,
    /// What it works on, in order.
    pub tasks: Vec<MessageId>,
    /// The CLI's session.
    pub cli_session: Option<String>,
    /// When it was kept.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The process's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the process.
    pub signal: Option<i32>,
    /// What it used.
    pub usage: Option<Usage>,
    /// Why it had no success.
    pub failure: Option<Failure>,
    /// Callbacks that it made.
    pub callbacks: u32,
    /// Its transcript.
    pub transcript: Option<PathBuf>,
}

/// What is kept of one session of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionRecord {
    /// The CLI's own id of it; `None` until a turn has told or chosen one.
    pub cli_session: Option<String>,
    /// The CLI's running total of usage.
    pub usage_total: Option<Usage>,
    /// Turns that ended in it.
    pub turns: u32,
}

/// What a running turn is seen to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnEvent {
    /// Its process runs.
    Started {
        /// The leader of its process group.
        pid: u32,
    },
    /// The CLI told the id of its session.
    Session(String),
    /// The agent says something: a whole message or a piece of one.
    Said(Arc<str>),
    /// A message of the agent is complete; what it says next is a new one.
    MessageEnded,
    /// A tool is called: its name or command, shortened.
    Tool(Arc<str>),
    /// The CLI has trouble that is not the end (a retry, a warning), in its own words, shortened.
    Trouble(Arc<str>),
    /// It sent a message by `/send`.
    CalledBack {
        /// The message.
        message: MessageId,
        /// Its type.
        kind: Arc<str>,
        /// Who gets it.
        to: Party,
    },
    /// All processes of the turn are gone. Always the last event.
    Exited(Box<TurnExit>),
}

/// How a turn's processes ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnExit {
    /// What came of it.
    pub result: TurnResult,
    /// The leader's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the leader.
    pub signal: Option<i32>,
    /// What the turn used.
    pub usage: Option<Usage>,
    /// The session's running total, where the CLI tells that one.
    pub usage_total: Option<Usage>,
    /// Processes that outlived the leader and were killed.
    pub killed: u32,
    /// Its transcript, where one could be written.
    pub transcript: Option<PathBuf>,
}

impl TurnExit {
    /// The end of a turn of whose processes nothing is known.
    pub const fn unseen(result: TurnResult) -> Self {
        Self {
            result,
            exit_code: None,
            signal: None,
            usage: None,
            usage_total: None,
            killed: 0,
            transcript: None,
        }
    }
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnResult {
    /// The CLI reported success; the final message, which may be empty.
    Done(Arc<str>),
    /// It failed.
    Failed(Failure),
    /// It was ended at its deadline.
    TimedOut(Failure),
    /// It was ended because it was asked to be.
    Stopped,
}

/// How a turn joins a session of the CLI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CliSession {
    /// A new session. A CLI that lets us choose its id gets this one.
    New(String),
    /// The session of this id.
    Resume(String),
}

/// Everything that a launcher needs for one turn.
#[derive(Debug, Clone)]
pub struct TurnOrder {
    /// Which turn.
    pub turn: TurnId,
    /// The agent.
    pub profile: Arc<super::agent::AgentProfile>,
    /// The session.
    pub session: CliSession,
    /// The CLI's running total of usage before this turn.
    pub usage_before: Option<Usage>,
    /// Handed over on standard input.
    pub prompt: Arc<str>,
    /// `POSTROOM_…` and `TRACEPARENT`; holds the turn's token.
    pub variables: Vec<(&'static str, String)>,
}
