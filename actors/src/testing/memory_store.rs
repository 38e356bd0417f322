//! A message store in memory. It forgets, so it is for tests alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{
    domain::{
        envelope::{PendingItem, RecordedReply, Sequence, StoredMessage},
        ids::{ContextId, MessageId},
    },
    ports::{LoadedMessages, MessageStore, SendFuture, StoreError, StoreStats},
};

/// A message store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    messages: BTreeMap<Sequence, Arc<StoredMessage>>,
    projected: BTreeSet<Sequence>,
    exchanges: Vec<(MessageId, Bytes)>,
    replies: Vec<RecordedReply>,
    failure: Option<StoreError>,
    replies_to_refuse: u32,
}

impl MemoryStore {
    /// Lets every change fail from now on, or work again.
    pub fn set_failure(&self, failure: Option<StoreError>) {
        self.state().failure = failure;
    }

    /// Lets the next recordings of a reply fail as on a full disk.
    pub fn refuse_next_replies(&self, count: u32) {
        self.state().replies_to_refuse = count;
    }

    /// Messages that are noted as written.
    pub fn projected(&self) -> Vec<Sequence> {
        self.state().projected.iter().copied().collect()
    }

    /// All messages, in the order of acceptance.
    pub fn messages(&self) -> Vec<Arc<StoredMessage>> {
        self.state().messages.values().cloned().collect()
    }

    /// All recorded replies, in the order of recording.
    pub fn all_replies(&self) -> Vec<RecordedReply> {
        self.state().replies.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> SendFuture<Result<T, StoreError>> {
        let mut state = self.state();
        let outcome = match state.failure.clone() {
            Some(failure) => Err(failure),
            None => change(&mut state),
        };
        Box::pin(ready(outcome))
    }
}

impl State {
    fn knows(&self, message: MessageId) -> Result<(), StoreError> {
        let known = self.messages.values().any(|stored| stored.id == message);
        known.then_some(()).ok_or(StoreError::NotFound(message))
    }

    fn pending(&self) -> impl Iterator<Item = (&Sequence, &Arc<StoredMessage>)> {
        self.messages
            .iter()
            .filter(|(sequence, _)| !self.projected.contains(sequence))
    }
}

impl MessageStore for MemoryStore {
    fn accept(&self, message: Arc<StoredMessage>) -> SendFuture<Result<Sequence, StoreError>> {
        self.change(|state| {
            let last = state
                .messages
                .last_key_value()
                .map_or(0, |(sequence, _)| sequence.0);
            let sequence = Sequence(last + 1);
            state.messages.insert(sequence, message);
            Ok(sequence)
        })
    }

    fn accept_exchange(
        &self,
        message: MessageId,
        request: Bytes,
        _: DateTime<Utc>,
    ) -> SendFuture<Result<u32, StoreError>> {
        self.change(|state| {
            state.knows(message)?;
            state.exchanges.push((message, request));
            let steps = state
                .exchanges
                .iter()
                .filter(|(of, _)| *of == message)
                .count();
            Ok(u32::try_from(steps).unwrap_or(u32::MAX))
        })
    }

    fn record_reply(&self, reply: RecordedReply) -> SendFuture<Result<(), StoreError>> {
        self.change(|state| {
            state.knows(reply.message)?;
            if state.replies_to_refuse > 0 {
                state.replies_to_refuse -= 1;
                return Err(StoreError::Full);
            }
            state.replies.push(reply);
            Ok(())
        })
    }

    fn mark_projected(&self, messages: Vec<Sequence>) -> SendFuture<Result<(), StoreError>> {
        self.change(|state| {
            state.projected.extend(messages);
            Ok(())
        })
    }

    fn pending_inbox(
        &self,
        after: Sequence,
        limit: usize,
    ) -> SendFuture<Result<Vec<PendingItem>, StoreError>> {
        let state = self.state();
        let later = state
            .pending()
            .filter(|(sequence, _)| **sequence > after)
            .take(limit);
        let items = later.map(|(sequence, message)| PendingItem::of(*sequence, message));
        Box::pin(ready(Ok(items.collect())))
    }

    fn load(&self, messages: Vec<Sequence>) -> SendFuture<Result<LoadedMessages, StoreError>> {
        let state = self.state();
        let found = messages
            .into_iter()
            .filter_map(|sequence| Some((sequence, Arc::clone(state.messages.get(&sequence)?))));
        Box::pin(ready(Ok(found.collect())))
    }

    fn newest_of_context(
        &self,
        context_id: ContextId,
    ) -> SendFuture<Result<Option<(Sequence, MessageId)>, StoreError>> {
        let state = self.state();
        let newest = state
            .messages
            .iter()
            .rev()
            .find(|(_, message)| message.context_id.as_ref() == Some(&context_id))
            .map(|(sequence, message)| (*sequence, message.id));
        Box::pin(ready(Ok(newest)))
    }

    fn replies(&self, message: MessageId) -> SendFuture<Result<Vec<RecordedReply>, StoreError>> {
        let mut replies: Vec<_> = self
            .all_replies()
            .into_iter()
            .filter(|reply| reply.message == message)
            .collect();
        replies.sort_by_key(|reply| reply.exchange);
        Box::pin(ready(Ok(replies)))
    }

    fn probe(&self) -> SendFuture<Result<(), StoreError>> {
        self.change(|_| Ok(()))
    }

    fn prune(&self, before: DateTime<Utc>, limit: usize) -> SendFuture<Result<usize, StoreError>> {
        self.change(|state| {
            let done: Vec<Sequence> = state
                .projected
                .iter()
                .filter(|sequence| {
                    state
                        .messages
                        .get(sequence)
                        .is_some_and(|message| message.received_at < before)
                })
                .take(limit)
                .copied()
                .collect();
            for sequence in &done {
                state.messages.remove(sequence);
                state.projected.remove(sequence);
            }
            Ok(done.len())
        })
    }

    fn prune_to_size(
        &self,
        _max_bytes: u64,
        _limit: usize,
    ) -> SendFuture<Result<usize, StoreError>> {
        self.change(|_state| Ok(0))
    }

    fn give_back(&self, _pages: usize) -> SendFuture<Result<usize, StoreError>> {
        self.change(|_state| Ok(0))
    }

    fn stats(&self) -> SendFuture<Result<StoreStats, StoreError>> {
        let held = self.state();
        let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
        let stats = StoreStats {
            messages: count(held.messages.len()),
            pending_inbox: count(held.pending().count()),
            size_bytes: 0,
            used_bytes: 0,
            free_bytes: 0,
        };
        Box::pin(ready(Ok(stats)))
    }
}
