//! What the core needs of the outside world. The `postroom` package implements these.

pub mod courier;
pub mod passing;
pub mod recent;
pub mod turns;

use std::{fmt, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::Stream;
use serde::Serialize;
use thiserror::Error;

use crate::domain::{
    envelope::{PendingItem, RecordedReply, Sequence, StoredMessage},
    ids::{ContextId, MessageId, TurnId},
};

/// A future that any thread may drive.
pub type SendFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A future of the thread that made it.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum StoreError {
    /// The disk has no room left; what was asked has no effect.
    #[error("the disk of the store is full; free some space, accepting goes on by itself")]
    Full,
    /// The disk does not do its work.
    #[error("the store cannot write: {0}; see `postroom` logs, and check the disk")]
    Io(Arc<str>),
    /// The store's queue is full; try again shortly.
    #[error("the store is busy")]
    Busy,
    /// The store has been closed, or its thread has ended.
    #[error("the store is closed")]
    Closed,
    /// No such message.
    #[error("no message `{0}` in the store")]
    NotFound(MessageId),
}

/// Whole messages with their places in the order.
pub type LoadedMessages = Vec<(Sequence, Arc<StoredMessage>)>;

/// The truth: whatever was accepted and what became of it.
///
/// Every change is one entry of a group commit, carried out in the order of the calls; a future
/// resolves when the entry is on disk (fsync). The call itself enters the queue at once, so that
/// dropping the future takes nothing back.
pub trait MessageStore: Send + Sync + 'static {
    /// Keeps a message together with its inbox delivery, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where the queue is full; [`StoreError::Full`] and [`StoreError::Io`]
    /// where the commit failed: then nothing of it is kept.
    fn accept(&self, message: Arc<StoredMessage>) -> SendFuture<Result<Sequence, StoreError>>;

    /// Keeps a further request of a message's tool loop; answers its number (1 and up).
    ///
    /// `request` is the JSON of the messages that are new in it.
    ///
    /// # Errors
    /// As [`Self::accept`], and [`StoreError::NotFound`] for an unknown message.
    fn accept_exchange(
        &self,
        message: MessageId,
        request: Bytes,
        received_at: DateTime<Utc>,
    ) -> SendFuture<Result<u32, StoreError>>;

    /// Keeps a backend's reply with its message; a second one for the same exchange replaces it.
    ///
    /// # Errors
    /// As [`Self::accept_exchange`].
    fn record_reply(&self, reply: RecordedReply) -> SendFuture<Result<(), StoreError>>;

    /// Notes that the inbox files of these messages are synced: they are never written again.
    ///
    /// # Errors
    /// As [`Self::accept`].
    fn mark_projected(&self, messages: Vec<Sequence>) -> SendFuture<Result<(), StoreError>>;

    /// The messages whose inbox item is not written yet, oldest first, after a place in the order.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn pending_inbox(
        &self,
        after: Sequence,
        limit: usize,
    ) -> SendFuture<Result<Vec<PendingItem>, StoreError>>;

    /// Whole messages, in the order asked for; unknown ones are left out.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn load(&self, messages: Vec<Sequence>) -> SendFuture<Result<LoadedMessages, StoreError>>;

    /// The newest message of a conversation.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn newest_of_context(
        &self,
        context_id: ContextId,
    ) -> SendFuture<Result<Option<(Sequence, MessageId)>, StoreError>>;

    /// The replies kept with a message, in the order of their exchanges.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn replies(&self, message: MessageId) -> SendFuture<Result<Vec<RecordedReply>, StoreError>>;

    /// Commits a heartbeat: proves that the store can write right now.
    ///
    /// # Errors
    /// As [`Self::accept`].
    fn probe(&self) -> SendFuture<Result<(), StoreError>>;

    /// Removes up to `limit` messages that came in before `before` and have nothing pending.
    /// Tasks, turns and sessions of agents that ended before it count among them.
    ///
    /// # Errors
    /// As [`Self::accept`].
    fn prune(&self, before: DateTime<Utc>, limit: usize) -> SendFuture<Result<usize, StoreError>>;

    /// How much the store holds.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn stats(&self) -> SendFuture<Result<StoreStats, StoreError>>;
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StoreStats {
    /// Messages kept, done ones included.
    pub messages: u64,
    /// Messages whose inbox item is not written yet.
    pub pending_inbox: u64,
    /// Size of the store on disk, in bytes.
    pub size_bytes: u64,
}

/// One file to be written into the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxFile {
    /// Its final name, without a folder.
    pub name: String,
    /// The context that counts as seen once this file is safe.
    pub marks: Option<ContextId>,
    /// Its content, final newline included.
    pub content: String,
}

