//! What each change does to the tables. All of it runs inside the writer's transaction.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::{
    domain::{
        envelope::{RecordedReply, Sequence, StoredMessage},
        ids::MessageId,
        post::Queued,
    },
    ports::StoreError,
};
use rusqlite::{Connection, ErrorCode, Result, params};

use super::{
    deliveries::{self, DeliveryChange},
    idempotency, mailbox, retention,
    rows::millis,
    schema::count,
    tasks::{self, TaskChange},
    turns,
};

/// How long a sender's key is remembered at least. A sender that tries again as we do is at it for
/// 27.6 hours; its last try must still be known as a repeat.
const KEYS_KEPT: TimeDelta = TimeDelta::days(3);

/// One entry of a group commit. Each is told one thing ([`Told`]): nothing where none is named.
#[derive(Debug)]
pub(super) enum Change {
    /// Answers the message's sequence.
    Accept(Arc<StoredMessage>),
    /// Answers the exchange's number.
    Exchange {
        message: MessageId,
        request: Bytes,
        received_at: DateTime<Utc>,
    },
    Reply(RecordedReply),
    Projected(Vec<Sequence>),
    /// Answers as [`TaskChange`] says.
    Tasks(TaskChange),
    /// Answers as [`DeliveryChange`] says.
    Deliveries(DeliveryChange),
    Heartbeat,
    /// Answers how many rows were removed: messages, tasks, deliveries, turns, sessions, keys.
    Prune {
        before: DateTime<Utc>,
        limit: usize,
    },
    /// Answers how many rows were removed.
    PruneToSize {
        max_bytes: u64,
        limit: usize,
    },
    /// Answers how many pages were given back.
    GiveBack {
        pages: usize,
    },
}

impl Change {
    /// Whether the change must be on disk before anyone hears of it.
    ///
    /// A note that a file is written, that a turn runs or called back, or that old rows are gone,
    /// outlives a kill as soon as it is in the log file. A power cut may take it back: then the work
    /// is done once more, or the note is missing.
    pub(super) const fn needs_sync(&self) -> bool {
        match self {
            Self::Projected(_)
            | Self::Prune { .. }
            | Self::PruneToSize { .. }
            | Self::GiveBack { .. } => false,
            Self::Tasks(change) => !matches!(change, TaskChange::NoteTurn { .. }),
            Self::Deliveries(change) => change.needs_sync(),
            _ => true,
        }
    }

    /// About how much memory the change holds while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Accept(message) => {
                let body = message.body.as_ref().map_or(0, Bytes::len);
                let prompt = message.prompt.as_ref().map_or(0, |prompt| prompt.len());
                body.saturating_add(prompt)
            }
            Self::Exchange { request, .. } => request.len(),
            Self::Reply(reply) => reply.text.as_ref().map_or(0, |text| text.len()),
            Self::Projected(messages) => messages.len().saturating_mul(size_of::<Sequence>()),
            Self::Tasks(change) => change.bytes(),
            Self::Deliveries(change) => change.bytes(),
            Self::Heartbeat
            | Self::Prune { .. }
            | Self::PruneToSize { .. }
            | Self::GiveBack { .. } => 0,
        }
    }
}

/// The numbers that the writer carries from one transaction to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ledger {
    /// The sequence of the next message.
    pub(super) next: i64,
    /// Messages kept.
    pub(super) messages: u64,
    /// Messages whose inbox item is not written.
    pub(super) pending: u64,
    /// The sequence of the next task.
    pub(super) next_task: i64,
    /// The sequence of the next turn.
    pub(super) next_turn: i64,
    /// The sequence of the next delivery.
    pub(super) next_delivery: i64,
}

impl Ledger {
    /// Counts what the tables hold.
    pub(super) fn read(connection: &Connection) -> Result<Self> {
        Ok(Self {
            next: next_in(connection, "message", "next_seq")?,
            messages: count(connection, "SELECT count(*) FROM message")?,
            pending: count(connection, "SELECT count(*) FROM pending_inbox")?,
            next_task: next_in(connection, "task", "next_task")?,
            next_turn: next_in(connection, "turn", "next_turn")?,
            next_delivery: next_in(connection, "delivery", "next_delivery")?,
        })
    }

    /// Counts anew what the tables hold; sequences go on from where they were.
    pub(super) fn recount(self, connection: &Connection) -> Result<Self> {
        Ok(Self {
            next: self.next,
            next_task: self.next_task,
            next_turn: self.next_turn,
            next_delivery: self.next_delivery,
            ..Self::read(connection)?
        })
    }
}

/// The least sequence of a table that was never used. Pruning keeps it in `meta`.
fn next_in(connection: &Connection, table: &str, key: &str) -> Result<i64> {
    let query = format!(
        "SELECT max((SELECT coalesce(max(seq), 0) + 1 FROM {table}),
                    (SELECT coalesce(max(value), 1) FROM meta WHERE key = ?1))"
    );
    connection.query_row(&query, params![key], |row| row.get(0))
}

