//! What the queue gives out, and what it is told.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use crate::domain::{after_attempt::Health, post::WaitingDelivery};

/// What a recipient is sent by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Tries at once; at least 1.
    pub concurrency: usize,
    /// How long the whole schedule takes at most.
    pub span: Duration,
    /// The longest pause of the schedule: its circuit is open no longer than that.
    pub longest_pause: Duration,
}

/// What is to be done next. The end of each is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Try it.
    Try {
        /// The delivery.
        delivery: WaitingDelivery,
        /// The time that the try comes before, where it does: its recipient is back.
        ahead_of: Option<DateTime<Utc>>,
    },
    /// It expired.
    Expire(WaitingDelivery),
    /// It has waited for as long as its schedule takes, and its recipient is down.
    GiveUp {
        /// The delivery.
        delivery: WaitingDelivery,
        /// What went wrong with this recipient last.
        last_error: Option<Arc<str>>,
    },
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepEnd {
    /// When it is to be tried again; `None` where it has ended.
    pub again: Option<Again>,
    /// What it says of the recipient.
    pub health: Health,
    /// What went wrong, if it did.
    pub error: Option<String>,
}

/// A delivery that is to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Not before this time.
    pub due: DateTime<Utc>,
    /// Also where its recipient is back earlier.
    pub is_held_back: bool,
}

/// A circuit that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitChange {
    /// Its recipient is left alone.
    Opened,
    /// Its recipient is well again.
    Closed,
}
