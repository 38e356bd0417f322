//! How each agent CLI is spoken to: one file and one row of the table a dialect.

mod claude;
mod claude_stream;
mod codex;
mod command;
mod copilot;
mod gemini;
mod json_lines;
mod openclaw;
mod opencode;
mod outcome;
mod qwen;
mod speech;
mod usage;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use postroom_actors::domain::{
    agent::Permissions,
    turn::{CliSession, Failure, TurnEvent, Usage},
};
use thiserror::Error;

/// Every dialect, one row each; the last one takes programs that no other row names.
pub static DIALECTS: [&dyn Dialect; 8] = [
    &codex::Codex,
    &claude::Claude,
    &gemini::Gemini,
    &opencode::Opencode,
    &openclaw::Openclaw,
    &qwen::Qwen,
    &copilot::Copilot,
    &ANY_PROGRAM,
];

static ANY_PROGRAM: command::Command = command::Command;

/// Longest prompt of an agent CLI, in bytes. codex takes 1 Mi characters and the conversation's own
/// instructions count too.
const PROMPT_LIMIT: usize = 768 << 10;

/// What a program's file name may end in besides its name.
const SUFFIXES: [&str; 5] = [".js", ".mjs", ".cjs", ".exe", ".cmd"];

/// No dialect has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no dialect `{name}`; known are {known}")]
pub struct UnknownDialect {
    /// The name that was asked for.
    pub name: String,
    /// The names that there are, each in backticks.
    pub known: String,
}

/// The dialect of this name; where the name is empty, that of the program by its file name, which
/// is `command` for a program that no dialect names.
///
/// # Errors
/// [`UnknownDialect`] where a name is given and no dialect has it.
pub fn dialect(name: &str, program: &str) -> Result<&'static dyn Dialect, UnknownDialect> {
    if name.is_empty() {
        return Ok(dialect_of(program));
    }
    DIALECTS
        .into_iter()
        .find(|dialect| dialect.name() == name)
        .ok_or_else(|| UnknownDialect {
            name: name.to_owned(),
            known: DIALECTS
                .map(|dialect| format!("`{}`", dialect.name()))
                .join(", "),
        })
}

fn dialect_of(program: &str) -> &'static dyn Dialect {
    let file_name = Path::new(program)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let stem = SUFFIXES
        .iter()
        .find_map(|suffix| file_name.strip_suffix(suffix))
        .unwrap_or(file_name);
    DIALECTS
        .into_iter()
        .find(|dialect| dialect.programs().contains(&stem))
        .unwrap_or(&ANY_PROGRAM)
}

fn owned(arguments: &[&str]) -> Vec<String> {
    arguments
        .iter()
        .map(|&argument| argument.to_owned())
        .collect()
}

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

    /// Whether it can hold [`Permissions::Sandboxed`]; most have nothing that keeps a called shell in
    /// the workspace.
    fn can_sandbox(&self) -> bool {
        false
    }

    /// The longest prompt, in bytes.
    fn prompt_limit(&self) -> usize {
        PROMPT_LIMIT
    }

    /// The signal that asks a turn to end.
    fn stop_signal(&self) -> StopSignal {
        StopSignal::Terminate
    }

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
