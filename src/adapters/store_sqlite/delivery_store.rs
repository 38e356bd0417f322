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

use super::SqliteStore;

fn closed<T: Send + 'static>() -> SendFuture<Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::Closed) })
}

impl DeliveryStore for SqliteStore {
    fn queue_delivery(
        &self,
        _delivery: Arc<NewDelivery>,
        _once: Option<IdempotencyKey>,
    ) -> SendFuture<Result<Queued, StoreError>> {
        closed()
    }

    fn end_attempt(&self, _end: AttemptEnd) -> SendFuture<Result<bool, StoreError>> {
        closed()
    }

    fn cancel_delivery(
        &self,
        _id: MessageId,
        _at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        closed()
    }

    fn revive_delivery(
        &self,
        _id: MessageId,
        _at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        closed()
    }

    fn drop_dead_letter(&self, _id: MessageId) -> SendFuture<Result<bool, StoreError>> {
        closed()
    }

    fn waiting_deliveries(
        &self,
        _after: Sequence,
        _limit: usize,
    ) -> SendFuture<Result<Vec<WaitingDelivery>, StoreError>> {
        closed()
    }

    fn delivery_to_post(
        &self,
        _id: MessageId,
    ) -> SendFuture<Result<Option<Arc<NewDelivery>>, StoreError>> {
        closed()
    }
}
