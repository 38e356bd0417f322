//! A store of deliveries in memory. It forgets, so it is for tests alone.

use std::{
    collections::{BTreeMap, HashMap},
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        agent_message::{Envelope, IdempotencyKey},
        envelope::Sequence,
        ids::MessageId,
        post::{
            AfterAttempt, AttemptEnd, Beginning, DeliveryRecord, DeliveryState, NewDelivery,
            Queued, WaitingDelivery,
        },
    },
    ports::{SendFuture, StoreError, courier::DeliveryStore},
};

/// Tries that are remembered of a delivery.
const MOST_TRIES: usize = 100;

/// A store of deliveries in memory.
#[derive(Debug, Default)]
pub struct MemoryDeliveries(Mutex<State>);

#[derive(Debug, Clone, Default)]
struct State {
    kept: BTreeMap<Sequence, Kept>,
    sequences: HashMap<MessageId, Sequence>,
    keys: Vec<(IdempotencyKey, MessageId)>,
    failure: Option<StoreError>,
    read_failure: Option<StoreError>,
    reads: usize,
    latencies: Vec<Duration>,
    changes: usize,
}

#[derive(Debug, Clone)]
struct Kept {
    record: DeliveryRecord,
    since: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl MemoryDeliveries {
    /// Lets every change fail from now on, or work again.
    pub fn set_failure(&self, failure: Option<StoreError>) {
        self.state().failure = failure;
    }

    /// Lets every reading fail from now on, or work again.
    pub fn set_read_failure(&self, failure: Option<StoreError>) {
        self.state().read_failure = failure;
    }

    /// All deliveries, in the order of acceptance.
    pub fn all(&self) -> Vec<DeliveryRecord> {
        let state = self.state();
        state
            .kept
            .values()
            .map(|kept| kept.record.clone())
            .collect()
    }

    /// One delivery.
    pub fn record(&self, id: MessageId) -> Option<DeliveryRecord> {
        self.state().find(id).map(|kept| kept.record.clone())
    }

    /// How many deliveries are in this state.
    pub fn count(&self, state: DeliveryState) -> usize {
        let held = self.state();
        let in_state = held.kept.values().filter(|kept| kept.record.state == state);
        in_state.count()
    }

    /// How long changes take until they are answered, in turns. They are made in the order of the
    /// calls all the same.
    pub fn set_latencies(&self, latencies: Vec<Duration>) {
        self.state().latencies = latencies;
    }

    /// How many bodies were read.
    pub fn bodies_read(&self) -> usize {
        self.state().reads
    }

    /// What another process would find that opens the same disk.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = State {
            failure: None,
            read_failure: None,
            ..self.state().clone()
        };
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State) -> T,
    ) -> SendFuture<Result<T, StoreError>> {
        let mut state = self.state();
        let outcome = match state.failure.clone() {
            Some(failure) => Err(failure),
            None => Ok(change(&mut state)),
        };
        state.changes = state.changes.wrapping_add(1);
        let turn = state.changes.checked_rem(state.latencies.len());
        let latency = turn.and_then(|turn| state.latencies.get(turn).copied());
        Box::pin(async move {
            if let Some(latency) = latency {
                tokio::time::sleep(latency).await;
            }
            outcome
        })
    }

    fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut State) -> T,
    ) -> SendFuture<Result<T, StoreError>> {
        let mut state = self.state();
        let outcome = match state.read_failure.clone() {
            Some(failure) => Err(failure),
            None => Ok(query(&mut state)),
        };
        Box::pin(ready(outcome))
    }
}

impl State {
    fn find(&mut self, id: MessageId) -> Option<&mut Kept> {
        self.kept.get_mut(self.sequences.get(&id)?)
    }

    fn queue(&mut self, delivery: &NewDelivery, once: Option<IdempotencyKey>) -> Queued {
        if let Some(once) = once {
            let same = |known: &&(IdempotencyKey, MessageId)| {
                known.0.sender == once.sender && known.0.key == once.key
            };
            if let Some((known, first)) = self.keys.iter().find(same) {
                return if known.digest == once.digest {
                    Queued::Duplicate(*first)
                } else {
                    Queued::Conflict(*first)
                };
            }
            self.keys.push((once, delivery.id));
        }
        let last = self.kept.last_key_value().map_or(0, |(last, _)| last.0);
        let sequence = Sequence(last.saturating_add(1));
        self.sequences.insert(delivery.id, sequence);
        self.kept.insert(sequence, Kept::new(sequence, delivery));
        Queued::New(sequence)
    }

    fn end_attempt(&mut self, end: AttemptEnd) -> bool {
        let Some(kept) = self.find(end.id) else {
            return false;
        };
        let was_waiting = kept.record.state == DeliveryState::Waiting;
        let is_delivered = end.after == AfterAttempt::Delivered;
        if was_waiting || (is_delivered && kept.record.state == DeliveryState::Cancelled) {
            kept.end(end);
        }
        was_waiting
    }

