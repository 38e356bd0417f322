//! Somebody who watches.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::watch;

use super::{Activity, MOST_WATCHERS, Newest, Since, WatchError, WatchOrder};
use crate::domain::{activity::ActivityEvent, ids::AgentId};

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Something happened.
    Event(Arc<ActivityEvent>),
    /// There was more, which is not kept any more.
    Missed {
        /// How much, all agents together; `None` where that is not known: another run.
        count: Option<u64>,
    },
}

/// Somebody who watches; leaves when dropped.
#[derive(Debug)]
pub struct Watcher {
    activity: Activity,
    newest: watch::Receiver<Newest>,
    agent: Option<AgentId>,
    /// The number of the newest event when it began.
    began_at: u64,
    /// What is told before all else.
    first: VecDeque<Seen>,
    /// The number of the event that is looked at next.
    next: u64,
}

impl Watcher {
    pub(super) fn begin(activity: &Activity, order: WatchOrder) -> Result<Self, WatchError> {
        let newest = activity.0.newest.subscribe();
        if newest.borrow().is_closed {
            return Err(WatchError::Closed);
        }
        enter(activity, order.agent.is_none())?;
        let kept = activity.kept();
        let passes = |event: &ActivityEvent| concerns(event, order.agent.as_ref());
        let (first, next) = match order.since {
            Since::Last(count) => {
                let first = kept.newest(count, passes).into_iter();
                let first = first.map(Seen::Event).collect();
                (first, kept.last().saturating_add(1))
            }
            Since::Number(seen) => (VecDeque::new(), seen.min(kept.last()).saturating_add(1)),
            Since::AnotherRun => (VecDeque::from([Seen::Missed { count: None }]), 1),
        };
        let began_at = kept.last();
        drop(kept);
        Ok(Self {
            activity: activity.clone(),
            newest,
            agent: order.agent,
            began_at,
            first,
            next,
        })
    }

    /// The number after which it goes on: all events up to it are seen, or told as missed.
    pub fn position(&self) -> u64 {
        let first = self.first.iter().find_map(|seen| match seen {
            Seen::Event(event) => Some(event.number),
            Seen::Missed { .. } => None,
        });
        first.unwrap_or(self.next).saturating_sub(1)
    }

    /// The number of the newest event when it began: what comes after it is live.
    pub const fn began_at(&self) -> u64 {
        self.began_at
    }

    /// The next thing to tell; `None` once the service stops.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub async fn next(&mut self) -> Option<Seen> {
        if let Some(seen) = self.first.pop_front() {
            return Some(seen);
        }
        loop {
            let next = self.next;
            let come = |newest: &Newest| newest.number >= next || newest.is_closed;
            self.newest.wait_for(come).await.ok()?;
            let found = self.activity.kept().first_from(next);
            // Nothing that is not read: it was closed.
            let event = found?;
            if event.number > next {
                self.next = event.number;
                let count = Some(event.number.saturating_sub(next));
                return Some(Seen::Missed { count });
            }
            self.next = next.saturating_add(1);
            if concerns(&event, self.agent.as_ref()) {
                return Some(Seen::Event(event));
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let inner = &self.activity.0;
        inner.watchers.fetch_sub(1, Ordering::Relaxed);
        if self.agent.is_none() {
            inner.mailbox_watchers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn enter(activity: &Activity, sees_mailbox: bool) -> Result<(), WatchError> {
    let inner = &activity.0;
    let one_more = |count: usize| (count < MOST_WATCHERS).then_some(count.saturating_add(1));
    let entered = inner
        .watchers
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
    entered.map_err(|_full| WatchError::TooMany)?;
    if sees_mailbox {
        inner.mailbox_watchers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn concerns(event: &ActivityEvent, agent: Option<&AgentId>) -> bool {
    agent.is_none_or(|agent| event.fact.concerns(agent))
}
