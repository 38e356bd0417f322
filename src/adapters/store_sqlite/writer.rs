//! The thread that writes: its queue, and the group commit.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use postroom_actors::ports::{Clock, StoreError};
use rusqlite::{Connection, TransactionBehavior};
use tokio::{sync::oneshot, time::Instant};

use super::{
    OpenError, StoreLimits,
    changes::{Change, Ledger, Told, apply},
    failpoints,
    folder::StoreFolder,
    metrics,
    reader::Queries,
    recovery::{Trouble, watch_log},
    state::{Alive, Ended, SharedState},
};

/// How long the queue is empty before the log is copied into the database.
const IDLE: Duration = Duration::from_millis(500);
/// How long the writer sleeps when there is nothing that it could do.
const FOR_LONG: Duration = Duration::from_hours(1);

/// A change, and who is to hear what became of it.
pub(super) struct Entry {
    change: Change,
    bytes: usize,
    receipt: oneshot::Sender<Result<Told, StoreError>>,
}

impl Entry {
    /// Whoever asked may be gone: the change counts all the same.
    fn resolve(self, result: Result<Told, StoreError>) {
        drop(self.receipt.send(result));
    }
}

#[derive(Debug, Default)]
struct Waiting {
    entries: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// Counts a change in, unless others wait and their bytes and its own are too many.
    fn enter(&self, bytes: usize, limit: usize) -> Result<(), StoreError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before.saturating_add(bytes) > limit {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(StoreError::Busy);
        }
        self.entries.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn leave(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.entries.fetch_sub(1, Ordering::Relaxed);
    }

    fn depth(&self) -> f64 {
        let entries = self.entries.load(Ordering::Relaxed);
        u32::try_from(entries).map_or(f64::INFINITY, f64::from)
    }
}

/// The way to the writing thread.
pub(super) struct Queue {
    sender: RwLock<Option<SyncSender<Entry>>>,
    waiting: Arc<Waiting>,
    state: Arc<SharedState>,
    bytes_limit: usize,
    ended: Ended,
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Queue")
    }
}

impl Queue {
    /// Enters a change at once, or refuses it at once. In trouble only a heartbeat enters: that it is
    /// answered at all, by a refusal then, proves that the writer is not stuck.
    pub(super) fn enter(
        &self,
        change: Change,
    ) -> Result<oneshot::Receiver<Result<Told, StoreError>>, StoreError> {
        if let Some(trouble) = self.state.trouble()
            && !matches!(change, Change::Heartbeat)
        {
            return Err(trouble);
        }
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(StoreError::Closed)?;
        let bytes = change.bytes();
        self.waiting.enter(bytes, self.bytes_limit)?;
        let (receipt, answer) = oneshot::channel();
        let entry = Entry {
            change,
            bytes,
            receipt,
        };
        sender.try_send(entry).map_err(|error| {
            self.waiting.leave(bytes);
            match error {
                TrySendError::Full(_entry) => StoreError::Busy,
                TrySendError::Disconnected(_entry) => StoreError::Closed,
            }
        })?;
        Ok(answer)
    }

    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.ended.clone().wait()
    }

    /// Takes no more changes and resolves once those that wait are on disk.
    pub(super) async fn close(&self) {
        self.sender
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.ended().await;
    }
}

/// What the writing thread is made of.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) folder: Arc<StoreFolder>,
    pub(super) state: Arc<SharedState>,
    pub(super) queries: Queries,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: StoreLimits,
}

impl Writer {
    pub(super) fn start(mut self) -> Result<Queue, OpenError> {
        let path = self.folder.database();
        let fails = |error: rusqlite::Error| OpenError::Database {
            path: path.clone(),
            reason: error.to_string(),
        };
        let ledger = Ledger::read(&self.connection).map_err(fails)?;
        let (sender, entries) = sync_channel(self.limits.queue_entries);
        let (alive, ended) = Alive::new();
        let waiting = Arc::new(Waiting::default());
        let queue = Queue {
            sender: RwLock::new(Some(sender)),
            waiting: Arc::clone(&waiting),
            state: Arc::clone(&self.state),
            bytes_limit: self.limits.queue_bytes,
            ended,
        };
        let log_pages = Arc::new(AtomicU64::new(0));
        watch_log(&mut self.connection, &log_pages).map_err(fails)?;
        let mut committer = Committer {
            connection: Some(self.connection),
            ledger,
            durability: Durability::Synced,
            log_pages,
            checkpoint_at: 0,
            probe_at: Instant::now(),
            folder: self.folder,
            state: self.state,
            queries: self.queries,
            clock: self.clock,
            limits: self.limits,
            waiting,
            entries,
        };
        committer.plan_checkpoint(0);
        committer.publish_counts();
        let work = move || {
            committer.work();
            drop(committer);
            drop(alive);
        };
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(work)
            .map_err(|source| OpenError::Folder { path, source })?;
        Ok(queue)
    }
}

/// The writing thread's own things.
pub(super) struct Committer {
    /// `None` after a fault, until the database could be opened anew.
    pub(super) connection: Option<Connection>,
    pub(super) ledger: Ledger,
    /// Whether the connection syncs its commits.
    pub(super) durability: Durability,
    /// Pages in the log, as of the last commit; 0 once they are all in the database.
    pub(super) log_pages: Arc<AtomicU64>,
    /// The log is copied when it has this many pages.
    pub(super) checkpoint_at: u64,
    /// In trouble: when to find out whether it is over.
    pub(super) probe_at: Instant,
    pub(super) folder: Arc<StoreFolder>,
    pub(super) state: Arc<SharedState>,
    pub(super) queries: Queries,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: StoreLimits,
    waiting: Arc<Waiting>,
    entries: Receiver<Entry>,
}

