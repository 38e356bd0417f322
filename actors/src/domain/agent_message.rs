//! A message between agents: what its body says, and what is known of it besides.
//!
//! The body is `{"type": …, "payload": …}` and optional fields; it is handed on as it came, with
//! unknown fields.

mod reading;
mod stamping;

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::{
    ids::{AgentId, ContextId, MessageId, TurnId},
    party::Party,
};

pub use self::{
    reading::{MAX_NAME, MessageFault, MessageFields, is_name, read_message},
    stamping::{Stamp, stamped},
};

/// How urgent a message is: 0 to 9, greater first. Whatever waits in other conversations of the same
/// agent with a lower priority is worked on later; within a conversation the order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Priority(u8);

impl Priority {
    /// `"low"`
    pub const LOW: Self = Self(1);
    /// `"normal"`, the default.
    pub const NORMAL: Self = Self(4);
    /// `"high"`
    pub const HIGH: Self = Self(8);

    /// A number from 0 to 9.
    pub const fn new(level: u8) -> Option<Self> {
        if level <= 9 { Some(Self(level)) } else { None }
    }

    /// The number.
    pub const fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What is known of a message between agents besides its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Envelope {
    /// Who sent it, as its secret, key or token says.
    pub sender: Party,
    /// Who gets it.
    pub recipient: Party,
    /// Its `type`.
    pub kind: Arc<str>,
    /// The id that its sender gave it: also its idempotency key.
    pub sender_id: Option<Arc<str>>,
    /// Which agent of a peer sent it, by the peer's own word.
    pub remote_agent: Option<AgentId>,
    /// The conversation.
    pub context_id: Option<ContextId>,
    /// What it answers, as it was written.
    pub in_reply_to: Option<Arc<str>>,
    /// The message of ours that it answers, where that was found.
    pub answers: Option<MessageId>,
    /// The turn that it was sent in.
    pub turn: Option<TurnId>,
    /// Where answers are posted instead of to its sender; checked already.
    pub reply_to: Option<Arc<str>>,
    /// How many messages led to it, each sent in answer to the one before.
    pub hops: u32,
    /// How urgent it is.
    pub priority: Priority,
    /// When it is of no use any more.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Envelope {
    /// Of a message that begins a conversation, and says nothing but who, to whom and what.
    pub fn new(sender: Party, recipient: Party, kind: &str) -> Self {
        Self {
            sender,
            recipient,
            kind: kind.into(),
            sender_id: None,
            remote_agent: None,
            context_id: None,
            in_reply_to: None,
            answers: None,
            turn: None,
            reply_to: None,
            hops: 0,
            priority: Priority::NORMAL,
            expires_at: None,
        }
    }

    /// Whether it is of no use any more.
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }

    /// Who gets the answers.
    pub fn answers_go_to(&self) -> Party {
        let named = self.reply_to.clone().map(Party::Url);
        named.unwrap_or_else(|| self.sender.clone())
    }
}

/// Takes a message once, however often its sender repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key.
    pub sender: Party,
    /// Its text, 1 to 255 bytes.
    pub key: Arc<str>,
    /// SHA-256 of what was sent: another body under the same key is refused.
    pub digest: [u8; 32],
}
