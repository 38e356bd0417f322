//! The thread that reads, and the queries it carries out.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
};

use postroom_actors::{
    domain::{
        envelope::{PendingItem, RecordedReply, Sequence, StoredMessage},
        ids::{ContextId, MessageId},
    },
    ports::{SendFuture, StoreError},
};
use rusqlite::{Connection, OptionalExtension, Result, params};
use tokio::sync::oneshot;

use super::{
    OpenError,
    folder::StoreFolder,
    mailbox::sequence_of,
    metrics,
    rows::{message_id, pending_item, recorded_reply, stored_message},
    schema,
    state::{Alive, Ended, SharedState},
};

type Query = Box<dyn FnOnce(std::result::Result<&Connection, StoreError>) -> Health + Send>;

/// Whether the connection may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    Bad,
}

enum Job {
    Query(Query),
    /// Close the connection and answer queries with the store's trouble, until it is over.
    Release(SyncSender<()>),
}

/// The way to the reading thread.
#[derive(Clone)]
pub(super) struct Queries {
    sender: Arc<RwLock<Option<SyncSender<Job>>>>,
    folder: std::sync::Weak<StoreFolder>,
    ended: Ended,
}

impl fmt::Debug for Queries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Queries")
    }
}

impl Queries {
    /// Runs a query on the reading thread.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> SendFuture<std::result::Result<T, StoreError>> {
        let (receipt, answer) = oneshot::channel();
        let entered = self.enter(Job::Query(Box::new(|connection| {
            let (result, health) = run(connection, query);
            // Whoever asked may be gone; nothing is lost by that.
            drop(receipt.send(result));
            health
        })));
        Box::pin(async move {
            entered?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    /// Bytes on disk. Asks the file system, not SQLite.
    pub(super) fn size_bytes(&self) -> SendFuture<std::result::Result<u64, StoreError>> {
        let Some(folder) = self.folder.upgrade() else {
            return Box::pin(async { Err(StoreError::Closed) });
        };
        let size = folder
            .size_bytes()
            .map_err(|error| StoreError::Io(error.to_string().into()));
        Box::pin(async move { size })
    }

    /// Makes the reading thread let go of the files; resolves the receiver when it has.
    pub(super) fn release(&self) -> Receiver<()> {
        let (done, released) = sync_channel(1);
        // A full queue drops `done`, which the waiting side sees at once.
        drop(self.enter(Job::Release(done)));
        released
    }

    fn enter(&self, job: Job) -> std::result::Result<(), StoreError> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(StoreError::Closed)?;
        sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(_job) => StoreError::Busy,
            TrySendError::Disconnected(_job) => StoreError::Closed,
        })
    }

    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.ended.clone().wait()
    }

    /// Takes no more queries and resolves once those that wait are answered.
    pub(super) async fn close(&self) {
        self.sender
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.ended().await;
    }
}

fn run<T>(
    connection: std::result::Result<&Connection, StoreError>,
    query: impl FnOnce(&Connection) -> Result<T>,
) -> (std::result::Result<T, StoreError>, Health) {
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => return (Err(error), Health::Bad),
    };
    match query(connection) {
        Ok(answer) => (Ok(answer), Health::Good),
        Err(error) => (Err(read_error(&error)), Health::Bad),
    }
}

fn read_error(error: &rusqlite::Error) -> StoreError {
    ::metrics::counter!(metrics::ERRORS, "kind" => "read").increment(1);
    tracing::error!(%error, "the store cannot read");
    StoreError::Io(error.to_string().into())
}

/// The reading thread's own things.
pub(super) struct Reader {
    path: PathBuf,
    state: Arc<SharedState>,
    connection: Option<Connection>,
    /// Set while the writer opens the store anew.
    is_released: bool,
}

impl Reader {
    pub(super) fn start(
        folder: Arc<StoreFolder>,
        state: Arc<SharedState>,
        queue: usize,
    ) -> std::result::Result<Queries, OpenError> {
        let (sender, jobs) = sync_channel(queue);
        let (alive, ended) = Alive::new();
        let queries = Queries {
            sender: Arc::new(RwLock::new(Some(sender))),
            folder: Arc::downgrade(&folder),
            ended,
        };
        let path = folder.database();
        let reader = Self {
            path: path.clone(),
            state,
            connection: None,
            is_released: false,
        };
        let work = move || {
            reader.work(&jobs);
            drop(folder);
            drop(alive);
        };
        thread::Builder::new()
            .name("store-reader".to_owned())
            .spawn(work)
            .map_err(|source| OpenError::Folder { path, source })?;
        Ok(queries)
    }

    fn work(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Query(query) => {
                    let health = query(self.connection());
                    if health == Health::Bad {
                        self.connection = None;
                    }
                }
                Job::Release(done) => {
                    self.connection = None;
                    self.is_released = true;
                    drop(done);
                }
            }
        }
    }

    fn connection(&mut self) -> std::result::Result<&Connection, StoreError> {
        if self.is_released {
            if let Some(trouble) = self.state.trouble() {
                return Err(trouble);
            }
            self.is_released = false;
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => schema::open_for_reading(&self.path).map_err(|error| read_error(&error))?,
        };
        Ok(self.connection.insert(connection))
    }
}

pub(super) fn pending_inbox(
    connection: &Connection,
    after: Sequence,
    limit: usize,
) -> Result<Vec<PendingItem>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT message.seq, id, received_ms, context_id, reply_due_ms
             FROM pending_inbox CROSS JOIN message ON message.seq = pending_inbox.seq
             WHERE pending_inbox.seq > ?1 ORDER BY pending_inbox.seq LIMIT ?2",
        )?
        .query_map(params![after.0, limit], pending_item)?
        .collect()
}

pub(super) fn load(
    connection: &Connection,
    messages: &[Sequence],
) -> Result<Vec<(Sequence, Arc<StoredMessage>)>> {
    let mut select = connection.prepare_cached(
        "SELECT id, received_ms, context_id, reply_due_ms, form, prompt, body.json
         FROM message LEFT JOIN body ON body.seq = message.seq WHERE message.seq = ?1",
    )?;
    let mut loaded = Vec::with_capacity(messages.len());
    for sequence in messages {
        let message = select
            .query_row(params![sequence.0], stored_message)
            .optional()?;
        loaded.extend(message.map(|message| (*sequence, Arc::new(message))));
    }
    Ok(loaded)
}

pub(super) fn newest_of_context(
    connection: &Connection,
    context_id: &ContextId,
) -> Result<Option<(Sequence, MessageId)>> {
    connection
        .prepare_cached(
            "SELECT seq, id FROM context CROSS JOIN message ON seq = newest
             WHERE context.context_id = ?1",
        )?
        .query_row(params![context_id.as_str()], |row| {
            Ok((Sequence(row.get(0)?), message_id(row, 1)?))
        })
        .optional()
}

pub(super) fn replies(connection: &Connection, message: MessageId) -> Result<Vec<RecordedReply>> {
    replies_up_to(connection, message, i64::MAX)
}

/// The same with at most the first `longest` characters of each.
pub(super) fn replies_up_to(
    connection: &Connection,
    message: MessageId,
    longest: i64,
) -> Result<Vec<RecordedReply>> {
    let Some(seq) = sequence_of(connection, message)? else {
        return Ok(Vec::new());
    };
    connection
        .prepare_cached(
            "SELECT exchange, backend, substr(text, 1, ?2), outcome, ended_ms FROM reply
             WHERE seq = ?1 ORDER BY exchange",
        )?
        .query_map(params![seq, longest], |row| recorded_reply(row, message))?
        .collect()
}