/// Whether a connection syncs its commits before it is done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// `synchronous = FULL`, as a connection is opened.
    Synced,
    /// `synchronous = NORMAL`: the next synced commit takes this one along.
    Kept,
}

impl Durability {
    /// Sets the connection to what the next group needs.
    pub(super) fn choose(
        &mut self,
        connection: &Connection,
        needs_sync: bool,
    ) -> rusqlite::Result<()> {
        let (wanted, setting) = if needs_sync {
            (Self::Synced, "FULL")
        } else {
            (Self::Kept, "NORMAL")
        };
        if *self != wanted {
            connection.pragma_update(None, "synchronous", setting)?;
            *self = wanted;
        }
        Ok(())
    }
}

impl Committer {
    fn work(&mut self) {
        ::metrics::gauge!(metrics::STATE).set(0.0);
        loop {
            match self.entries.recv_timeout(self.patience()) {
                Ok(entry) => {
                    self.take(entry);
                    self.look_after(false);
                }
                Err(RecvTimeoutError::Timeout) => self.look_after(true),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.finish();
    }

    /// How long to wait for an entry before something else is due.
    fn patience(&self) -> Duration {
        if self.state.trouble().is_some() {
            self.probe_at.saturating_duration_since(Instant::now())
        } else if self.log_pages.load(Ordering::Relaxed) > 0 {
            IDLE
        } else {
            FOR_LONG
        }
    }

    fn take(&mut self, entry: Entry) {
        let group = self.gather(entry);
        match self.state.trouble() {
            Some(trouble) => refuse(group, &trouble),
            None => self.commit(group),
        }
    }

    /// Takes what waits already; never waits for more.
    fn gather(&self, first: Entry) -> Vec<Entry> {
        let mut bytes = first.bytes;
        self.waiting.leave(first.bytes);
        let mut group = vec![first];
        while group.len() < self.limits.group_entries && bytes < self.limits.group_bytes {
            let Ok(entry) = self.entries.try_recv() else {
                break;
            };
            self.waiting.leave(entry.bytes);
            bytes = bytes.saturating_add(entry.bytes);
            group.push(entry);
        }
        group
    }

    fn commit(&mut self, group: Vec<Entry>) {
        let started = Instant::now();
        match self.commit_group(&group) {
            Ok(answers) => {
                fail::fail_point!("store::before_receipts");
                self.publish_counts();
                let size = group.len();
                for (entry, answer) in group.into_iter().zip(answers) {
                    entry.resolve(answer);
                }
                self.measure(started, size);
            }
            Err(error) => {
                let trouble = Trouble::of(&error);
                self.fall_ill(&trouble);
                refuse(group, &trouble.error);
                self.refuse_waiting(&trouble.error);
            }
        }
    }

    /// One transaction; rolled back whole where anything of it fails but an entry's own rule.
    fn commit_group(&mut self, group: &[Entry]) -> rusqlite::Result<Vec<Result<Told, StoreError>>> {
        let connection = self
            .connection
            .as_mut()
            .ok_or(rusqlite::Error::InvalidQuery)?;
        let now = self.clock.now();
        let mut ledger = self.ledger;
        self.durability.choose(
            connection,
            group.iter().any(|entry| entry.change.needs_sync()),
        )?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        fail::fail_point!("store::before_insert");
        let answers = group
            .iter()
            .map(|entry| apply(&transaction, &mut ledger, &entry.change, now))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        failpoints::commit_fault()?;
        fail::fail_point!("store::before_commit");
        let started = Instant::now();
        transaction.commit()?;
        if self.durability == Durability::Synced {
            ::metrics::histogram!(metrics::SYNC_DURATION).record(started.elapsed());
        }
        fail::fail_point!("store::after_commit");
        for entry in group {
            failpoints::committed(&entry.change);
        }
        self.ledger = ledger;
        Ok(answers)
    }

    /// After each group and each pause: the probe or the checkpoint that is due.
    fn look_after(&mut self, is_idle: bool) {
        if self.state.trouble().is_some() {
            if Instant::now() >= self.probe_at {
                self.try_to_recover();
            }
        } else if self.is_checkpoint_due(is_idle) {
            self.checkpoint();
        }
    }

    /// Those that entered before the trouble was known are told now, not when it is over.
    fn refuse_waiting(&self, error: &StoreError) {
        while let Ok(entry) = self.entries.try_recv() {
            self.waiting.leave(entry.bytes);
            entry.resolve(Err(error.clone()));
        }
    }

    pub(super) fn publish_counts(&self) {
        self.state
            .set_counts(self.ledger.messages, self.ledger.pending);
    }

    fn measure(&self, started: Instant, group: usize) {
        let size = u32::try_from(group).map_or(f64::INFINITY, f64::from);
        ::metrics::histogram!(metrics::COMMIT_DURATION).record(started.elapsed());
        ::metrics::histogram!(metrics::COMMIT_BATCH_SIZE).record(size);
        ::metrics::gauge!(metrics::QUEUE_DEPTH).set(self.waiting.depth());
    }
}

fn refuse(group: Vec<Entry>, error: &StoreError) {
    for entry in group {
        entry.resolve(Err(error.clone()));
    }
}
