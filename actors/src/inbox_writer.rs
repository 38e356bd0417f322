//! Writes accepted messages into the inbox folder, batched per context, in order.

use std::sync::Arc;

use actix::Message;

use crate::domain::{
    envelope::{PendingItem, RelayOutcome, StoredMessage},
    ids::MessageId,
};

/// A message was accepted and belongs in the inbox.
///
/// Sent by the router after the commit, in the order of acceptance.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AppendToInbox {
    /// What is kept in memory of it while it waits.
    pub item: PendingItem,
    /// The message itself, so that it need not be read back.
    pub message: Arc<StoredMessage>,
}

/// The relay of a message has ended, and its reply, if any, is in the store.
///
/// Sent by the backend relay. Where it never comes, the item is written at its `reply_due`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ReplyArrived {
    /// The message.
    pub message: MessageId,
    /// The assistant's text, where there was some.
    pub text: Option<Arc<str>>,
    /// How the relay ended. After [`RelayOutcome::ToolCalls`] the item goes on waiting.
    pub outcome: RelayOutcome,
}
