//! The options of the benchmark, and the hidden commands by which it starts itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs the predecessor, nginx and Postroom in turn on the same load and prints ratios.
#[derive(Parser)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct Options {
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
    /// A short look: cells of 1 s, one round, concurrency 1 and 16, sustained 3 s.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Parts to run; default: all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// How often each cell is run, interleaved; default: 3.
    #[arg(long)]
    rounds: Option<u32>,
    /// Length of a cell in seconds; default: 3. The sustained part is 10 times as long.
    #[arg(long)]
    seconds: Option<f64>,
    /// Clients at once; default: 1,16,64.
    #[arg(long, value_delimiter = ',')]
    concurrency: Vec<u32>,
    /// Which round stands for a cell.
    #[arg(long, value_enum, default_value_t = Pick::Median)]
    pub(crate) pick: Pick,
    /// Exit with 1 also where a required target was measured and missed.
    #[arg(long)]
    pub(crate) gate: bool,
    /// Keep the servers' folders after the run.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Where the servers keep their data; on the disk to be measured, never a RAM disk.
    #[arg(long, env = "POSTROOM_BENCH_DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The Postroom binary; default: `target/release/postroom`.
    #[arg(long, env = "POSTROOM_BIN")]
    pub(crate) postroom: Option<PathBuf>,
    /// A server of the benchmark's own, started by itself.
    #[command(subcommand)]
    pub(crate) child: Option<ChildCommand>,
}

/// What the benchmark runs as its own child.
#[derive(Subcommand, Clone)]
#[command(rename_all = "kebab-case")]
pub(crate) enum ChildCommand {
    /// Journal with group commit, and one file a message unless told otherwise.
    #[command(hide = true)]
    LimitServer {
        port: u16,
        folder: PathBuf,
        #[arg(long)]
        journal_only: bool,
    },
    /// A backend for relay cells.
    #[command(hide = true)]
    MockBackend {
        port: u16,
        #[command(flatten)]
        script: Script,
    },
}

/// What a mock backend answers.
#[derive(Args, Clone, Copy)]
pub(crate) struct Script {
    /// Events of a stream, the end mark not counted; 0: a JSON answer.
    #[arg(long, default_value_t = 0)]
    pub(crate) events: u32,
    /// Time between two of them, in ms.
    #[arg(long, default_value_t = 11)]
    pub(crate) gap_ms: u64,
}

impl Script {
    /// A fixed answer.
    pub(crate) const JSON: Self = Self {
        events: 0,
        gap_ms: 0,
    };
    /// What most stream cells read.
    pub(crate) const SHORT_STREAM: Self = Self {
        events: 51,
        gap_ms: 11,
    };

    /// An event every 20 ms for so long.
    pub(crate) fn steady(length: Duration) -> Self {
        let gap_ms = 20;
        let events = length.as_millis() / u128::from(gap_ms);
        Self {
            events: u32::try_from(events).unwrap_or(u32::MAX).max(1),
            gap_ms,
        }
    }
}

/// A part of the run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Start time and idle memory.
    Start,
    /// Accept, small bodies.
    Small,
    /// Accept, big bodies.
    Big,
    /// A long load, and whether the inbox keeps up.
    Sustained,
    /// Relay to a backend, and streams.
    Relay,
    /// Turns of an agent.
    Turns,
    /// The bridge to a remote proxy.
    Bridge,
    /// Messages between agents.
    Messages,
    /// What reading the metrics costs.
    Scrape,
}

/// Which round stands for a cell.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pick {
    /// The middle one, value by value.
    Median,
    /// The best one, value by value.
    Best,
}

impl Options {
    /// Whether this part is to be run.
    pub(crate) fn runs(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Rounds of each cell, at least 1.
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// Length of a cell.
    pub(crate) fn cell(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { 1.0 } else { 3.0 });
        Duration::from_secs_f64(seconds.clamp(0.1, 600.0))
    }

    /// Length of a sustained cell: 30 s unless told otherwise.
    pub(crate) fn sustained(&self) -> Duration {
        self.cell() * if self.quick { 3 } else { 10 }
    }

    /// Length of many streams at once: 10 s unless told otherwise.
    pub(crate) fn many_streams(&self) -> Duration {
        if self.quick {
            Duration::from_secs(4)
        } else {
            Duration::from_secs(10)
        }
    }

    /// Numbers of clients to try.
    pub(crate) fn concurrency(&self) -> Vec<u32> {
        match (self.concurrency.is_empty(), self.quick) {
            (false, _) => self.concurrency.clone(),
            (true, true) => vec![1, 16],
            (true, false) => vec![1, 16, 64],
        }
    }
}
