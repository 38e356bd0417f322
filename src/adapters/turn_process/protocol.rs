//! What the broker and the runner of one turn say to each other: one JSON object a line, over a
//! socket that is the runner's standard input.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// The first argument of the executable that makes it the runner of one turn.
pub const RUNNER_VERB: &str = "turn-runner";

/// The variable that all processes of a turn carry: the turn's id.
pub const TURN_VARIABLE: &str = "POSTROOM_TURN_ID";

/// The variable that the runner of a turn carries in its place.
pub const RUNNER_VARIABLE: &str = "POSTROOM_RUNNER_OF";

/// Asks the runner to end the turn: signal, grace, kill.
pub const STOP: &[u8] = b"stop\n";

/// Asks the runner to kill the turn at once.
pub const KILL: &[u8] = b"kill\n";

/// What to run; the broker's first line. Holds secrets in `environment`.
#[derive(Serialize, Deserialize)]
pub struct Order {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments, without its own name.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// Where it runs; absolute.
    pub working_dir: PathBuf,
    /// Handed over on its standard input.
    pub prompt: Arc<str>,
    /// Milliseconds between asking it to end and ending it.
    pub grace_ms: u64,
    /// Whether it is asked by SIGINT; else by SIGTERM.
    pub stops_by_interrupt: bool,
}

/// What the runner tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The program runs.
    Started {
        /// The leader of its process group.
        pid: u32,
    },
    /// The program does not start; the last report then.
    CannotStart {
        /// Why, for programs.
        kind: StartProblem,
        /// Why, in the system's words.
        reason: String,
    },
    /// The program itself has ended.
    Left(Left),
    /// All processes of the turn have ended; the last report.
    Gone {
        /// Processes that outlived the program and were killed.
        killed: u32,
    },
}

/// How a program ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its exit code, where it had one.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
}

/// The kinds of problems at the start of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartProblem {
    /// There is no such file.
    NotFound,
    /// The machine has no more processes, files or memory.
    NoRoom,
    /// Anything else.
    Other,
}

impl StartProblem {
    /// Which of them an error of the system is.
    pub fn of(error: &io::Error) -> Self {
        let is_out_of_files = matches!(
            Errno::from_io_error(error),
            Some(Errno::MFILE | Errno::NFILE)
        );
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::OutOfMemory | ErrorKind::WouldBlock => Self::NoRoom,
            _ if is_out_of_files => Self::NoRoom,
            _ => Self::Other,
        }
    }
}
