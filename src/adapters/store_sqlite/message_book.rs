//! The store as readers of messages see it.

use std::sync::Arc;

use postroom_actors::{
    domain::{
        agent_message::Envelope,
        ids::MessageId,
        party::Party,
        post::{MessageFilter, MessageRecord, MessageSummary},
        turn::TurnRecord,
    },
    ports::{SendFuture, StoreError, courier::MessageBook},
};

use super::SqliteStore;

fn closed<T: Send + 'static>() -> SendFuture<Result<T, StoreError>> {
    Box::pin(async { Err(StoreError::Closed) })
}

impl MessageBook for SqliteStore {
    fn message(&self, _id: MessageId) -> SendFuture<Result<Option<MessageRecord>, StoreError>> {
        closed()
    }

    fn envelope(&self, _id: MessageId) -> SendFuture<Result<Option<Arc<Envelope>>, StoreError>> {
        closed()
    }

    fn by_sender_id(
        &self,
        _sender: Party,
        _sender_id: Arc<str>,
    ) -> SendFuture<Result<Option<MessageId>, StoreError>> {
        closed()
    }

    fn messages(
        &self,
        _filter: MessageFilter,
    ) -> SendFuture<Result<Vec<MessageSummary>, StoreError>> {
        closed()
    }

    fn callbacks(&self, _id: MessageId) -> SendFuture<Result<Vec<MessageSummary>, StoreError>> {
        closed()
    }

    fn turns_of_message(&self, _id: MessageId) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        closed()
    }

    fn dead_letters(&self) -> SendFuture<Result<u64, StoreError>> {
        closed()
    }
}
