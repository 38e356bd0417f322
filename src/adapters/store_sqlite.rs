//! The message store in SQLite: one file, one writer, group commit.
//!
//! A single thread owns the connection that writes. It takes whatever waits in its queue, carries
//! it out in one transaction, commits with an fsync (WAL, `synchronous = FULL`) and only then
//! resolves the receipts, in order. It never waits for company: a lone caller pays for one fsync.
//! Reads have a thread and a connection of their own, so that they hold up nobody.
//!
//! When a commit fails nothing of its group is acknowledged. The store then refuses changes at
//! once and finds out every two seconds whether it can write again. After an error that is not
//! a full disk all connections are closed and opened anew first, because an fsync that failed
//! may falsely succeed when it is repeated on the same file handle.

mod changes;
mod deliveries;
mod delivery_queries;
mod delivery_rows;
mod delivery_store;
mod envelopes;
mod failpoints;
mod folder;
mod idempotency;
mod mailbox;
mod message_book;
mod message_list;
mod message_summary;
mod metrics;
mod reader;
mod recent;
mod recovery;
mod rows;
mod schema;
mod state;
mod task_queries;
mod task_rows;
mod task_store;
mod tasks;
mod turns;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        envelope::{PendingItem, RecordedReply, Sequence, StoredMessage},
        ids::{ContextId, MessageId},
    },
    ports::{Clock, LoadedMessages, MessageStore, SendFuture, StoreError, StoreStats},
};
use thiserror::Error;

pub use self::metrics::describe;
use self::{
    changes::{Change, Told},
    folder::StoreFolder,
    reader::{Queries, Reader},
    state::SharedState,
    writer::{Queue, Writer},
};

/// How much the store takes on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Changes that may wait for the writer; default 2048. More are refused as busy.
    pub queue_entries: usize,
    /// Bytes of bodies that may wait for the writer; default 64 MiB. One change may exceed it alone.
    pub queue_bytes: usize,
    /// Changes in one transaction at most; default 256.
    pub group_entries: usize,
    /// Bytes of bodies after which a transaction takes no further change; default 4 MiB.
    pub group_bytes: usize,
    /// Size of the write-ahead log, in bytes, from which on it is copied into the database;
    /// default 16 MiB.
    pub checkpoint_bytes: u64,
    /// Reads that may wait; default 1024.
    pub queries: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            queue_entries: 2048,
            queue_bytes: 64 << 20,
            group_entries: 256,
            group_bytes: 4 << 20,
            checkpoint_bytes: 16 << 20,
            queries: 1024,
        }
    }
}

/// Why a store cannot be opened. Nothing in it has been changed.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process works with this folder.
    #[error("store in use by pid {}; stop that process or choose another `store.path`", pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
    InUse {
        /// That process, where it could be read.
        pid: Option<u32>,
    },
    /// Messages still wait for an inbox other than the one that is configured.
    #[error("{pending} messages of this store wait for the inbox `{}`; set `mailbox.inbox` back until they are written, or choose another `store.path`", .remembered.display())]
    OtherInbox {
        /// The inbox that the messages were accepted for.
        remembered: PathBuf,
        /// How many wait.
        pending: u64,
    },
    /// A newer Postroom has written this store.
    #[error(
        "the store has schema version {found}, this program knows up to {known}; use a newer `postroom`"
    )]
    NewerSchema {
        /// The version in the file.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The folder or a file in it cannot be made or read.
    #[error("cannot use `{}` as store: {source}; check its permissions and its disk", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// This file system cannot give the promise that an accepted message is kept.
    #[error(
        "the store cannot be made durable: `{setting}` is `{found}`; put `store.path` on a local disk"
    )]
    NotDurable {
        /// The setting that did not hold.
        setting: &'static str,
        /// What it is instead.
        found: String,
    },
    /// SQLite refused.
    #[error("cannot open the store in `{}`: {reason}; check the disk, or move the file away", .path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

/// The store of one broker. See the module for how it works.
#[derive(Debug)]
pub struct SqliteStore {
    queue: Queue,
    queries: Queries,
    state: Arc<SharedState>,
}

impl SqliteStore {
    /// Opens the store in `folder` (made if missing) for the inbox `inbox`, and starts its threads.
    ///
    /// Blocks for as long as the disk needs: call it before the service takes requests.
    ///
    /// # Errors
    /// [`OpenError`]: in use, meant for another inbox, of a newer version, or not usable.
    pub fn open(
        folder: &Path,
        inbox: &Path,
        clock: Arc<dyn Clock>,
        limits: StoreLimits,
    ) -> Result<Self, OpenError> {
        let folder = Arc::new(StoreFolder::claim(folder)?);
        let state = Arc::new(SharedState::default());
        let connection = schema::open_for_writing(&folder.database())?;
        schema::take_over_inbox(&connection, &folder.database(), inbox)?;
        let queries = Reader::start(Arc::clone(&folder), Arc::clone(&state), limits.queries)?;
        let queue = Writer {
            connection,
            folder,
            state: Arc::clone(&state),
            queries: queries.clone(),
            clock,
            limits,
        }
        .start()?;
        Ok(Self {
            queue,
            queries,
            state,
        })
    }

