//! `[agents]` as it is meant: an agent's own keys over those of `[agents.defaults]` over what is
//! built in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use postroom_actors::domain::{
    agent::{AgentProfile, Delivery, OnDisconnect, Permissions, QueueMode, TurnLimits},
    ids::AgentId,
};
use thiserror::Error;

use super::{Secret, raw::QueueModeKind};

/// The agent that is always there where agents run.
const MANAGER: &str = "manager";

/// How programs can be spoken to; an empty name: found from the name of the program.
pub const DIALECTS: [&str; 8] = [
    "codex", "claude", "gemini", "opencode", "openclaw", "qwen", "copilot", "command",
];

/// `[agents]`
#[derive(Debug, Clone)]
pub struct AgentsSettings {
    /// Turns at once, all agents together; at least 1. Default: the number of cores.
    pub max_turns: usize,
    /// The agent that messages without a name go to; default `manager`.
    pub default: AgentId,
    /// What holds for agents that have no table of their own.
    pub defaults: AgentSettings,
    /// The agents that have one, each whole.
    pub named: BTreeMap<AgentId, AgentSettings>,
    pub(super) paths: Paths,
}

/// `[agents.defaults]`, or `[agents.NAME]` over it.
#[derive(Debug, Clone)]
pub struct AgentSettings {
    /// The program and its leading arguments as they are written; default `codex`.
    pub cli: String,
    /// The same in words; at least the program, which is absolute where it was written as a path.
    pub command: Vec<String>,
    /// One of [`DIALECTS`], or empty: found from the name of the program.
    pub dialect: String,
    /// How tasks reach it; default: by turns.
    pub delivery: Delivery,
    /// Where turns run, absolute; `None`: in the workspace, but see [`AgentsSettings::profile`].
    pub working_dir: Option<PathBuf>,
    /// Bound of a whole turn, longer than 0; default 300 s.
    pub turn_timeout: Duration,
    /// Bound of a turn's silence; 0: none, the default.
    pub idle_timeout: Duration,
    /// Between asking a turn to end and ending it; default 3 s.
    pub grace: Duration,
    /// Turns at once, 1 to 1024; default 1.
    pub concurrency: usize,
    /// Tasks that may wait, 1 to 1,000,000; default 1000.
    pub queue: usize,
    /// What becomes of tasks that arrive while their session's turn runs; default `followup`.
    pub queue_mode: QueueModeKind,
    /// How long a session must be quiet with [`QueueModeKind::Collect`], longer than 0; default 1 s.
    pub collect_window: Duration,
    /// What becomes of a turn whose client has gone; default: it goes on.
    pub on_disconnect: OnDisconnect,
    /// What the program may do; default: everything.
    pub permissions: Permissions,
    /// Models that it may be asked for; empty: all.
    pub models: Vec<String>,
    /// Its embeddings model; empty: the common one.
    pub embeddings_model: String,
    /// Variables that a turn is given besides the allow-list.
    pub env: BTreeMap<String, Secret>,
    /// How often a task may be begun, 1 to 1000; default 3.
    pub max_attempts: u32,
}

/// A command that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// Nothing is in it.
    #[error("the command is empty; name a program, such as `codex`")]
    Empty,
    /// A quote has no end, or the text ends with a backslash.
    #[error("the command has a quote without its end: write a word with spaces as 'a word'")]
    Quotes,
    /// It holds what no argument can hold.
    #[error("the command holds a NUL byte")]
    Nul,
    /// It begins with `~/`, and there is no home directory.
    #[error("the command begins with `~/`, and no home directory is known; write the whole path")]
    NoHome,
}

/// What paths of programs begin from.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    pub(super) working_dir: PathBuf,
    pub(super) user_home: Option<PathBuf>,
}

impl Paths {
    /// Takes a command into words as a shell does (quotes, backslashes, nothing else). A program
    /// that is written as a path becomes absolute: turns run in other folders.
    pub(super) fn command(&self, cli: &str) -> Result<Vec<String>, CommandError> {
        if cli.contains('\0') {
            return Err(CommandError::Nul);
        }
        let mut words = shlex::split(cli).ok_or(CommandError::Quotes)?;
        match words.first_mut() {
            Some(program) if !program.is_empty() => *program = self.program(program)?,
            _ => return Err(CommandError::Empty),
        }
        Ok(words)
    }

