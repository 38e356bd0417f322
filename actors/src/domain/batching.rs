//! Which messages become one inbox file, and when.
//!
//! Each context is a lane: its messages keep their order, and while one of them waits for a
//! backend's reply, the later ones wait behind it. Lanes never wait for each other. Messages
//! without a context have a lane each.
//!
//! With a window, the messages that came in within it of the first are one file. The group depends
//! on the times of arrival alone, so a repeat after a crash makes the same file.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    envelope::{PendingItem, RelayOutcome, Sequence},
    ids::{ContextId, MessageId},
};

/// Messages whose order matters among each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// All messages of one context.
    Context(ContextId),
    /// A message without a context.
    Single(Sequence),
}

/// A message that is due, with the reply that came in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueItem {
    /// The message.
    pub item: PendingItem,
    /// The backend's reply.
    pub reply: Option<Arc<str>>,
}

/// What is to be written of one lane now: files in order, each of one or more messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLane {
    /// The lane; it gives nothing more until [`Batcher::written`] or [`Batcher::failed`].
    pub lane: Lane,
    /// The files.
    pub files: Vec<Vec<DueItem>>,
}

/// Everything that waits to be written.
#[derive(Debug)]
pub struct Batcher {
    window: TimeDelta,
    lanes: HashMap<Lane, Queue>,
    schedule: BTreeMap<(DateTime<Utc>, u64), Lane>,
    awaited: HashMap<MessageId, Lane>,
    known: HashSet<Sequence>,
    scheduled: u64,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Waiting>,
    slot: Option<(DateTime<Utc>, u64)>,
    is_writing: bool,
    not_before: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Waiting {
    due: DueItem,
    reply_due: Option<DateTime<Utc>>,
}

impl Batcher {
    /// A batcher with a window; zero gives each message its own file.
    pub fn new(window: TimeDelta) -> Self {
        Self {
            window,
            lanes: HashMap::new(),
            schedule: BTreeMap::new(),
            awaited: HashMap::new(),
            known: HashSet::new(),
            scheduled: 0,
        }
    }

    /// Takes a message in. One that is known already is left alone.
    pub fn push(&mut self, item: PendingItem) {
        if !self.known.insert(item.sequence) {
            return;
        }
        let lane = lane_of(&item);
        if item.reply_due.is_some() {
            self.awaited.insert(item.id, lane.clone());
        }
        let reply_due = item.reply_due;
        let waiting = Waiting {
            due: DueItem { item, reply: None },
            reply_due,
        };
        self.lanes
            .entry(lane.clone())
            .or_default()
            .items
            .push_back(waiting);
        self.reschedule(&lane);
    }

    /// The relay of a message has ended, or paused in its tool loop. A message that is no longer
    /// awaited is left alone.
    pub fn reply(&mut self, message: MessageId, text: Option<Arc<str>>, outcome: RelayOutcome) {
        let Some(lane) = self.awaited.get(&message).cloned() else {
            return;
        };
        let goes_on = outcome == RelayOutcome::ToolCalls;
        let waiting = self
            .lanes
            .get_mut(&lane)
            .and_then(|queue| queue.items.iter_mut().find(|waiting| waiting.is(message)));
        if let Some(waiting) = waiting {
            waiting.due.reply = text.or_else(|| waiting.due.reply.take());
            if !goes_on {
                waiting.reply_due = None;
            }
        }
        if !goes_on {
            self.awaited.remove(&message);
        }
        self.reschedule(&lane);
    }

    /// What is due at `now`: lanes in the order in which they became due, up to about
    /// `max_files` files.
    pub fn take_due(&mut self, now: DateTime<Utc>, max_files: usize) -> Vec<DueLane> {
        let mut taken = Vec::new();
        let mut files = 0;
        while files < max_files {
            let Some(lane) = self.first_scheduled(now) else {
                break;
            };
            let due = self.take_from(lane, now, max_files - files);
            files += due.files.len();
            taken.push(due);
        }
        taken
    }

    /// When the next lane becomes due; in the past where one is due already.
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        self.schedule.first_key_value().map(|((due, _), _)| *due)
    }

    /// The files of a lane are safe: it may give more.
    pub fn written(&mut self, due: &DueLane) {
        for item in due.files.iter().flatten() {
            self.known.remove(&item.item.sequence);
        }
        if let Some(queue) = self.lanes.get_mut(&due.lane) {
            queue.is_writing = false;
            queue.not_before = None;
        }
        self.reschedule(&due.lane);
    }

