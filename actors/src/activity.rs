//! The activity feed: what happens in the whole broker, for operators who watch.
//!
//! A bounded log in memory, no queue: whoever watches reads it at their own pace and is told what
//! they missed; nobody waits for them. What agents do is always kept. The mailbox and its relays are
//! told only while somebody watches them, in a log of their own, so that they cost accepting nothing
//! and push nothing else out.

mod kept;
mod watcher;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use thiserror::Error;
use tokio::sync::watch;

use self::kept::Kept;
pub use self::watcher::{Seen, Watcher};
use crate::{
    domain::{
        activity::{ActivityEvent, Fact},
        ids::AgentId,
    },
    ports::Clock,
};

/// Events that are kept of each of the two logs.
pub const MOST_KEPT: usize = 1000;

/// Those who may watch at once.
pub const MOST_WATCHERS: usize = 64;

/// Where a watcher begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// With so many of the newest events that are kept, then with what comes.
    Last(usize),
    /// After the event of this number of this run; it is told what is missing.
    Number(u64),
    /// It has seen events of another run: with all of this run.
    AnotherRun,
}

/// What somebody wants to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOrder {
    /// From where on.
    pub since: Since,
    /// Only what concerns this agent.
    pub agent: Option<AgentId>,
}

/// Why somebody cannot watch.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum WatchError {
    /// As many watch as may.
    #[error("{MOST_WATCHERS} watch already; try again later")]
    TooMany,
    /// The service is stopping.
    #[error("the service is stopping")]
    Closed,
}

/// The feed. Clones are the same one.
#[derive(Clone)]
pub struct Activity(Arc<Inner>);

struct Inner {
    run: String,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    newest: watch::Sender<Newest>,
    watchers: AtomicUsize,
    /// Those of them who see the mailbox.
    mailbox_watchers: AtomicUsize,
}

/// How far the feed has come.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    number: u64,
    is_closed: bool,
}

impl fmt::Debug for Activity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Activity")
            .field("run", &self.0.run)
            .finish_non_exhaustive()
    }
}

impl Activity {
    /// An empty feed. `run` names this run of the service; no other run may have the same.
    pub fn new(run: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            run: run.into(),
            clock,
            kept: Mutex::default(),
            newest: watch::Sender::default(),
            watchers: AtomicUsize::new(0),
            mailbox_watchers: AtomicUsize::new(0),
        }))
    }

    /// The name of this run of the service.
    pub fn run(&self) -> &str {
        &self.0.run
    }

    /// Tells what agents, turns, deliveries or the service did. Call it after the fact is kept.
    pub fn tell(&self, fact: Fact) {
        self.add(fact, Kept::add_work);
    }

    /// Tells what the mailbox did, where somebody watches that; otherwise costs one load.
    pub fn tell_of_mailbox(&self, fact: impl FnOnce() -> Fact) {
        if self.0.mailbox_watchers.load(Ordering::Relaxed) > 0 {
            self.add(fact(), Kept::add_mailbox);
        }
    }

    /// Whether somebody watches the mailbox.
    pub fn is_mailbox_watched(&self) -> bool {
        self.0.mailbox_watchers.load(Ordering::Relaxed) > 0
    }

    /// Begins to watch.
    ///
    /// # Errors
    /// [`WatchError`].
    pub fn watch(&self, order: WatchOrder) -> Result<Watcher, WatchError> {
        Watcher::begin(self, order)
    }

    /// Ends all watching once everything that was told by now is read.
    pub fn close(&self) {
        self.0.newest.send_modify(|newest| newest.is_closed = true);
    }

    fn add(&self, fact: Fact, into: fn(&mut Kept, Arc<ActivityEvent>)) {
        let at = self.0.clock.now();
        let mut kept = self.kept();
        let number = kept.next_number();
        into(&mut kept, Arc::new(ActivityEvent { number, at, fact }));
        drop(kept);
        self.0
            .newest
            .send_modify(|newest| newest.number = newest.number.max(number));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
