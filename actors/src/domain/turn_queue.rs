//! What waits for an agent, in which session, and which turn is next.
//!
//! Tasks of one session are worked on in the order of their acceptance, and never by two turns at
//! once. A turn takes everything that waits in its session: that is how an agent learns of what
//! came in while it worked. Sessions take turns with each other, the most urgent first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    agent::QueueMode,
    agent_message::Priority,
    ids::{MessageId, SessionKey},
    task::WaitingTask,
};

#[cfg(test)]
mod tests;

/// Everything that waits for one agent.
#[derive(Debug)]
pub struct TurnQueue {
    mode: QueueMode,
    lanes: HashMap<SessionKey, Lane>,
    /// Sessions in which something waits; the one at the front is served next.
    order: VecDeque<SessionKey>,
    /// What expires while it waits, and when.
    expiries: BTreeMap<(DateTime<Utc>, MessageId), SessionKey>,
    waiting: usize,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<WaitingTask>,
    is_running: bool,
}

/// What a turn is to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The session.
    pub session: SessionKey,
    /// Its tasks, oldest first; at least one.
    pub tasks: Vec<WaitingTask>,
}

/// Why nothing can be begun although something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A turn of the same session runs.
    Session,
    /// Not before a time: a pause before the next attempt, or more may come in (`collect`).
    Until(DateTime<Utc>),
}

impl TurnQueue {
    /// An empty queue.
    pub fn new(mode: QueueMode) -> Self {
        Self {
            mode,
            lanes: HashMap::new(),
            order: VecDeque::new(),
            expiries: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// How many tasks wait.
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// When the oldest waiting task came in.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        let fronts = self.lanes.values().filter_map(|lane| lane.waiting.front());
        fronts.map(|task| task.received_at).min()
    }

    /// Whether a turn of this session runs.
    pub fn is_running(&self, session: &SessionKey) -> bool {
        self.lanes.get(session).is_some_and(|lane| lane.is_running)
    }

    /// Takes a task in, at its place in the order.
    pub fn push(&mut self, task: WaitingTask) {
        if let Some(at) = task.expiry() {
            self.expiries.insert((at, task.id), task.session.clone());
        }
        let lane = self.lanes.entry(task.session.clone()).or_default();
        if lane.waiting.is_empty() {
            self.order.push_back(task.session.clone());
        }
        let at = lane
            .waiting
            .partition_point(|other| other.sequence < task.sequence);
        lane.waiting.insert(at, task);
        self.waiting = self.waiting.saturating_add(1);
    }

    /// Takes a waiting task out.
    pub fn remove(&mut self, id: MessageId) -> Option<WaitingTask> {
        let session = self.lanes.iter().find_map(|(session, lane)| {
            let found = lane.waiting.iter().any(|task| task.id == id);
            found.then(|| session.clone())
        })?;
        self.remove_from(&session, id)
    }

    /// Takes out what has expired, the longest expired first.
    pub fn take_expired(&mut self, now: DateTime<Utc>) -> Vec<WaitingTask> {
        let mut expired = Vec::new();
        while let Some((&(at, id), session)) = self.expiries.first_key_value() {
            if at > now {
                break;
            }
            let session = session.clone();
            self.expiries.remove(&(at, id));
            expired.extend(self.remove_from(&session, id));
        }
        expired
    }

    /// When the next waiting task expires.
    pub fn next_expiry(&self) -> Option<DateTime<Utc>> {
        self.expiries.first_key_value().map(|(&(at, _), _)| at)
    }

    fn remove_from(&mut self, session: &SessionKey, id: MessageId) -> Option<WaitingTask> {
        let lane = self.lanes.get_mut(session)?;
        let at = lane.waiting.iter().position(|task| task.id == id)?;
        let task = lane.waiting.remove(at)?;
        self.waiting = self.waiting.saturating_sub(1);
        self.forget_expiry(&task);
        self.tidy(session);
        Some(task)
    }

    fn forget_expiry(&mut self, task: &WaitingTask) {
        if let Some(at) = task.expiry() {
            self.expiries.remove(&(at, task.id));
        }
    }

    /// Takes all waiting tasks out, oldest first.
    pub fn remove_all(&mut self) -> Vec<WaitingTask> {
        let lanes = self.lanes.values_mut();
        let mut tasks: Vec<_> = lanes.flat_map(|lane| lane.waiting.drain(..)).collect();
        tasks.sort_unstable_by_key(|task| task.sequence);
        self.order.clear();
        self.expiries.clear();
        self.lanes.retain(|_, lane| lane.is_running);
        self.waiting = 0;
        tasks
    }

    /// Takes out what the next turn works on, and marks its session as running.
    pub fn next_batch(&mut self, now: DateTime<Utc>) -> Option<Batch> {
        let at = self.most_urgent(now)?;
        let session = self.order.remove(at)?;
        let lane = self.lanes.get_mut(&session)?;
        let tasks: Vec<_> = lane.waiting.drain(..).collect();
        lane.is_running = true;
        self.waiting = self.waiting.saturating_sub(tasks.len());
        for task in &tasks {
            self.forget_expiry(task);
        }
        Some(Batch { session, tasks })
    }

    /// The place in the order of the session that is next: of the most urgent ones the first.
    fn most_urgent(&self, now: DateTime<Utc>) -> Option<usize> {
        let ready = self.order.iter().enumerate().filter_map(|(at, session)| {
            let lane = self.lanes.get(session)?;
            let is_ready = self.wait_of(session, now).is_none();
            is_ready.then(|| (Reverse(lane.priority()), at))
        });
        ready.min().map(|(_, at)| at)
    }

    /// Whether [`Self::next_batch`] would find something.
    pub fn has_ready(&self, now: DateTime<Utc>) -> bool {
        self.order
            .iter()
            .any(|session| self.wait_of(session, now).is_none())
    }

    /// The turn of a session has ended.
    pub fn ended(&mut self, session: &SessionKey) {
        if let Some(lane) = self.lanes.get_mut(session) {
            lane.is_running = false;
        }
        self.tidy(session);
    }

    /// Why the session that is next cannot begin; `None` where nothing waits or one can.
    pub fn wait(&self, now: DateTime<Utc>) -> Option<Wait> {
        if self.has_ready(now) {
            return None;
        }
        self.wait_of(self.order.front()?, now)
    }

    /// The earliest time at which something becomes ready by itself.
    pub fn wake_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let waits = self.order.iter().map(|session| self.wait_of(session, now));
        let times = waits.filter_map(|wait| match wait {
            Some(Wait::Until(time)) => Some(time),
            _ => None,
        });
        times.min()
    }