    fn program(&self, written: &str) -> Result<String, CommandError> {
        let path = match written.strip_prefix("~/") {
            Some(inside) => self
                .user_home
                .as_ref()
                .ok_or(CommandError::NoHome)?
                .join(inside),
            None if written.contains('/') => self.working_dir.join(written),
            None => return Ok(written.to_owned()),
        };
        let tidy: PathBuf = path.components().collect();
        // What was written is UTF-8, and a folder that is not cannot be put in front of it.
        Ok(tidy
            .to_str()
            .map_or_else(|| written.to_owned(), str::to_owned))
    }

    /// Where the manager works as long as nothing else is said: `~/.openclaw/workspace`.
    fn of_manager(&self) -> Option<PathBuf> {
        Some(self.user_home.as_ref()?.join(".openclaw/workspace"))
    }
}

impl AgentsSettings {
    /// Whether the turn of any agent ends when its client goes away.
    pub fn any_ends_with_its_client(&self) -> bool {
        std::iter::once(&self.defaults)
            .chain(self.named.values())
            .any(|agent| agent.on_disconnect == OnDisconnect::Cancel)
    }

    /// The settings of an agent: its own, or those of agents that have none.
    pub fn of(&self, id: &AgentId) -> &AgentSettings {
        self.named.get(id).unwrap_or(&self.defaults)
    }

    /// Everything that is settled about an agent before its turns. `hired_cli` is the command that
    /// it was hired with: it wins over a configured one, whose dialect then does not hold.
    ///
    /// `manager` works in `~/.openclaw/workspace`, other agents in their workspace, where
    /// `working_dir` says nothing else.
    ///
    /// # Errors
    /// [`CommandError`] of `hired_cli`.
    pub fn profile(
        &self,
        id: &AgentId,
        workspace: PathBuf,
        hired_cli: Option<&str>,
    ) -> Result<AgentProfile, CommandError> {
        let mut profile = self.of(id).profile(id.clone(), workspace);
        if let Some(cli) = hired_cli {
            profile.command = self.paths.command(cli)?;
            profile.dialect = String::new();
        }
        if let Some((manager, folder)) = self.folder_to_make()
            && manager == *id
        {
            profile.working_dir = folder;
        }
        Ok(profile)
    }

    /// The one folder outside of the home folder that is made where it is missing: the manager's
    /// default working folder. `None` where `working_dir` names another one, or there is no home
    /// directory; then the manager works in its workspace. A configured folder is never made.
    pub fn folder_to_make(&self) -> Option<(AgentId, PathBuf)> {
        let manager = AgentId::parse(MANAGER).ok()?;
        if self.of(&manager).working_dir.is_some() {
            return None;
        }
        Some((manager, self.paths.of_manager()?))
    }
}

impl AgentSettings {
    /// These settings as the core takes them. Without `working_dir`, turns run in the workspace.
    pub fn profile(&self, id: AgentId, workspace: PathBuf) -> AgentProfile {
        let shown = |(name, value): (&String, &Secret)| (name.clone(), value.expose().to_string());
        AgentProfile {
            id,
            delivery: self.delivery,
            working_dir: self
                .working_dir
                .as_deref()
                .map_or_else(|| workspace.clone(), Path::to_path_buf),
            workspace,
            command: self.command.clone(),
            dialect: self.dialect.clone(),
            permissions: self.permissions,
            environment: self.env.iter().map(shown).collect(),
            limits: TurnLimits {
                whole: self.turn_timeout,
                idle: self.idle_timeout,
                grace: self.grace,
            },
            concurrency: self.concurrency,
            queue: self.queue,
            queue_mode: self.queue_mode(),
            on_disconnect: self.on_disconnect,
            max_attempts: self.max_attempts,
            models: self.models.clone(),
            embeddings_model: Some(self.embeddings_model.clone()).filter(|model| !model.is_empty()),
        }
    }

    fn queue_mode(&self) -> QueueMode {
        match self.queue_mode {
            QueueModeKind::Followup => QueueMode::Followup,
            QueueModeKind::Collect => QueueMode::Collect(self.collect_window),
            QueueModeKind::Interrupt => QueueMode::Interrupt,
        }
    }
}
