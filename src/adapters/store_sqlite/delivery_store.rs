//! The store as the courier sees it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        agent_message::IdempotencyKey,
        envelope::Sequence,
        ids::MessageId,
        post::{AttemptEnd, NewDelivery, Queued, WaitingDelivery},
    },
    ports::{SendFuture, StoreError, courier::DeliveryStore},
};

use super::{
    SqliteStore,
    changes::{Change, Told},
    deliveries::DeliveryChange,
    delivery_queries,
};

impl SqliteStore {
    fn change_deliveries<T: 'static>(
        &self,
        change: DeliveryChange,
        read: fn(Told) -> T,
    ) -> SendFuture<Result<T, StoreError>> {
        let change = self.change(Change::Deliveries(change));
        Box::pin(async move { change.await.map(read) })
    }
}

impl DeliveryStore for SqliteStore {
    fn queue_delivery(
        &self,
        delivery: Arc<NewDelivery>,
        once: Option<IdempotencyKey>,
    ) -> SendFuture<Result<Queued, StoreError>> {
        self.change_deliveries(DeliveryChange::Queue { delivery, once }, Told::queued)
    }

    fn end_attempt(&self, end: AttemptEnd) -> SendFuture<Result<bool, StoreError>> {
        self.change_deliveries(DeliveryChange::EndAttempt(end), Told::is_changed)
    }

    fn cancel_delivery(
        &self,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        self.change_deliveries(DeliveryChange::Cancel { id, at }, Told::is_changed)
    }

    fn revive_delivery(
        &self,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        self.change_deliveries(DeliveryChange::Revive { id, at }, Told::is_changed)
    }

    fn drop_dead_letter(&self, id: MessageId) -> SendFuture<Result<bool, StoreError>> {
        self.change_deliveries(DeliveryChange::Drop(id), Told::is_changed)
    }

    fn waiting_deliveries(
        &self,
        after: Sequence,
        limit: usize,
    ) -> SendFuture<Result<Vec<WaitingDelivery>, StoreError>> {
        self.queries
            .ask(move |connection| delivery_queries::waiting(connection, after, limit))
    }

    fn delivery_to_post(
        &self,
        id: MessageId,
    ) -> SendFuture<Result<Option<Arc<NewDelivery>>, StoreError>> {
        self.queries
            .ask(move |connection| delivery_queries::to_post(connection, id))
    }
}