    /// Every waiting task may be begun at once: whatever they waited for is mended.
    pub fn forget_pauses(&mut self) {
        let lanes = self.lanes.values_mut();
        for task in lanes.flat_map(|lane| lane.waiting.iter_mut()) {
            task.not_before = None;
        }
    }

    fn wait_of(&self, session: &SessionKey, now: DateTime<Utc>) -> Option<Wait> {
        let lane = self.lanes.get(session)?;
        if lane.is_running {
            return Some(Wait::Session);
        }
        let until = lane
            .ready_at(self.mode)
            .filter(|ready_at| *ready_at > now)?;
        Some(Wait::Until(until))
    }

    fn tidy(&mut self, session: &SessionKey) {
        let is_empty = |lane: &Lane| lane.waiting.is_empty();
        if self.lanes.get(session).is_some_and(is_empty) {
            self.order.retain(|other| other != session);
            if !self.is_running(session) {
                self.lanes.remove(session);
            }
        }
    }
}

impl Lane {
    /// That of its most urgent task: the others of its session cannot be passed.
    fn priority(&self) -> Priority {
        let priorities = self.waiting.iter().map(|task| task.priority);
        priorities.max().unwrap_or_default()
    }

    /// The pause of the oldest task, and with `collect` a quiet time after the newest.
    fn ready_at(&self, mode: QueueMode) -> Option<DateTime<Utc>> {
        let pause = self.waiting.front()?.not_before;
        let QueueMode::Collect(window) = mode else {
            return pause;
        };
        let window = TimeDelta::from_std(window).unwrap_or(TimeDelta::MAX);
        let quiet = self
            .waiting
            .back()?
            .received_at
            .checked_add_signed(window)
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        Some(pause.map_or(quiet, |pause| pause.max(quiet)))
    }
}
