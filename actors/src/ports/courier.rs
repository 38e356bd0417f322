//! What delivering messages needs: kept deliveries, the way out to peers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use thiserror::Error;

use super::{LocalFuture, SendFuture, StoreError};
use crate::domain::{
    agent_message::{Envelope, IdempotencyKey},
    envelope::Sequence,
    ids::MessageId,
    party::Party,
    post::{
        AttemptEnd, MessageFilter, MessageRecord, MessageSummary, NewDelivery, Queued,
        WaitingDelivery,
    },
    response::webhook::EndedResponse,
    trace_context::TraceContext,
    turn::TurnRecord,
};

/// Deliveries to peers. Changes are entries of the store's group commit: see
/// [`super::MessageStore`] for their order and their errors.
pub trait DeliveryStore: Send + Sync + 'static {
    /// Keeps a message with its delivery. A message that was sent in a turn counts as that turn's
    /// callback, in the same transaction.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn queue_delivery(
        &self,
        delivery: Arc<NewDelivery>,
        once: Option<IdempotencyKey>,
    ) -> SendFuture<Result<Queued, StoreError>>;

    /// Keeps how a try went. A delivery that has ended meanwhile (cancelled) stays as it is, unless
    /// it was delivered after all. Answers whether the delivery was waiting.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn end_attempt(&self, end: AttemptEnd) -> SendFuture<Result<bool, StoreError>>;

    /// Takes a delivery back. Answers whether it was waiting or held.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn cancel_delivery(
        &self,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>>;

    /// Lets a dead letter wait again, due at once, with a new schedule, no hops behind it and no
    /// time of expiry. Answers whether it was one.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn revive_delivery(
        &self,
        id: MessageId,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>>;

    /// Drops a dead letter, be it a delivery or a task. Answers whether it was one.
    ///
    /// # Errors
    /// As [`super::MessageStore::accept`].
    fn drop_dead_letter(&self, id: MessageId) -> SendFuture<Result<bool, StoreError>>;

    /// Deliveries that wait, oldest first, after a place in the order.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn waiting_deliveries(
        &self,
        after: Sequence,
        limit: usize,
    ) -> SendFuture<Result<Vec<WaitingDelivery>, StoreError>>;

    /// A delivery with its body, for the next try; `None` where it does not wait any more.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn delivery_to_post(
        &self,
        id: MessageId,
    ) -> SendFuture<Result<Option<Arc<NewDelivery>>, StoreError>>;
}

/// Reads what became of messages, whichever way they go.
pub trait MessageBook: Send + Sync + 'static {
    /// One message. Where a delivery was handed to an agent of ours, it is the task.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn message(&self, id: MessageId) -> SendFuture<Result<Option<MessageRecord>, StoreError>>;

    /// What is known of a message between agents besides its body; `None` for all others.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn envelope(&self, id: MessageId) -> SendFuture<Result<Option<Arc<Envelope>>, StoreError>>;

    /// The message that a sender gave this id.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn by_sender_id(
        &self,
        sender: Party,
        sender_id: Arc<str>,
    ) -> SendFuture<Result<Option<MessageId>, StoreError>>;

    /// Messages, newest first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn messages(
        &self,
        filter: MessageFilter,
    ) -> SendFuture<Result<Vec<MessageSummary>, StoreError>>;

    /// The messages that answer one, and those that its turns sent without naming what they answer,
    /// oldest first; at most 100.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn callbacks(&self, id: MessageId) -> SendFuture<Result<Vec<MessageSummary>, StoreError>>;

    /// The turns that worked on a message, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn turns_of_message(&self, id: MessageId) -> SendFuture<Result<Vec<TurnRecord>, StoreError>>;

    /// Background responses that ended at `since` or later and were asked for with a key, in the
    /// order of their ends, after the one that is named.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn ended_responses(
        &self,
        since: DateTime<Utc>,
        after: Option<MessageId>,
        limit: usize,
    ) -> SendFuture<Result<Vec<EndedResponse>, StoreError>>;

    /// How many dead letters there are.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn dead_letters(&self) -> SendFuture<Result<u64, StoreError>>;
}

/// One message to be posted, once.
#[derive(Debug, Clone)]
pub struct PostOrder {
    /// A peer or a URL.
    pub to: Party,
    /// The message's id: `Idempotency-Key` and `webhook-id`.
    pub id: MessageId,
    /// Now, for the signature.
    pub at: DateTime<Utc>,
    /// The JSON that is posted.
    pub body: Bytes,
    /// What the recipient's part of the trace hangs on.
    pub traceparent: Option<TraceContext>,
}

/// What the recipient answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostAnswer {
    /// The status.
    pub status: u16,
    /// `Retry-After`, understood; at most an hour.
    pub retry_after: Option<Duration>,
    /// The beginning of its body where the status is no success: at most 300 characters, printable.
    pub excerpt: String,
}

/// Why there was no answer.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum PostError {
    /// No connection: refused, unreachable, unknown host, TLS.
    #[error("cannot connect: {0}")]
    Connect(Arc<str>),
    /// A bound in time was passed; names which one.
    #[error("timed out waiting for {0}")]
    TimedOut(&'static str),
    /// What came was not HTTP, or broke off.
    #[error("broken answer: {0}")]
    Broken(Arc<str>),
    /// The address, as it was resolved, may not be posted to.
    #[error(
        "`{0}` is not an address that messages may be posted to; set `allow_private` of the peer if it is meant"
    )]
    AddressRefused(Arc<str>),
    /// There is no such recipient (any more), or it has no URL.
    #[error("`{0}` has no address; configure `url` of the peer")]
    UnknownRecipient(Party),
    /// The request could not be made at all.
    #[error("cannot be asked: {0}")]
    Unaskable(Arc<str>),
}

/// The way out to peers: one POST, no redirects, no retries, no proxy, no cookies. Knows their
/// addresses and secrets.
pub trait PeerTransport {
    /// Posts a message to `<url>/message` of a peer, or to a URL as it is. Ends within its bounds
    /// in time.
    ///
    /// # Errors
    /// [`PostError`]; any status is an answer, not an error.
    ///
    /// # Cancel safety
    /// Dropping the future ends the exchange; the recipient may have it all the same.
    fn post(&self, order: PostOrder) -> LocalFuture<Result<PostAnswer, PostError>>;
}
