//! The events that are in memory: two rings that share one sequence of numbers.

use std::{collections::VecDeque, sync::Arc};

use super::MOST_KEPT;
use crate::domain::activity::ActivityEvent;

type Ring = VecDeque<Arc<ActivityEvent>>;

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The number of the newest event.
    last: u64,
    work: Ring,
    mailbox: Ring,
}

impl Kept {
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    pub(super) const fn next_number(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    pub(super) fn add_work(&mut self, event: Arc<ActivityEvent>) {
        push(&mut self.work, event);
    }

    pub(super) fn add_mailbox(&mut self, event: Arc<ActivityEvent>) {
        push(&mut self.mailbox, event);
    }

    /// The oldest event that has this number or a higher one.
    pub(super) fn first_from(&self, number: u64) -> Option<Arc<ActivityEvent>> {
        let firsts = [&self.work, &self.mailbox].map(|ring| {
            let at = ring.partition_point(|event| event.number < number);
            ring.get(at)
        });
        let first = firsts.into_iter().flatten();
        first.min_by_key(|event| event.number).cloned()
    }

    /// The newest events that pass, oldest of them first.
    pub(super) fn newest(
        &self,
        count: usize,
        passes: impl Fn(&ActivityEvent) -> bool,
    ) -> VecDeque<Arc<ActivityEvent>> {
        let of_ring = |ring: &Ring| -> Vec<_> {
            let newest_first = ring.iter().rev().filter(|event| passes(event));
            newest_first.take(count).cloned().collect()
        };
        let mut newest = [of_ring(&self.work), of_ring(&self.mailbox)].concat();
        newest.sort_unstable_by_key(|event| event.number);
        let too_many = newest.len().saturating_sub(count);
        newest.into_iter().skip(too_many).collect()
    }
}

fn push(ring: &mut Ring, event: Arc<ActivityEvent>) {
    if ring.len() >= MOST_KEPT {
        ring.pop_front();
    }
    ring.push_back(event);
}
