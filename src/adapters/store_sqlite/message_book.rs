//! The store as readers of messages see it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        agent_message::Envelope,
        ids::MessageId,
        party::Party,
        post::{MessageFilter, MessageRecord, MessageSummary},
        response::webhook::EndedResponse,
        turn::TurnRecord,
    },
    ports::{
        SendFuture, StoreError,
        courier::MessageBook,
        recent::{MailboxMessage, RecentFilter, RecentLine, RecentMessages, RecentPage},
    },
};
use rusqlite::{Connection, Result as SqlResult};

use super::{
    SqliteStore, delivery_queries, envelopes, idempotency, message_list, recent, task_queries,
};

impl MessageBook for SqliteStore {
    fn message(&self, id: MessageId) -> SendFuture<Result<Option<MessageRecord>, StoreError>> {
        self.queries.ask(move |connection| message(connection, id))
    }

    fn envelope(&self, id: MessageId) -> SendFuture<Result<Option<Arc<Envelope>>, StoreError>> {
        self.queries
            .ask(move |connection| envelopes::find(connection, id))
    }

    fn by_sender_id(
        &self,
        sender: Party,
        sender_id: Arc<str>,
    ) -> SendFuture<Result<Option<MessageId>, StoreError>> {
        self.queries
            .ask(move |connection| idempotency::find(connection, &sender, &sender_id))
    }

    fn messages(
        &self,
        filter: MessageFilter,
    ) -> SendFuture<Result<Vec<MessageSummary>, StoreError>> {
        self.queries
            .ask(move |connection| message_list::messages(connection, &filter))
    }

    fn callbacks(&self, id: MessageId) -> SendFuture<Result<Vec<MessageSummary>, StoreError>> {
        self.queries
            .ask(move |connection| message_list::callbacks(connection, id))
    }

    fn turns_of_message(&self, id: MessageId) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::turns_of_message(connection, id))
    }

    fn ended_responses(
        &self,
        since: DateTime<Utc>,
        after: Option<MessageId>,
        limit: usize,
    ) -> SendFuture<Result<Vec<EndedResponse>, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::ended_responses(connection, since, after, limit))
    }

    fn dead_letters(&self) -> SendFuture<Result<u64, StoreError>> {
        self.queries.ask(message_list::dead_letters)
    }
}

impl RecentMessages for SqliteStore {
    fn recent(&self, filter: RecentFilter) -> SendFuture<Result<RecentPage, StoreError>> {
        self.queries
            .ask(move |connection| recent::recent(connection, &filter))
    }

    fn lines(&self, ids: Vec<MessageId>) -> SendFuture<Result<Vec<RecentLine>, StoreError>> {
        self.queries
            .ask(move |connection| recent::lines(connection, &ids))
    }

    fn mailbox_message(
        &self,
        id: MessageId,
        longest: usize,
    ) -> SendFuture<Result<Option<MailboxMessage>, StoreError>> {
        self.queries
            .ask(move |connection| recent::mailbox_message(connection, id, longest))
    }
}

fn message(connection: &Connection, id: MessageId) -> SqlResult<Option<MessageRecord>> {
    let task = task_queries::tasks(connection, &[id])?.pop();
    if let Some(task) = task {
        return Ok(Some(MessageRecord::Task(task)));
    }
    let delivery = delivery_queries::delivery(connection, id)?;
    Ok(delivery.map(MessageRecord::Delivery))
}
