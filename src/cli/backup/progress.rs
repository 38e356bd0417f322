//! How far something is, for whoever looks at a terminal.

use std::io::{self, IsTerminal, Write};

/// A line on standard error that is written over and over; none where nobody sees it.
pub(in crate::cli) struct Bar {
    what: &'static str,
    percent: Option<u64>,
    is_seen: bool,
}

impl Bar {
    /// For what is being done.
    pub(in crate::cli) fn new(what: &'static str, is_wanted: bool) -> Self {
        Self {
            what,
            percent: None,
            is_seen: is_wanted && io::stderr().is_terminal(),
        }
    }

    /// Shows how much of all is done.
    pub(in crate::cli) fn show(&mut self, done: u64, all: u64) {
        let percent = done.saturating_mul(100).checked_div(all);
        if self.is_seen && percent != self.percent {
            self.percent = percent;
            let percent = percent.unwrap_or(100);
            drop(write!(io::stderr(), "\r{}: {percent} %\x1b[K", self.what));
        }
    }

    /// Leaves an empty line.
    pub(in crate::cli) fn clear(&mut self) {
        if self.percent.take().is_some() {
            drop(write!(io::stderr(), "\r\x1b[K"));
        }
    }
}
