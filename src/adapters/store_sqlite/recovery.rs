//! What the writer does besides commits: the log's upkeep, faults, and the way back from them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::RecvTimeoutError,
    },
    time::Duration,
};

use postroom_actors::ports::StoreError;
use rusqlite::{Connection, ErrorCode, MAIN_DB, TransactionBehavior, wal::CheckpointMode};
use tokio::time::Instant;

use super::{
    changes::{Change, apply, undo_unacknowledged},
    failpoints, metrics,
    schema::{self, PAGE_BYTES},
    writer::{Committer, Durability},
};

/// How often a store in trouble finds out whether it can write again.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How long the reading thread may take to let go of the files.
const RELEASE_WITHIN: Duration = Duration::from_secs(1);

/// A failed transaction, as callers and metrics are told of it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: StoreError,
    kind: &'static str,
}

impl Trouble {
    pub(super) fn of(error: &rusqlite::Error) -> Self {
        let (error, kind) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (StoreError::Full, "full"),
            Some(ErrorCode::DatabaseBusy) => (io_error(error), "busy"),
            _ => (io_error(error), "io"),
        };
        Self { error, kind }
    }
}

fn io_error(error: &rusqlite::Error) -> StoreError {
    StoreError::Io(error.to_string().into())
}

/// Has the log's size counted at each commit.
pub(super) fn watch_log(
    connection: &mut Connection,
    log_pages: &Arc<AtomicU64>,
) -> rusqlite::Result<()> {
    let log_pages = Arc::clone(log_pages);
    connection.wal_hook(Some(move |_log: &mut rusqlite::hooks::Wal, pages: i32| {
        log_pages.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }))
}

impl Committer {
    /// Refuses everything from now on, until [`Self::try_to_recover`] finds that it works again.
    pub(super) fn fall_ill(&mut self, trouble: &Trouble) {
        ::metrics::counter!(metrics::ERRORS, "kind" => trouble.kind).increment(1);
        tracing::error!(error = %trouble.error, "the store refuses changes until it can write again");
        self.state.set_trouble(Some(trouble.error.clone()));
        self.probe_at = after(PROBE_EVERY);
        self.abandon_connection(trouble);
    }

    /// A full disk leaves the connection sound, as long as the rollback went well.
    fn abandon_connection(&mut self, trouble: &Trouble) {
        let is_sound = self
            .connection
            .as_ref()
            .is_some_and(Connection::is_autocommit);
        if trouble.error != StoreError::Full || !is_sound {
            self.connection = None;
        }
    }

    /// Tries a commit, on fresh file handles where the old ones are not to be trusted.
    pub(super) fn try_to_recover(&mut self) {
        match self.recover() {
            Ok(()) => {
                tracing::info!("the store can write again");
                self.publish_counts();
                self.state.set_trouble(None);
            }
            Err(error) => {
                let trouble = Trouble::of(&error);
                ::metrics::counter!(metrics::ERRORS, "kind" => trouble.kind).increment(1);
                self.state.set_trouble(Some(trouble.error.clone()));
                self.probe_at = after(PROBE_EVERY);
                self.abandon_connection(&trouble);
            }
        }
    }

    fn recover(&mut self) -> rusqlite::Result<()> {
        let is_new = self.connection.is_none();
        let now = self.clock.now();
        let mut ledger = self.ledger;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen()?,
        };
        let connection = self.connection.insert(connection);
        if is_new {
            self.durability = Durability::Synced;
        }
        self.durability.choose(connection, true)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if is_new {
            undo_unacknowledged(&transaction, &ledger)?;
            ledger = ledger.recount(&transaction)?;
        }
        // A heartbeat has no rule of its own that it could break.
        drop(apply(&transaction, &mut ledger, &Change::Heartbeat, now)?);
        failpoints::commit_fault()?;
        transaction.commit()?;
        self.ledger = ledger;
        Ok(())
    }

    /// Opens the database anew, once no connection of this process holds its files any more:
    /// SQLite would otherwise hand out the old handles again.
    fn reopen(&self) -> rusqlite::Result<Connection> {
        let released = self.queries.release().recv_timeout(RELEASE_WITHIN);
        if released == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a read holds on to the store's files while they are opened anew");
        }
        let mut connection = schema::reopen_for_writing(&self.folder.database())?;
        watch_log(&mut connection, &self.log_pages)?;
        Ok(connection)
    }

    /// At the threshold, or when the queue has been empty for a while.
    pub(super) fn is_checkpoint_due(&self, is_idle: bool) -> bool {
        let pages = self.log_pages.load(Ordering::Relaxed);
        pages >= self.checkpoint_at || (is_idle && pages > 0)
    }

    /// Copies the log into the database as far as no reader needs it; the log starts over then.
    pub(super) fn checkpoint(&mut self) {
        let Some(connection) = &self.connection else {
            return;
        };
        let started = Instant::now();
        let copied = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE);
        ::metrics::histogram!(metrics::CHECKPOINT_DURATION).record(started.elapsed());
        match copied {
            Ok((pages, copied)) if pages == copied => {
                self.log_pages.store(0, Ordering::Relaxed);
                self.plan_checkpoint(0);
            }
            Ok((pages, _copied)) => self.plan_checkpoint(u64::try_from(pages).unwrap_or(0)),
            Err(error) => self.checkpoint_failed(&error),
        }
    }

    /// The log still holds everything. Only handles that are not to be trusted are given up.
    fn checkpoint_failed(&mut self, error: &rusqlite::Error) {
        let trouble = Trouble::of(error);
        if trouble.kind == "io" {
            self.fall_ill(&trouble);
        } else {
            ::metrics::counter!(metrics::ERRORS, "kind" => trouble.kind).increment(1);
            tracing::warn!(%error, "the store's log cannot be copied into its database now");
            self.plan_checkpoint(self.log_pages.load(Ordering::Relaxed));
        }
    }

    /// The next checkpoint is due when the log has grown by the limit beyond `pages`.
    pub(super) fn plan_checkpoint(&mut self, pages: u64) {
        let step = self.limits.checkpoint_bytes / u64::from(PAGE_BYTES);
        self.checkpoint_at = pages.saturating_add(step.max(1));
    }

    /// Leaves a database that needs no log.
    pub(super) fn finish(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if let Err(error) = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE) {
            tracing::warn!(%error, "the store's log stays; it is read at the next start");
        }
    }
}

fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now)
}
