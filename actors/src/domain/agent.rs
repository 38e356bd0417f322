//! What an agent is: a CLI, a workspace, and bounds.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Serialize;

use super::{completion::MAILBOX_MODEL, ids::AgentId};

/// Names that no agent has: the home folder or the configuration keeps them for something else.
pub const RESERVED_NAMES: [&str; 9] = [
    "agent_replies",
    "default",
    "defaults",
    "logs",
    "mailbox",
    "max_turns",
    "skills",
    "store",
    "templates",
];

/// Everything that is settled about one agent before a turn begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentProfile {
    /// Its name.
    pub id: AgentId,
    /// How its tasks reach it.
    pub delivery: Delivery,
    /// Its folder: `SOUL.md`, `memory/`, `logs/`, `inbox/`, …
    pub workspace: PathBuf,
    /// Where its turns run; as a rule the workspace.
    pub working_dir: PathBuf,
    /// The program and its leading arguments; at least the program.
    pub command: Vec<String>,
    /// How the program is spoken to; empty: found from its name.
    pub dialect: String,
    /// What the program may do.
    pub permissions: Permissions,
    /// Variables that every turn is given besides the allow-list.
    pub environment: BTreeMap<String, String>,
    /// Bounds of one turn.
    pub limits: TurnLimits,
    /// Turns at once, at least 1.
    pub concurrency: usize,
    /// Tasks that may wait.
    pub queue: usize,
    /// What becomes of tasks that arrive while their session's turn runs.
    pub queue_mode: QueueMode,
    /// What becomes of a turn whose client has gone.
    pub on_disconnect: OnDisconnect,
    /// How often a task may be begun.
    pub max_attempts: u32,
    /// Models that it may be asked for; none: any.
    pub models: Vec<String>,
    /// The model of its embeddings; `None`: the common one.
    pub embeddings_model: Option<String>,
}

impl AgentProfile {
    /// Whether it may be asked for this model. Names that mean an agent, and no name at all, always
    /// pass: which model then works is the agent's own business.
    pub fn may_be_asked_for(&self, model: Option<&str>) -> bool {
        let Some(model) = model.map(str::trim).filter(|model| !model.is_empty()) else {
            return true;
        };
        let allowed = |known: &String| known == model;
        self.models.is_empty() || self.models.iter().any(allowed) || self.is_meant_by(model)
    }

    fn is_meant_by(&self, model: &str) -> bool {
        let model = model.to_ascii_lowercase();
        model == MAILBOX_MODEL
            || model == "openclaw"
            || ["openclaw/", "openclaw:", "agent:"]
                .iter()
                .any(|prefix| model.starts_with(prefix))
            || model == self.id.as_str()
    }
}

/// How tasks reach an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// By a turn of its CLI.
    Turn,
    /// By a file in its inbox.
    Inbox,
}

/// What a turn's program may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permissions {
    /// It asks nobody: no approvals, no sandbox.
    Bypass,
    /// It stays in the CLI's own sandbox: writes in the workspace only, may call back on loopback.
    Sandboxed,
}

/// What becomes of a turn whose client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDisconnect {
    /// It goes on.
    Finish,
    /// It is cancelled.
    Cancel,
}

/// What becomes of tasks that arrive while their session's turn runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueMode {
    /// They wait; the next turn takes all that wait, in order.
    Followup,
    /// As `Followup`, and a turn begins only once the session has been quiet for so long.
    Collect(Duration),
    /// They cancel the turn that runs.
    Interrupt,
}

/// Bounds of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnLimits {
    /// The whole turn; default 300 s.
    pub whole: Duration,
    /// Longest silence on both outputs; zero: no limit.
    pub idle: Duration,
    /// Between asking a turn to end and ending it; default 3 s.
    pub grace: Duration,
}
