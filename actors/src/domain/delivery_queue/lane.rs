//! One lane: the deliveries of one conversation to one recipient.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use crate::domain::envelope::Sequence;

/// Deliveries in their order; the first one is the head.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) waiting: BTreeSet<Sequence>,
    /// The one that is under way.
    pub(super) busy: Option<Sequence>,
    /// Where the head stands in the orders of its recipient; `None` while one is under way.
    pub(super) head: Option<Head>,
}

/// The times at which something is to happen to the head of a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) sequence: Sequence,
    /// Its turn.
    pub(super) at: DateTime<Utc>,
    /// It has waited too long from then on, where its recipient is down.
    pub(super) deadline: DateTime<Utc>,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

impl Lane {
    /// The one whose turn it is to be the head.
    pub(super) fn first(&self) -> Option<Sequence> {
        match self.busy {
            Some(_) => None,
            None => self.waiting.first().copied(),
        }
    }
}
