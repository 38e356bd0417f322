//! What travels through the broker: an accepted message and what is known about it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    ids::{ContextId, MessageId},
    trace_context::TraceContext,
};

/// The place of a message in the store: ascending in the order of acceptance, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Sequence(pub i64);

/// A request on its way in: read and understood, not yet accepted.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Its id, made at the door.
    pub id: MessageId,
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// Its conversation, where one was found.
    pub context_id: Option<ContextId>,
    /// The human's words, where there are some.
    pub prompt: Option<Arc<str>>,
    /// The request's JSON, byte for byte as it came; known to parse.
    pub body: Bytes,
    /// Where it belongs in its trace; `None` where nobody records one.
    pub traceparent: Option<TraceContext>,
}

/// How much of a message its inbox item holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InboxForm {
    /// The whole request: the first message of a context, or one without a context.
    Whole,
    /// Context id and prompt only: a later message of a context.
    Repeat,
    /// Context id, prompt, and the whole request under `message` (`compact = "keep-message"`).
    RepeatWithMessage,
}

/// A message as the store keeps it.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Its id.
    pub id: MessageId,
    /// When it came in; with the id, it names the inbox file.
    pub received_at: DateTime<Utc>,
    /// Its conversation.
    pub context_id: Option<ContextId>,
    /// The human's words.
    pub prompt: Option<Arc<str>>,
    /// How much of it is kept.
    pub form: InboxForm,
    /// The request's JSON; `None` for [`InboxForm::Repeat`], which does not need it.
    pub body: Option<Bytes>,
    /// Until when the inbox item waits for a backend's reply; `None` where there is no relay.
    pub reply_due: Option<DateTime<Utc>>,
    /// Where it belongs in its trace; `None` where nobody records one.
    pub traceparent: Option<TraceContext>,
}

/// What the inbox writer keeps in memory of a message that waits: no bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingItem {
    /// Its place in the store.
    pub sequence: Sequence,
    /// Its id.
    pub id: MessageId,
    /// When it came in.
    pub received_at: DateTime<Utc>,
    /// Its conversation.
    pub context_id: Option<ContextId>,
    /// Until when it waits for a reply, if it does.
    pub reply_due: Option<DateTime<Utc>>,
}

impl PendingItem {
    /// What is kept in memory of a stored message.
    pub fn of(sequence: Sequence, message: &StoredMessage) -> Self {
        Self {
            sequence,
            id: message.id,
            received_at: message.received_at,
            context_id: message.context_id.clone(),
            reply_due: message.reply_due,
        }
    }
}

/// How a relay to a backend ended, as the store and the inbox see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayOutcome {
    /// The backend's answer came whole.
    Complete,
    /// The answer ends in tool calls: the agent's tool loop goes on with a further request.
    ToolCalls,
    /// The answer began and broke off; what came is kept.
    Partial,
    /// No usable answer came.
    Failed,
    /// The client went away and the relay was stopped (`on_disconnect = "cancel"`).
    Cancelled,
}

/// A backend's reply to one request of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedReply {
    /// The message that it answers.
    pub message: MessageId,
    /// The request that it answers: 0 is the message itself, later ones are its tool loop.
    pub exchange: u32,
    /// The backend's configured name.
    pub backend: String,
    /// The assistant's text put together, where there was some.
    pub text: Option<Arc<str>>,
    /// How it ended.
    pub outcome: RelayOutcome,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
}
