//! `[agents]`: known and typed, so that a file for the whole product is read.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{OnDisconnect, duration::DurationValue};

/// `[agents]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
pub struct RawAgents {
    /// Turns at once, all agents together; 0: one a core.
    pub max_turns: Option<u16>,
    /// The agent that messages without a name go to.
    pub default: Option<String>,
    /// What holds for every agent that does not say otherwise.
    #[serde(default)]
    pub defaults: RawAgent,
    /// One table an agent.
    #[serde(flatten)]
    pub named: BTreeMap<String, RawAgent>,
}

/// `[agents.defaults]` and `[agents.NAME]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAgent {
    /// Program that runs a turn, with its first arguments; words as in a shell.
    pub cli: Option<String>,
    /// How that program is spoken to: `codex`, `claude`, `gemini`, `opencode`, `openclaw`, `qwen`, `copilot`, `command`; empty: found from its name.
    pub dialect: Option<String>,
    /// How the agent gets its messages.
    pub delivery: Option<DeliveryKind>,
    /// Folder that turns run in; empty: the workspace (`manager`: `~/.openclaw/workspace`).
    pub working_dir: Option<PathBuf>,
    /// Longest time for one turn.
    pub turn_timeout: Option<DurationValue>,
    /// Longest silence of a turn; 0: no limit.
    pub idle_timeout: Option<DurationValue>,
    /// Time between asking a turn to end and ending it.
    pub grace: Option<DurationValue>,
    /// Turns at once.
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: Option<u16>,
    /// Messages that may wait.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub queue: Option<u32>,
    /// What becomes of messages that arrive while a turn of their session runs.
    pub queue_mode: Option<QueueModeKind>,
    /// How long a session must be quiet with `queue_mode = "collect"`.
    pub collect_window: Option<DurationValue>,
    /// What becomes of a turn whose client has gone.
    pub on_disconnect: Option<OnDisconnect>,
    /// What the program may do.
    pub permissions: Option<Permissions>,
    /// Models that may be asked of the agent, and that it is shown; empty: all. Names of agents and `local-agent` always pass.
    pub models: Option<Vec<String>>,
    /// Its embeddings model; empty: as configured under `[embeddings]`.
    pub embeddings_model: Option<String>,
    /// Variables added to those that a turn is given.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Turns that may fail before a message is given up.
    #[schemars(range(min = 1, max = 1000))]
    pub max_attempts: Option<u16>,
}

/// `agents.NAME.delivery`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryKind {
    /// A turn of its program.
    Turn,
    /// A file in its inbox.
    Inbox,
}

/// `agents.NAME.permissions`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Permissions {
    /// The program asks nobody.
    Bypass,
    /// The program stays in its sandbox.
    Sandboxed,
}

/// `agents.NAME.queue_mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QueueModeKind {
    /// They wait; the next turn takes all that wait.
    Followup,
    /// The same, once the session has been quiet for a while.
    Collect,
    /// They cancel the turn that runs.
    Interrupt,
}
