//! What the agents' actors need: kept tasks and turns, processes, workspaces, tokens.

use std::{path::PathBuf, pin::Pin, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::Stream;
use thiserror::Error;

#[cfg(doc)]
use super::InboxStore;
use super::{InboxError, RenderFile, SendFuture, StoreError, WrittenFile};
use crate::domain::{
    agent::AgentProfile,
    agent_message::IdempotencyKey,
    ids::{AgentId, MessageId, SessionKey, TurnId},
    post::Queued,
    task::{NewTask, TaskOutcome, TaskRecord, WaitingTask},
    turn::{SessionRecord, TurnEnd, TurnEvent, TurnOrder, TurnRecord, TurnStart},
};

/// Tasks, turns and sessions of agents. Changes are entries of the store's group commit: see
/// [`super::MessageStore`] for their order and their errors.
pub trait TaskStore: Send + Sync + 'static {
    /// Keeps a task. One that was sent in a turn counts as that turn's callback, in the same
    /// transaction. A message whose id is kept already as a task is a duplicate too: handing it over
    /// again after a crash changes nothing.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn queue_task(
        &self,
        task: Arc<NewTask>,
        once: Option<IdempotencyKey>,
    ) -> SendFuture<Result<Queued, StoreError>>;

    /// Lets a task that failed wait again, with no attempts behind it and no time of expiry. Answers
    /// whether it was a message that had failed and was not dropped.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn revive_task(&self, task: MessageId) -> SendFuture<Result<bool, StoreError>>;

    /// Keeps a turn before its process starts; its tasks are running, with one attempt more.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn begin_turn(&self, turn: TurnStart) -> SendFuture<Result<(), StoreError>>;

    /// Keeps the id of the CLI's session, with the turn and with its session.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn note_cli_session(
        &self,
        turn: TurnId,
        cli_session: String,
    ) -> SendFuture<Result<(), StoreError>>;

    /// Keeps how a turn ended, what becomes of its tasks, and its session's numbers. A task that
    /// has ended meanwhile (cancelled, answered by `/agent-reply`) stays as it is.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn end_turn(&self, end: TurnEnd) -> SendFuture<Result<(), StoreError>>;

    /// Notes what a running turn does. A power cut may take it back.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn note_turn(&self, turn: TurnId, note: TurnNote) -> SendFuture<Result<(), StoreError>>;

    /// Ends a task outside of a turn. Answers whether it had not ended before.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn end_task(
        &self,
        task: MessageId,
        outcome: TaskOutcome,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>>;

    /// Makes a task unreadable (`DELETE` of a response). Answers whether it was there.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn forget_task(&self, task: MessageId) -> SendFuture<Result<bool, StoreError>>;

    /// An agent's tasks that have not ended, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn open_tasks(&self, agent: AgentId) -> SendFuture<Result<Vec<WaitingTask>, StoreError>>;

    /// Whole tasks in the order asked for; unknown and forgotten ones are left out.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn tasks(&self, ids: Vec<MessageId>) -> SendFuture<Result<Vec<TaskRecord>, StoreError>>;

    /// Turns that have not ended, of all agents or of one, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn unfinished_turns(
        &self,
        agent: Option<AgentId>,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>>;

    /// An agent's turns, newest first, older than `before` where it is given.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn turns_of(
        &self,
        agent: AgentId,
        before: Option<TurnId>,
        limit: usize,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>>;

    /// One turn.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn turn(&self, id: TurnId) -> SendFuture<Result<Option<TurnRecord>, StoreError>>;

    /// What is kept of a session; the default where there is nothing.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn session(
        &self,
        agent: AgentId,
        session: SessionKey,
    ) -> SendFuture<Result<SessionRecord, StoreError>>;
}

/// What is noted of a running turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnNote {
    /// Its process runs.
    Running,
    /// It called back.
    Callback,
}

/// Why a turn cannot be started. Its prompt was never handed over.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum LaunchError {
    /// No such program.
    #[error("program `{0}` was not found; install it, or set `cli` of the agent")]
    NotFound(String),
    /// The program is there but does not start.
    #[error("program `{program}` cannot be started: {reason}")]
    CannotStart {
        /// As it was configured.
        program: String,
        /// What the system said.
        reason: String,
    },
    /// The dialect has no such thing as a sandbox.
    #[error(
        "the dialect `{0}` has no sandbox; set `permissions = \"bypass\"` for the agent, and read in the README what that means"
    )]
    NoSandbox(&'static str),
    /// No such dialect.
    #[error("there is no dialect `{0}`; known are {1}")]
    UnknownDialect(String, String),
    /// The prompt is over the dialect's limit.
    #[error("the prompt has {size} bytes, `{dialect}` takes {limit}")]
    PromptTooLong {
        /// The dialect.
        dialect: &'static str,
        /// Its length in bytes.
        size: usize,
        /// The most that is taken, in bytes.
        limit: usize,
    },
    /// The machine has no more room (processes, files, memory) for it now.
    #[error("no room for another process now: {0}")]
    NoRoom(String),
}