    /// Why the store refuses changes at present; `None` while all is well.
    pub fn trouble(&self) -> Option<StoreError> {
        self.state.trouble()
    }

    /// Resolves once the store can do no more work: closed, or one of its threads has died.
    ///
    /// A process that has not closed its store should end then.
    pub fn ended(&self) -> SendFuture<()> {
        let (writer, reader) = (self.queue.ended(), self.queries.ended());
        Box::pin(async move {
            tokio::select! {
                () = writer => {}
                () = reader => {}
            }
        })
    }

    /// Takes no more changes, commits those that wait, folds the log into the database and lets
    /// go of the folder. Answers whether that was done `within` the time given.
    ///
    /// # Cancel safety
    /// Once polled it goes on by itself; dropping it only forgoes the answer.
    pub async fn close(&self, within: Duration) -> bool {
        let ended = async {
            self.queue.close().await;
            self.queries.close().await;
        };
        tokio::time::timeout(within, ended).await.is_ok()
    }

    fn change(&self, change: Change) -> impl Future<Output = Result<Told, StoreError>> + use<> {
        let receipt = self.queue.enter(change);
        async move { receipt?.await.unwrap_or(Err(StoreError::Closed)) }
    }
}

fn number<T: TryFrom<i64>>(answer: Told) -> Result<T, StoreError> {
    let answer = answer.number();
    T::try_from(answer)
        .map_err(|_number| StoreError::Io(format!("`{answer}` is out of range").into()))
}

impl MessageStore for SqliteStore {
    fn accept(&self, message: Arc<StoredMessage>) -> SendFuture<Result<Sequence, StoreError>> {
        let change = self.change(Change::Accept(message));
        Box::pin(async move { change.await.map(|seq| Sequence(seq.number())) })
    }

    fn accept_exchange(
        &self,
        message: MessageId,
        request: Bytes,
        received_at: DateTime<Utc>,
    ) -> SendFuture<Result<u32, StoreError>> {
        let change = self.change(Change::Exchange {
            message,
            request,
            received_at,
        });
        Box::pin(async move { change.await.and_then(number) })
    }

    fn record_reply(&self, reply: RecordedReply) -> SendFuture<Result<(), StoreError>> {
        let change = self.change(Change::Reply(reply));
        Box::pin(async move { change.await.map(drop) })
    }

    fn mark_projected(&self, messages: Vec<Sequence>) -> SendFuture<Result<(), StoreError>> {
        let change = self.change(Change::Projected(messages));
        Box::pin(async move { change.await.map(drop) })
    }

    fn pending_inbox(
        &self,
        after: Sequence,
        limit: usize,
    ) -> SendFuture<Result<Vec<PendingItem>, StoreError>> {
        self.queries
            .ask(move |connection| reader::pending_inbox(connection, after, limit))
    }

    fn load(&self, messages: Vec<Sequence>) -> SendFuture<Result<LoadedMessages, StoreError>> {
        self.queries
            .ask(move |connection| reader::load(connection, &messages))
    }

    fn newest_of_context(
        &self,
        context_id: ContextId,
    ) -> SendFuture<Result<Option<(Sequence, MessageId)>, StoreError>> {
        self.queries
            .ask(move |connection| reader::newest_of_context(connection, &context_id))
    }

    fn replies(&self, message: MessageId) -> SendFuture<Result<Vec<RecordedReply>, StoreError>> {
        self.queries
            .ask(move |connection| reader::replies(connection, message))
    }

    fn probe(&self) -> SendFuture<Result<(), StoreError>> {
        let change = self.change(Change::Heartbeat);
        Box::pin(async move { change.await.map(drop) })
    }

    fn prune(&self, before: DateTime<Utc>, limit: usize) -> SendFuture<Result<usize, StoreError>> {
        let change = self.change(Change::Prune { before, limit });
        Box::pin(async move { change.await.and_then(number) })
    }

    fn stats(&self) -> SendFuture<Result<StoreStats, StoreError>> {
        let (messages, pending_inbox) = self.state.counts();
        let size = self.queries.size_bytes();
        Box::pin(async move {
            Ok(StoreStats {
                messages,
                pending_inbox,
                size_bytes: size.await?,
            })
        })
    }
}