/// Why an inbox file could not be written.
#[derive(Debug, Error)]
#[error("cannot write inbox file `{}`: {source}; check the folder's permissions and its disk", .path.display())]
pub struct InboxError {
    /// The file or folder that refused.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: std::io::Error,
}

/// The folder that the agent watches.
///
/// Readers list `*.json` at any moment and must never see half a file.
pub trait InboxStore: Send + Sync + 'static {
    /// Writes the files in order and resolves when they and their folder are synced, and the
    /// context marks are made. Contents are made on the writing threads, away from the arbiters.
    ///
    /// # Errors
    /// [`InboxError`] of the first file that failed: as a rule none of them is visible then. A mark
    /// that cannot be made is no error.
    fn write(&self, files: Vec<RenderFile>) -> SendFuture<Result<Vec<WrittenFile>, InboxError>>;

    /// Whether a context is marked as seen. Answers in microseconds: one file status.
    fn is_context_seen(&self, context_id: &ContextId) -> bool;
}

/// A file whose content is made when it is written.
pub struct RenderFile {
    /// Makes the file.
    pub render: Box<dyn FnOnce() -> InboxFile + Send>,
}

impl fmt::Debug for RenderFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RenderFile")
    }
}

/// A file that is in the inbox now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// Wall-clock time, from outside.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;
}

/// Makes ids that nobody else makes.
pub trait IdSource: Send + Sync + 'static {
    /// A fresh message id whose time part is `now`.
    fn message_id(&self, now: DateTime<Utc>) -> MessageId;

    /// A fresh turn id whose time part is `now`.
    fn turn_id(&self, now: DateTime<Utc>) -> TurnId {
        TurnId::new(self.message_id(now).as_uuid())
    }
}

/// How a backend wants to be shown the key.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// None at all.
    None,
    /// `Authorization: Bearer <key>`.
    Bearer(Arc<str>),
    /// `X-Proxy-Token: <token>`.
    ProxyToken(Arc<str>),
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::ProxyToken(_) => "ProxyToken(…)",
        })
    }
}

/// How long each part of an upstream exchange may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamTimeouts {
    /// Until the connection stands, TLS included.
    pub connect: Duration,
    /// From the request's start until the head of the answer.
    pub first_byte: Duration,
    /// Between two chunks of the answer.
    pub idle: Duration,
    /// The whole exchange.
    pub whole: Duration,
}

/// One HTTP request to a backend.
#[derive(Debug, Clone)]
pub struct UpstreamRequest {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// The absolute URL.
    pub url: Arc<str>,
    /// Shown to the backend, never to anyone else.
    pub credential: Credential,
    /// Further headers, by lower-case name.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON body; empty for `GET`.
    pub body: Bytes,
    /// Bounds in time.
    pub timeouts: UpstreamTimeouts,
}

/// Why an upstream exchange failed.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum UpstreamError {
    /// No connection: refused, unreachable, unknown host, TLS.
    #[error("cannot connect: {0}")]
    Connect(Arc<str>),
    /// A bound in time was passed; names which one.
    #[error("timed out waiting for {0}")]
    TimedOut(&'static str),
    /// What came was not HTTP, or broke off.
    #[error("broken answer: {0}")]
    Broken(Arc<str>),
    /// The request could not be made at all: the URL or a header is not valid.
    #[error("cannot be asked: {0}")]
    Unaskable(Arc<str>),
}

/// A chunk of an upstream's body, or why there is no more.
pub type UpstreamBody = Pin<Box<dyn Stream<Item = Result<Bytes, UpstreamError>>>>;

/// The head of an upstream's answer, with its body to come.
pub struct UpstreamResponse {
    /// The status code.
    pub status: u16,
    /// `Content-Type`, as it came.
    pub content_type: Option<String>,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// The body. Bounds in time hold for it; its size is the reader's to bound.
    pub body: UpstreamBody,
}

impl fmt::Debug for UpstreamResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UpstreamResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The way out to backends: one exchange, no redirects, no retries, no proxy, no cookies.
///
/// One client a thread: it is neither `Send` nor shared.
pub trait Upstream {
    /// Sends a request and resolves with the head of the answer.
    ///
    /// # Errors
    /// [`UpstreamError`]; a status of 400 and above is an answer, not an error.
    ///
    /// # Cancel safety
    /// Dropping the future or the body ends the exchange and closes its connection.
    fn send(
        &self,
        request: UpstreamRequest,
    ) -> LocalFuture<Result<UpstreamResponse, UpstreamError>>;
}
