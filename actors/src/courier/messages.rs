//! What the courier is told and asked.

use std::{sync::Arc, time::Duration};

use actix::Message;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::{
    domain::{
        agent_message::{Envelope, IdempotencyKey},
        ids::MessageId,
        post::DeadReason,
        trace_context::TraceContext,
    },
    ports::StoreError,
};

/// Sends a message: to an agent of ours, to a peer, or to be collected.
///
/// The reply comes once the message is kept.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct SendMessage {
    /// The message.
    pub message: OutgoingMessage,
    /// Hears that it is kept, or why not. Nobody listening takes nothing back.
    pub reply: oneshot::Sender<Result<Sent, SendError>>,
}

/// A message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Its id, made at the door.
    pub id: MessageId,
    /// Who, to whom, about what.
    pub envelope: Arc<Envelope>,
    /// What it is delivered in order with: the context id, else the session of the turn that sends
    /// it, else empty.
    pub conversation: Arc<str>,
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// The JSON as the recipient gets it.
    pub body: Bytes,
    /// SHA-256 of type and payload, to notice that the same is said again and again.
    pub said: [u8; 32],
    /// Where it belongs in its trace: what is done with it hangs on that.
    pub traceparent: Option<TraceContext>,
    /// Where its sender gave it an id.
    pub once: Option<IdempotencyKey>,
}

/// A message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its id; of a duplicate, that of the first one.
    pub id: MessageId,
    /// Its sender had sent it before.
    pub is_duplicate: bool,
}

/// Why a message is not sent.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum SendError {
    /// The store did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another body was sent under the same id.
    #[error(
        "message `{0}` was sent under the same id with another body; use a new id for a new message"
    )]
    Conflict(MessageId),
    /// It is kept as a dead letter.
    #[error("{reason}; it is kept as dead letter `{id}`")]
    Refused {
        /// The dead letter.
        id: MessageId,
        /// Why.
        reason: DeadReason,
    },
    /// Too many in too short a time from this sender to this recipient. Nothing is kept.
    #[error("too many messages from `{from}` to `{to}` within a minute (`limits.pair_rate`); try again in {} s", .retry_after.as_secs())]
    TooMany {
        /// The sender.
        from: String,
        /// The recipient.
        to: String,
        /// How long to wait, at least 1 s.
        retry_after: Duration,
    },
    /// As many wait for delivery as may wait.
    #[error("{waiting} messages wait for delivery, which is the limit; try again later")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// The service is about to stop.
    #[error("the service is stopping; try again shortly")]
    Stopping,
}

/// Asks to hear of the end of a delivery.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct WatchDelivery {
    /// Which message.
    pub id: MessageId,
    /// Hears how it ended; dropped where no delivery of that id waits (look into the store then).
    pub reply: oneshot::Sender<DeliveryEnd>,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// Its recipient has it.
    Delivered,
    /// It was given up.
    Dead(DeadReason),
    /// It was taken back.
    Cancelled,
}

/// Takes a delivery back that has not ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct CancelDelivery {
    /// Which message.
    pub id: MessageId,
    /// Answers whether it was waiting or held. A try under way may still reach its recipient.
    pub reply: oneshot::Sender<Result<bool, StoreError>>,
}

/// Lets a dead letter be delivered again, due at once.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RetryDelivery {
    /// Which message.
    pub id: MessageId,
    /// Answers whether it was a dead letter.
    pub reply: oneshot::Sender<Result<bool, StoreError>>,
}
