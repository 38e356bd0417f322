//! How each agent CLI is spoken to: one file and one row of the table a dialect.

use std::{path::Path, sync::Arc};

use postroom_actors::domain::{
    agent::Permissions,
    turn::{CliSession, Failure, TurnEvent, Usage},
};

/// How one CLI is spoken to.
pub trait Dialect: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// File names of the programs that speak it.
    fn programs(&self) -> &'static [&'static str];

    /// The arguments of a turn, after those of the configured command. Never holds the prompt.
    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String>;

    /// Variables that are set for a turn, whatever our own environment says.
    fn variables(&self, turn: &TurnShape<'_>) -> Vec<(&'static str, String)>;

    /// Variables of our own environment that are passed on besides the common ones; a name that ends
    /// in `*` stands for all that begin so.
    fn passed(&self) -> &'static [&'static str];

    /// Whether it can hold [`Permissions::Sandboxed`].
    fn can_sandbox(&self) -> bool;

    /// The longest prompt, in bytes.
    fn prompt_limit(&self) -> usize;

    /// The signal that asks a turn to end.
    fn stop_signal(&self) -> StopSignal;

    /// Reads the standard output of one turn. `usage_before` is the session's total before it, for
    /// CLIs that report a running total.
    fn reader(&self, usage_before: Option<Usage>) -> Box<dyn OutputReader>;
}

/// What a command line depends on.
#[derive(Debug, Clone, Copy)]
pub struct TurnShape<'a> {
    /// A new session or a known one.
    pub session: &'a CliSession,
    /// What the program may do.
    pub permissions: Permissions,
    /// The agent's folder.
    pub workspace: &'a Path,
    /// Where the turn runs.
    pub working_dir: &'a Path,
    /// Whether we are root, which some CLIs treat differently.
    pub is_root: bool,
}

/// The signal that asks a turn to end; always to its whole group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

/// Reads what a CLI prints in one turn.
pub trait OutputReader: Send {
    /// Takes one line without its newline, not valid UTF-8 replaced; adds what it means. Lines that
    /// mean nothing to it are passed over.
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>);

    /// Says what came of the turn, once its process has ended and all lines were read.
    fn finish(self: Box<Self>, end: &ProcessEnd<'_>) -> Verdict;
}

/// How a CLI's process ended, of its own accord.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnd<'a> {
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The last part of its standard error, at most 8 KiB.
    pub stderr_tail: &'a str,
}

/// What came of a turn, as its CLI tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The final message, or why there is none. An exit code of 0 is no success by itself.
    pub result: Result<Arc<str>, Failure>,
    /// What the turn used.
    pub usage: Option<Usage>,
    /// The session's running total, where that is what the CLI tells.
    pub usage_total: Option<Usage>,
}