/// What a running turn does, ending with [`TurnEvent::Exited`]. Dropping it kills the turn.
pub type TurnEvents = Pin<Box<dyn Stream<Item = TurnEvent> + Send>>;

/// A turn whose process runs.
pub struct RunningTurn {
    /// What it does.
    pub events: TurnEvents,
    /// Asks it to end: signal, grace, kill. The stream then ends with `Stopped`.
    pub stop: Box<dyn FnOnce() + Send>,
}

/// Runs turns as processes, and leaves none behind.
pub trait TurnLauncher: Send + Sync + 'static {
    /// Whether turns of this agent could start now: its program is there, its dialect can hold its
    /// permissions.
    ///
    /// # Errors
    /// [`LaunchError`].
    fn check(&self, profile: &AgentProfile) -> Result<(), LaunchError>;

    /// Starts a turn. It ends by itself at its limits.
    ///
    /// # Errors
    /// [`LaunchError`].
    fn launch(&self, order: TurnOrder) -> SendFuture<Result<RunningTurn, LaunchError>>;

    /// Ends what a former run of the broker left of these turns; answers how many processes.
    fn end_leftovers(&self, turns: Vec<TurnId>) -> SendFuture<usize>;
}

/// Makes the token that a turn shows when it calls back.
pub trait TurnTokens: Send + Sync + 'static {
    /// The token of a turn; the same one each time.
    fn token(&self, turn: TurnId) -> String;
}

/// What is kept of an agent in its own workspace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HiredAgent {
    /// The command that it was hired with; `None`: as configured.
    pub cli: Option<String>,
    /// It takes no turns until it is started again.
    pub is_stopped: bool,
}

/// A workspace that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeWorkspace {
    /// It was not there before.
    pub is_new: bool,
    /// What is kept of its agent: what it was hired with, now and before.
    pub hired: HiredAgent,
}

/// A workspace could not be made or read.
#[derive(Debug, Error)]
#[error("cannot use `{}`: {source}; check its permissions and its disk", .path.display())]
pub struct WorkspaceError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

/// The inboxes of agents whose tasks are delivered as files.
pub trait AgentInboxes: Send + Sync + 'static {
    /// Writes files into the inbox of the agent with this workspace; see [`InboxStore::write`].
    ///
    /// # Errors
    /// [`InboxError`], also where the inbox cannot be opened.
    fn write(
        &self,
        workspace: PathBuf,
        files: Vec<RenderFile>,
    ) -> SendFuture<Result<Vec<WrittenFile>, InboxError>>;
}

/// The home folder with the agents' workspaces.
pub trait AgentHome: Send + Sync + 'static {
    /// The agents whose workspaces are there: folders with `SOUL.md` or `control/`.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    fn adopt(&self) -> SendFuture<Result<Vec<(AgentId, HiredAgent)>, WorkspaceError>>;

    /// Makes what is missing of a workspace, overwrites nothing. `hired` is kept where it says
    /// something.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    fn make_workspace(
        &self,
        agent: AgentId,
        hired: HiredAgent,
        today: NaiveDate,
    ) -> SendFuture<Result<MadeWorkspace, WorkspaceError>>;

    /// Keeps whether an agent is stopped.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    fn note_stopped(
        &self,
        agent: AgentId,
        is_stopped: bool,
    ) -> SendFuture<Result<(), WorkspaceError>>;

    /// Keeps that an agent was removed: it is not adopted again. Its workspace stays as it is.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    fn note_removed(&self, agent: AgentId) -> SendFuture<Result<(), WorkspaceError>>;

    /// The workspace of an agent; it need not be there.
    fn workspace(&self, agent: &AgentId) -> PathBuf;
}

/// What came by `/agent-reply`, to be kept for whoever looks into the home folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReply {
    /// Names its file; made by us.
    pub id: MessageId,
    /// The reply as one JSON object.
    pub json: Bytes,
}

/// Keeps replies of agents as `<home>/agent_replies/<id>.json`.
pub trait AgentReplyStore: Send + Sync + 'static {
    /// Resolves when the file is there.
    ///
    /// # Errors
    /// [`WorkspaceError`].
    fn keep(&self, reply: KeptReply) -> SendFuture<Result<(), WorkspaceError>>;
}

/// Reads the end of a turn's transcript.
pub trait TranscriptTail: Send + Sync + 'static {
    /// Its last 16 KiB, from the beginning of a line on where there is one; `None` where there is
    /// no such file.
    fn tail(&self, path: PathBuf) -> SendFuture<Option<String>>;
}