/// What a change answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// A sequence, a count, whether something was changed (1 or 0), or nothing (0).
    Number(i64),
    /// What came of a message that its sender may have sent before.
    Queued(Queued),
}

impl Told {
    pub(super) const NOTHING: Self = Self::Number(0);

    pub(super) const fn number(self) -> i64 {
        match self {
            Self::Number(number) | Self::Queued(Queued::New(Sequence(number))) => number,
            Self::Queued(_) => 0,
        }
    }

    pub(super) const fn is_changed(self) -> bool {
        self.number() > 0
    }

    pub(super) const fn queued(self) -> Queued {
        match self {
            Self::Number(number) => Queued::New(Sequence(number)),
            Self::Queued(queued) => queued,
        }
    }
}

impl From<i64> for Told {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Told {
    fn from(is_changed: bool) -> Self {
        Self::Number(i64::from(is_changed))
    }
}

impl From<Queued> for Told {
    fn from(queued: Queued) -> Self {
        Self::Queued(queued)
    }
}

/// A change's own result inside a transaction that otherwise goes well.
pub(super) type Own = std::result::Result<Told, StoreError>;

/// Carries out one change. An outer error is the transaction's: all of its changes fail.
pub(super) fn apply(
    connection: &Connection,
    ledger: &mut Ledger,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<Own> {
    match change {
        Change::Accept(message) => mailbox::accept(connection, ledger, message),
        Change::Exchange {
            message,
            request,
            received_at,
        } => mailbox::accept_exchange(connection, *message, request, *received_at),
        Change::Reply(reply) => mailbox::record_reply(connection, reply),
        Change::Projected(messages) => mailbox::mark_projected(connection, ledger, messages),
        Change::Tasks(change) => tasks::apply(connection, ledger, change, now),
        Change::Deliveries(change) => deliveries::apply(connection, ledger, change),
        Change::Heartbeat => heartbeat(connection, now).map(|()| Ok(Told::NOTHING)),
        Change::Prune { before, limit } => {
            let keys_before = now.checked_sub_signed(KEYS_KEPT).unwrap_or_default();
            let keys_before = keys_before.min(*before);
            let limit = rows_changed(*limit);
            let removed = prune(connection, ledger, *before, limit)?;
            let left = limit.saturating_sub(removed);
            let keys = idempotency::prune(connection, keys_before, left)?;
            Ok(Ok(removed.saturating_add(keys).into()))
        }
        Change::PruneToSize { max_bytes, limit } => {
            let removed = retention::prune_to_size(connection, ledger, now, *max_bytes, *limit)?;
            note_next(connection, ledger)?;
            Ok(Ok(rows_changed(removed).into()))
        }
        Change::GiveBack { pages } => {
            retention::give_back(connection, *pages).map(|pages| Ok(pages.into()))
        }
    }
}

/// Whether an id is in the store already.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

fn heartbeat(connection: &Connection, now: DateTime<Utc>) -> Result<()> {
    set_meta(connection, "heartbeat_ms", millis(now))
}

fn set_meta(connection: &Connection, key: &str, value: i64) -> Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

/// Removes what is old and done: messages first, then tasks, deliveries, turns and sessions, up to
/// `limit` of them all together; answers how many.
fn prune(
    connection: &Connection,
    ledger: &mut Ledger,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let mut removed = mailbox::prune(connection, ledger, before, limit)?;
    for prune in [
        tasks::prune,
        deliveries::prune,
        turns::prune,
        turns::prune_sessions,
    ] {
        removed = removed.saturating_add(prune(connection, before, limit.saturating_sub(removed))?);
    }
    note_next(connection, ledger)?;
    Ok(removed)
}

/// What is removed takes its sequence along: the next one must not be used again.
fn note_next(connection: &Connection, ledger: &Ledger) -> Result<()> {
    set_meta(connection, "next_seq", ledger.next)?;
    set_meta(connection, "next_task", ledger.next_task)?;
    set_meta(connection, "next_turn", ledger.next_turn)?;
    set_meta(connection, "next_delivery", ledger.next_delivery)
}

/// A number of rows as SQLite counts them.
pub(super) fn rows_changed(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// The smallest UUID version 7 of a millisecond, its version left out.
pub(super) fn least_id_at(time: DateTime<Utc>) -> [u8; 16] {
    let millis = u128::try_from(millis(time)).unwrap_or(0);
    (millis << 80).to_be_bytes()
}

/// Takes out what a failed commit may have left in the log: whatever is younger than `kept`, the
/// ledger of the last commit that went well.
///
/// After an fsync that failed, the next opening may find the group whole and take it for
/// committed, although its callers were told that nothing of it was kept.
pub(super) fn undo_unacknowledged(connection: &Connection, kept: &Ledger) -> Result<()> {
    turns::undo_unacknowledged(connection, kept.next_turn)?;
    tasks::undo_unacknowledged(connection, kept.next_task)?;
    deliveries::undo_unacknowledged(connection, kept.next_delivery)?;
    mailbox::undo_unacknowledged(connection, kept.next)
}
