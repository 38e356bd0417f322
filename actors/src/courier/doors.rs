//! Keeps messages to agents of ours in order while they are handed over.
//!
//! An agent that does not take one message may take the next: within a conversation, each is handed
//! over once the one before has its answer, and none while an earlier one is kept for later.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::domain::party::Party;

/// All of one conversation to one recipient.
pub(super) type LaneKey = (Party, Arc<str>);

/// One door for each lane that something is on its way in.
#[derive(Debug)]
pub(super) struct Doors<T>(HashMap<LaneKey, Door<T>>);

#[derive(Debug)]
struct Door<T> {
    is_handing_over: bool,
    /// Messages on their way to the disk.
    keeping: usize,
    waiting: VecDeque<T>,
}

/// Which way a message goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<T> {
    /// Straight to its agent. [`Doors::handed_over`] is to be called.
    HandOver(T),
    /// To the disk. [`Doors::kept`] is to be called.
    Keep(T),
}

impl<T> Default for Doors<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Default for Door<T> {
    fn default() -> Self {
        Self {
            is_handing_over: false,
            keeping: 0,
            waiting: VecDeque::new(),
        }
    }
}

impl<T> Doors<T> {
    /// A message comes to its door.
    pub(super) fn arrive(&mut self, lane: LaneKey, message: T) {
        self.0.entry(lane).or_default().waiting.push_back(message);
    }

    /// The next message that goes through, where one may. `is_free` says that nothing of its lane
    /// waits for delivery.
    pub(super) fn next(&mut self, lane: &LaneKey, is_free: bool) -> Option<Way<T>> {
        let door = self.0.get_mut(lane)?;
        if door.is_handing_over {
            return None;
        }
        let Some(message) = door.waiting.pop_front() else {
            if door.keeping == 0 {
                self.0.remove(lane);
            }
            return None;
        };
        Some(if is_free && door.keeping == 0 {
            door.is_handing_over = true;
            Way::HandOver(message)
        } else {
            door.keeping = door.keeping.saturating_add(1);
            Way::Keep(message)
        })
    }

    /// A message has gone to its agent, or has not: then it is kept, and counts as such from now on.
    pub(super) fn handed_over(&mut self, lane: &LaneKey, is_taken: bool) {
        if let Some(door) = self.0.get_mut(lane) {
            door.is_handing_over = false;
            door.keeping = door.keeping.saturating_add(usize::from(!is_taken));
        }
    }

    /// A message is on the disk and waits, or was not kept.
    pub(super) fn kept(&mut self, lane: &LaneKey) {
        if let Some(door) = self.0.get_mut(lane) {
            door.keeping = door.keeping.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> LaneKey {
        (Party::Anyone, "c".into())
    }

    #[test]
    fn one_is_handed_over_at_a_time() {
        let mut doors = Doors::default();
        doors.arrive(lane(), 1);
        doors.arrive(lane(), 2);
        assert_eq!(doors.next(&lane(), true), Some(Way::HandOver(1)));
        assert_eq!(doors.next(&lane(), true), None);
        doors.handed_over(&lane(), true);
        assert_eq!(doors.next(&lane(), true), Some(Way::HandOver(2)));
        doors.handed_over(&lane(), true);
        assert_eq!(doors.next(&lane(), true), None);
        assert!(doors.0.is_empty());
    }

    #[test]
    fn none_is_handed_over_while_an_earlier_one_is_on_its_way_to_the_disk() {
        let mut doors = Doors::default();
        doors.arrive(lane(), 1);
        doors.arrive(lane(), 2);
        assert_eq!(doors.next(&lane(), true), Some(Way::HandOver(1)));
        doors.handed_over(&lane(), false);
        assert_eq!(doors.next(&lane(), true), Some(Way::Keep(2)));
        doors.kept(&lane());
        doors.arrive(lane(), 3);
        assert_eq!(doors.next(&lane(), true), Some(Way::Keep(3)));
        doors.kept(&lane());
        doors.kept(&lane());
        doors.arrive(lane(), 4);
        assert_eq!(doors.next(&lane(), false), Some(Way::Keep(4)));
        doors.kept(&lane());
        assert_eq!(doors.next(&lane(), true), None);
        assert!(doors.0.is_empty());
    }
}
