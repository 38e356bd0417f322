//! Live logs: what is happening to a task or a turn, for any number of readers.
//!
//! A writer appends, readers follow from any place on, also those that come late. The log lives as
//! long as somebody holds it; what must outlive that is in the store.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

use crate::domain::{
    ids::{MessageId, TurnId},
    task::TaskOutcome,
    turn::TurnEvent,
};

/// What is happening to a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEvent {
    /// A turn works on it now. May come again, after a turn that did not end it.
    Started(TurnId),
    /// The agent says something; only for streamed tasks. Messages are parted by a blank line,
    /// which is already in here.
    Said(Arc<str>),
    /// It has ended. Always the last event.
    Ended(TaskOutcome),
}

/// A log that is written while it is read.
#[derive(Debug)]
pub struct Feed<E>(Arc<Inner<E>>);

#[derive(Debug)]
struct Inner<E> {
    events: Mutex<Vec<E>>,
    /// How many events there are, and whether more may come.
    length: watch::Sender<(usize, bool)>,
}

impl<E> Clone for Feed<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> Default for Feed<E> {
    fn default() -> Self {
        let (length, _) = watch::channel((0, false));
        Self(Arc::new(Inner {
            events: Mutex::default(),
            length,
        }))
    }
}

impl<E: Clone> Feed<E> {
    /// Appends an event. After [`Self::close`] it is dropped.
    pub fn publish(&self, event: E) {
        let mut events = self.events();
        if self.0.length.borrow().1 {
            return;
        }
        events.push(event);
        let length = events.len();
        drop(events);
        self.0.length.send_replace((length, false));
    }

    /// Ends the log: readers hear that nothing more comes.
    pub fn close(&self) {
        self.0
            .length
            .send_modify(|(_, is_closed)| *is_closed = true);
    }

    /// Waits for the event at a place, from 0; `None` where the log ends before it.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    pub async fn event(&self, index: usize) -> Option<E> {
        let mut length = self.0.length.subscribe();
        let reached = length
            .wait_for(|(length, is_closed)| *length > index || *is_closed)
            .await;
        reached.ok()?;
        self.events().get(index).cloned()
    }

    /// The events that there are now.
    pub fn so_far(&self) -> Vec<E> {
        self.events().clone()
    }

    /// How many events there are now.
    pub fn len(&self) -> usize {
        self.0.length.borrow().0
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn events(&self) -> MutexGuard<'_, Vec<E>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the log of what is under way. Holds none alive: whoever writes one does.
#[derive(Debug)]
pub struct Feeds<K, E>(Arc<Mutex<HashMap<K, Weak<Inner<E>>>>>);

/// The logs of tasks.
pub type TaskFeeds = Feeds<MessageId, TaskEvent>;

/// The logs of turns.
pub type TurnFeeds = Feeds<TurnId, TurnEvent>;

impl<K, E> Clone for Feeds<K, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, E> Default for Feeds<K, E> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// From how many entries on a registry looks for those that are gone.
const SWEEP_FROM: usize = 64;

impl<K: Eq + Hash, E> Feeds<K, E> {
    /// The log of `key`, a new one where there is none.
    pub fn open(&self, key: K) -> Feed<E> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(&key).and_then(Weak::upgrade) {
            return Feed(feed);
        }
        if feeds.len() >= SWEEP_FROM && feeds.len() == feeds.capacity() {
            feeds.retain(|_, feed| feed.strong_count() > 0);
        }
        let feed = Feed::default();
        feeds.insert(key, Arc::downgrade(&feed.0));
        feed
    }

    /// A new log of `key`, also where readers still hold one that has ended.
    pub fn open_anew(&self, key: K) -> Feed<E> {
        let feed = Feed::default();
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.insert(key, Arc::downgrade(&feed.0));
        feed
    }

    /// The log of `key`, where somebody holds it.
    pub fn find(&self, key: &K) -> Option<Feed<E>> {
        let feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.get(key).and_then(Weak::upgrade).map(Feed)
    }
}
