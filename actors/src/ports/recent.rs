//! What somebody needs who looks at everything: the newest messages of all kinds, in one list.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{SendFuture, StoreError};
use crate::domain::{
    envelope::{InboxForm, RecordedReply, RelayOutcome},
    ids::{AgentId, ContextId, MessageId},
    post::MessageSummary,
};

/// The word for a message of the mailbox whose inbox item is not written yet.
pub const PENDING: &str = "pending";

/// The word for a message of the mailbox whose inbox item is written.
pub const FILED: &str = "filed";

/// Reads messages of all kinds, and changes nothing.
pub trait RecentMessages: Send + Sync + 'static {
    /// The newest messages that a filter lets through. Looks at a bounded number of rows: a page may
    /// be short, or empty, although there are older messages.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn recent(&self, filter: RecentFilter) -> SendFuture<Result<RecentPage, StoreError>>;

    /// The lines of these messages in their order; unknown ones are left out.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn lines(&self, ids: Vec<MessageId>) -> SendFuture<Result<Vec<RecentLine>, StoreError>>;

    /// One message of the mailbox; of its texts at most `longest` bytes each.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn mailbox_message(
        &self,
        id: MessageId,
        longest: usize,
    ) -> SendFuture<Result<Option<MailboxMessage>, StoreError>>;
}

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecentKind {
    /// Requests that went to the inbox folder.
    Mailbox,
    /// Chats and responses that an agent works on.
    Chat,
    /// Messages between agents and peers, deliveries included.
    Message,
}

/// Which messages are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentFilter {
    /// Of this kind.
    pub kind: Option<RecentKind>,
    /// Sent by or to this agent.
    pub agent: Option<AgentId>,
    /// In this state: [`PENDING`], [`FILED`] or a word of [`MessageSummary::state`].
    pub state: Option<String>,
    /// Older than this one.
    pub before: Option<MessageId>,
    /// At most so many.
    pub limit: usize,
}

/// One page of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentPage {
    /// Newest first.
    pub lines: Vec<RecentLine>,
    /// Where the next page begins: `before` of its filter. `None` at the end.
    pub older: Option<MessageId>,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecentLine {
    /// Of the mailbox.
    Mailbox(MailboxLine),
    /// That an agent works on, or that is delivered.
    Message {
        /// What is known of it.
        summary: Box<MessageSummary>,
        /// The beginning of what it says, where that is short enough to be looked for.
        words: Option<String>,
    },
}

impl RecentLine {
    /// The message.
    pub const fn id(&self) -> MessageId {
        match self {
            Self::Mailbox(line) => line.id,
            Self::Message { summary, .. } => summary.id,
        }
    }
}

/// A message of the mailbox in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxLine {
    /// Its id.
    pub id: MessageId,
    /// When it was accepted.
    pub received_at: DateTime<Utc>,
    /// Its conversation.
    pub context_id: Option<ContextId>,
    /// Whether its inbox item is not written yet.
    pub is_pending: bool,
    /// Until when its inbox item waits for a backend's reply.
    pub reply_due: Option<DateTime<Utc>>,
    /// How its newest relay to a backend ended.
    pub reply: Option<RelayOutcome>,
    /// The beginning of what it says.
    pub words: Option<String>,
}

impl MailboxLine {
    /// Where it stands, in one word.
    pub const fn state(&self) -> &'static str {
        if self.is_pending { PENDING } else { FILED }
    }
}

/// A message of the mailbox, with all that is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxMessage {
    /// What a list shows.
    pub line: MailboxLine,
    /// How much of it its inbox item holds.
    pub form: InboxForm,
    /// The human's words, where there are some.
    pub prompt: Option<Arc<str>>,
    /// The request's JSON, where it is kept.
    pub body: Option<CutText>,
    /// Further requests of its tool loop.
    pub exchanges: u32,
    /// The backends' replies, in the order of its requests.
    pub replies: Vec<RecordedReply>,
}

/// The beginning of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutText {
    /// What was read of it.
    pub text: String,
    /// How long it is, in bytes.
    pub whole_bytes: u64,
}