    /// The files of a lane could not be written: they are due again at `retry_at`.
    pub fn failed(&mut self, due: DueLane, retry_at: DateTime<Utc>) {
        let queue = self.lanes.entry(due.lane.clone()).or_default();
        for due in due.files.into_iter().flatten().rev() {
            queue.items.push_front(Waiting {
                due,
                reply_due: None,
            });
        }
        queue.is_writing = false;
        queue.not_before = Some(retry_at);
        self.reschedule(&due.lane);
    }

    /// How many messages wait or are being written.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// When the oldest waiting message came in. Looks at each lane's first message.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.lanes
            .values()
            .filter_map(|queue| queue.items.front())
            .map(Waiting::received_at)
            .min()
    }

    /// No more replies are to be waited for: everything is due as soon as its window ends.
    pub fn give_up_replies(&mut self) {
        self.awaited.clear();
        let lanes: Vec<Lane> = self.lanes.keys().cloned().collect();
        for lane in lanes {
            if let Some(queue) = self.lanes.get_mut(&lane) {
                queue
                    .items
                    .iter_mut()
                    .for_each(|waiting| waiting.reply_due = None);
            }
            self.reschedule(&lane);
        }
    }

    fn first_scheduled(&mut self, now: DateTime<Utc>) -> Option<Lane> {
        let first = self
            .schedule
            .first_entry()
            .filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    fn take_from(&mut self, lane: Lane, now: DateTime<Utc>, max_files: usize) -> DueLane {
        let window = self.window;
        let mut files = Vec::new();
        if let Some(queue) = self.lanes.get_mut(&lane) {
            queue.slot = None;
            queue.is_writing = true;
            while files.len() < max_files && queue.due_at(window).is_some_and(|due| due <= now) {
                files.push(queue.take_group(window));
            }
        }
        for due in files.iter().flatten() {
            self.awaited.remove(&due.item.id);
        }
        DueLane { lane, files }
    }

    fn reschedule(&mut self, lane: &Lane) {
        let Some(queue) = self.lanes.get_mut(lane) else {
            return;
        };
        if let Some(slot) = queue.slot.take() {
            self.schedule.remove(&slot);
        }
        if queue.is_writing {
            return;
        }
        let Some(due) = queue.due_at(self.window) else {
            self.lanes.remove(lane);
            return;
        };
        self.scheduled += 1;
        let slot = (due, self.scheduled);
        queue.slot = Some(slot);
        self.schedule.insert(slot, lane.clone());
    }
}

impl Queue {
    /// When the first group may be written; `None` where nothing waits.
    fn due_at(&self, window: TimeDelta) -> Option<DateTime<Utc>> {
        let window_end = self.window_end(window)?;
        let replies = self
            .group(window_end)
            .filter_map(|waiting| waiting.reply_due);
        let gathered = if window.is_zero() {
            self.first_arrival()
        } else {
            Some(window_end)
        };
        replies.chain(gathered).chain(self.not_before).max()
    }

    fn take_group(&mut self, window: TimeDelta) -> Vec<DueItem> {
        let Some(window_end) = self.window_end(window) else {
            return Vec::new();
        };
        let size = if window.is_zero() {
            1
        } else {
            self.group(window_end).count()
        };
        self.items
            .drain(..size.min(self.items.len()))
            .map(|waiting| waiting.due)
            .collect()
    }

    /// The messages that came in until `window_end`; without a window, the first one.
    fn group(&self, window_end: DateTime<Utc>) -> impl Iterator<Item = &Waiting> {
        let first_arrival = self.first_arrival();
        let alone = first_arrival == Some(window_end);
        self.items
            .iter()
            .enumerate()
            .take_while(move |(index, waiting)| {
                *index == 0 || (!alone && waiting.received_at() <= window_end)
            })
            .map(|(_, waiting)| waiting)
    }

    fn window_end(&self, window: TimeDelta) -> Option<DateTime<Utc>> {
        Some(
            self.first_arrival()?
                .checked_add_signed(window)
                .unwrap_or(DateTime::<Utc>::MAX_UTC),
        )
    }

    fn first_arrival(&self) -> Option<DateTime<Utc>> {
        self.items.front().map(Waiting::received_at)
    }
}

impl Waiting {
    fn is(&self, message: MessageId) -> bool {
        self.due.item.id == message
    }

    fn received_at(&self) -> DateTime<Utc> {
        self.due.item.received_at
    }
}

fn lane_of(item: &PendingItem) -> Lane {
    item.context_id
        .clone()
        .map_or(Lane::Single(item.sequence), Lane::Context)
}

#[cfg(test)]
mod tests;