    fn cancel(&mut self, id: MessageId, at: DateTime<Utc>) -> bool {
        let open = self.find(id).filter(|kept| {
            let state = kept.record.state;
            matches!(state, DeliveryState::Waiting | DeliveryState::Held)
        });
        let Some(kept) = open else { return false };
        kept.record.state = DeliveryState::Cancelled;
        kept.record.due = None;
        kept.record.ended_at = Some(at);
        true
    }

    fn revive(&mut self, id: MessageId, at: DateTime<Utc>) -> bool {
        let dead = self
            .find(id)
            .filter(|kept| kept.record.state == DeliveryState::Dead);
        let Some(kept) = dead else { return false };
        kept.since = at;
        kept.expires_at = None;
        let envelope = Envelope {
            hops: 0,
            expires_at: None,
            ..(*kept.record.delivery.envelope).clone()
        };
        kept.record.delivery = Arc::new(NewDelivery {
            envelope: Arc::new(envelope),
            ..(*kept.record.delivery).clone()
        });
        kept.record.state = DeliveryState::Waiting;
        kept.record.attempts = 0;
        kept.record.due = Some(at);
        kept.record.ended_at = None;
        kept.record.reason = None;
        true
    }
}

impl Kept {
    fn new(sequence: Sequence, delivery: &NewDelivery) -> Self {
        let (state, reason) = match &delivery.beginning {
            Beginning::Due => (DeliveryState::Waiting, None),
            Beginning::Held => (DeliveryState::Held, None),
            Beginning::Dead(reason) => (DeliveryState::Dead, Some(reason.clone())),
        };
        let kept = NewDelivery {
            beginning: Beginning::Due,
            ..delivery.clone()
        };
        Self {
            since: delivery.received_at,
            expires_at: delivery.envelope.expires_at,
            record: DeliveryRecord {
                sequence,
                delivery: Arc::new(kept),
                state,
                attempts: 0,
                due: (state == DeliveryState::Waiting).then_some(delivery.received_at),
                ended_at: (state == DeliveryState::Dead).then_some(delivery.received_at),
                reason,
                history: Vec::new(),
            },
        }
    }

    fn end(&mut self, end: AttemptEnd) {
        let record = &mut self.record;
        if end.attempt.is_some() && end.after != AfterAttempt::Delivered {
            record.attempts = record.attempts.saturating_add(1);
        }
        record.history.extend(end.attempt);
        let too_many = record.history.len().saturating_sub(MOST_TRIES);
        record.history.drain(..too_many);
        record.due = None;
        match end.after {
            AfterAttempt::Again { due } => {
                record.due = Some(due);
                return;
            }
            AfterAttempt::Delivered => record.state = DeliveryState::Delivered,
            AfterAttempt::Dead(reason) => {
                record.state = DeliveryState::Dead;
                record.reason = Some(reason);
            }
        }
        record.ended_at = Some(end.at);
    }

    fn waiting(&self) -> WaitingDelivery {
        let record = &self.record;
        WaitingDelivery {
            sequence: record.sequence,
            id: record.delivery.id,
            to: record.delivery.envelope.recipient.clone(),
            conversation: Arc::clone(&record.delivery.conversation),
            since: self.since,
            attempts: record.attempts,
            due: record.due.unwrap_or(self.since),
            expires_at: self.expires_at,
        }
    }

    fn is_waiting(&self) -> bool {
        self.record.state == DeliveryState::Waiting
    }
}

impl DeliveryStore for MemoryDeliveries {
    fn queue_delivery(
        &self,
        delivery: Arc<NewDelivery>,
        once: Option<IdempotencyKey>,
    ) -> SendFuture<Result<Queued, StoreError>> {
        self.change(|state| state.queue(&delivery, once))
    }

    fn end_attempt(&self, end: AttemptEnd) -> SendFuture<Result<bool, StoreError>> {
        self.change(|state| state.end_attempt(end))
    }

    fn cancel_delivery(
        &self,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        self.change(|state| state.cancel(id, at))
    }

    fn revive_delivery(
        &self,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        self.change(|state| state.revive(id, at))
    }

    fn drop_dead_letter(&self, id: MessageId) -> SendFuture<Result<bool, StoreError>> {
        self.change(|state| {
            let dead = state
                .find(id)
                .filter(|kept| kept.record.state == DeliveryState::Dead);
            dead.map(|kept| kept.record.state = DeliveryState::Dropped)
                .is_some()
        })
    }

    fn waiting_deliveries(
        &self,
        after: Sequence,
        limit: usize,
    ) -> SendFuture<Result<Vec<WaitingDelivery>, StoreError>> {
        self.query(|state| {
            let later = state.kept.range(after..).filter(|(at, _)| **at > after);
            let waiting = later.map(|(_, kept)| kept).filter(|kept| kept.is_waiting());
            waiting.take(limit).map(Kept::waiting).collect()
        })
    }

    fn delivery_to_post(
        &self,
        id: MessageId,
    ) -> SendFuture<Result<Option<Arc<NewDelivery>>, StoreError>> {
        self.query(|state| {
            state.reads = state.reads.saturating_add(1);
            let waiting = state.find(id).filter(|kept| kept.is_waiting());
            waiting.map(|kept| Arc::clone(&kept.record.delivery))
        })
    }
}
