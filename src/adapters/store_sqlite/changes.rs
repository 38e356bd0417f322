//! What each change does to the tables. All of it runs inside the writer's transaction.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        envelope::{RecordedReply, Sequence, StoredMessage},
        ids::{ContextId, MessageId},
    },
    ports::StoreError,
};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Result, params};

use super::{
    rows::{form_text, millis, outcome_text},
    schema::count,
    tasks::{self, TaskChange},
    turns,
};

/// One entry of a group commit. Each answers one number: a sequence, a count, or nothing (0).
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
    Heartbeat,
    /// Answers how many messages, tasks, turns and sessions were removed.
    Prune {
        before: DateTime<Utc>,
        limit: usize,
    },
}

impl Change {
    /// Whether the change must be on disk before anyone hears of it.
    ///
    /// A note that a file is written, that a turn runs or called back, or that old rows are gone,
    /// outlives a kill as soon as it is in the log file. A power cut may take it back: then the work
    /// is done once more, or the note is missing.
    pub(super) const fn needs_sync(&self) -> bool {
        !matches!(
            self,
            Self::Projected(_) | Self::Prune { .. } | Self::Tasks(TaskChange::NoteTurn { .. })
        )
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
            Self::Heartbeat | Self::Prune { .. } => 0,
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
        })
    }

    /// Counts anew what the tables hold; sequences go on from where they were.
    pub(super) fn recount(self, connection: &Connection) -> Result<Self> {
        Ok(Self {
            next: self.next,
            next_task: self.next_task,
            next_turn: self.next_turn,
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

/// A change's own result inside a transaction that otherwise goes well.
pub(super) type Own = std::result::Result<i64, StoreError>;

/// Carries out one change. An outer error is the transaction's: all of its changes fail.
pub(super) fn apply(
    connection: &Connection,
    ledger: &mut Ledger,
    change: &Change,
    now: DateTime<Utc>,
) -> Result<Own> {
    match change {
        Change::Accept(message) => accept(connection, ledger, message),
        Change::Exchange {
            message,
            request,
            received_at,
        } => accept_exchange(connection, *message, request, *received_at),
        Change::Reply(reply) => record_reply(connection, reply),
        Change::Projected(messages) => mark_projected(connection, ledger, messages),
        Change::Tasks(change) => tasks::apply(connection, ledger, change, now),
        Change::Heartbeat => heartbeat(connection, now).map(|()| Ok(0)),
        Change::Prune { before, limit } => prune(connection, ledger, *before, *limit),
    }
}

/// Whether an id is in the store already.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

fn accept(connection: &Connection, ledger: &mut Ledger, message: &StoredMessage) -> Result<Own> {
    let seq = ledger.next;
    match insert_message(connection, seq, message) {
        Err(error) if is_taken(&error) => {
            let reason = format!("message id `{}` is in the store already", message.id);
            return Ok(Err(StoreError::Io(reason.into())));
        }
        inserted => inserted?,
    }
    if let Some(body) = &message.body {
        connection
            .prepare_cached("INSERT INTO body (seq, json) VALUES (?1, ?2)")?
            .execute(params![seq, &body[..]])?;
    }
    connection
        .prepare_cached("INSERT INTO pending_inbox (seq) VALUES (?1)")?
        .execute(params![seq])?;
    if let Some(context_id) = &message.context_id {
        connection
            .prepare_cached(
                "INSERT INTO context (context_id, newest) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET newest = excluded.newest",
            )?
            .execute(params![context_id.as_str(), seq])?;
    }
    ledger.next = seq.saturating_add(1);
    ledger.messages = ledger.messages.saturating_add(1);
    ledger.pending = ledger.pending.saturating_add(1);
    Ok(Ok(seq))
}

fn insert_message(connection: &Connection, seq: i64, message: &StoredMessage) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO message (seq, id, received_ms, context_id, reply_due_ms, form, prompt)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            seq,
            message.id.as_uuid().as_bytes(),
            millis(message.received_at),
            message.context_id.as_ref().map(ContextId::as_str),
            message.reply_due.map(millis),
            form_text(message.form),
            message.prompt.as_deref(),
        ])?;
    Ok(())
}

pub(super) fn sequence_of(connection: &Connection, message: MessageId) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT seq FROM message WHERE id = ?1")?
        .query_row(params![message.as_uuid().as_bytes()], |row| row.get(0))
        .optional()
}

fn accept_exchange(
    connection: &Connection,
    message: MessageId,
    request: &Bytes,
    received_at: DateTime<Utc>,
) -> Result<Own> {
    let Some(seq) = sequence_of(connection, message)? else {
        return Ok(Err(StoreError::NotFound(message)));
    };
    let exchange: i64 = connection
        .prepare_cached("SELECT coalesce(max(exchange), 0) + 1 FROM exchange WHERE seq = ?1")?
        .query_row(params![seq], |row| row.get(0))?;
    connection
        .prepare_cached(
            "INSERT INTO exchange (seq, exchange, received_ms, request) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![seq, exchange, millis(received_at), &request[..]])?;
    Ok(Ok(exchange))
}

fn record_reply(connection: &Connection, reply: &RecordedReply) -> Result<Own> {
    let Some(seq) = sequence_of(connection, reply.message)? else {
        return Ok(Err(StoreError::NotFound(reply.message)));
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO reply (seq, exchange, backend, text, outcome, ended_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            seq,
            reply.exchange,
            reply.backend,
            reply.text.as_deref(),
            outcome_text(reply.outcome),
            millis(reply.ended_at),
        ])?;
    Ok(Ok(0))
}

fn mark_projected(
    connection: &Connection,
    ledger: &mut Ledger,
    messages: &[Sequence],
) -> Result<Own> {
    fail::fail_point!("store::mark_projected");
    let mut delete = connection.prepare_cached("DELETE FROM pending_inbox WHERE seq = ?1")?;
    for message in messages {
        let gone = u64::try_from(delete.execute(params![message.0])?).unwrap_or(0);
        ledger.pending = ledger.pending.saturating_sub(gone);
    }
    Ok(Ok(0))
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

/// Removes what is old and done: messages first, then tasks, turns and sessions, up to `limit` of
/// them all together.
fn prune(
    connection: &Connection,
    ledger: &mut Ledger,
    before: DateTime<Utc>,
    limit: usize,
) -> Result<Own> {
    let limit = rows_changed(limit);
    let mut removed = prune_messages(connection, ledger, before, limit)?;
    for prune in [tasks::prune, turns::prune, turns::prune_sessions] {
        removed = removed.saturating_add(prune(connection, before, limit.saturating_sub(removed))?);
    }
    set_meta(connection, "next_seq", ledger.next)?;
    set_meta(connection, "next_task", ledger.next_task)?;
    set_meta(connection, "next_turn", ledger.next_turn)?;
    Ok(Ok(removed))
}

/// Removes old messages that nothing waits for, oldest first.
///
/// The index of ids finds them, because a message's id begins with the time it came in: so no
/// index of times has to be kept up on the way in.
fn prune_messages(
    connection: &Connection,
    ledger: &mut Ledger,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let old: Vec<(i64, Option<String>)> = connection
        .prepare_cached(
            "SELECT seq, context_id FROM message
             WHERE id < ?1 AND received_ms < ?2
               AND NOT EXISTS (SELECT 1 FROM pending_inbox WHERE pending_inbox.seq = message.seq)
             ORDER BY id LIMIT ?3",
        )?
        .query_map(params![least_id_at(before), millis(before), limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_>>()?;
    for (seq, context_id) in &old {
        remove(connection, *seq, context_id.as_deref())?;
    }
    let removed = u64::try_from(old.len()).unwrap_or(0);
    ledger.messages = ledger.messages.saturating_sub(removed);
    Ok(rows_changed(old.len()))
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

/// Removes a message with all that belongs to it. A context whose newest message goes is forgotten.
fn remove(connection: &Connection, seq: i64, context_id: Option<&str>) -> Result<()> {
    for table in [
        "DELETE FROM message WHERE seq = ?1",
        "DELETE FROM body WHERE seq = ?1",
        "DELETE FROM exchange WHERE seq = ?1",
        "DELETE FROM reply WHERE seq = ?1",
    ] {
        connection.prepare_cached(table)?.execute(params![seq])?;
    }
    if let Some(context_id) = context_id {
        connection
            .prepare_cached("DELETE FROM context WHERE context_id = ?1 AND newest = ?2")?
            .execute(params![context_id, seq])?;
    }
    Ok(())
}

/// Takes out what a failed commit may have left in the log: whatever is younger than `kept`, the
/// ledger of the last commit that went well.
///
/// After an fsync that failed, the next opening may find the group whole and take it for
/// committed, although its callers were told that nothing of it was kept.
pub(super) fn undo_unacknowledged(connection: &Connection, kept: &Ledger) -> Result<()> {
    turns::undo_unacknowledged(connection, kept.next_turn)?;
    tasks::undo_unacknowledged(connection, kept.next_task)?;
    undo_messages(connection, kept.next)
}

fn undo_messages(connection: &Connection, first: i64) -> Result<()> {
    let undone: Vec<(i64, Option<String>)> = connection
        .prepare("SELECT seq, context_id FROM message WHERE seq >= ?1 ORDER BY seq DESC")?
        .query_map(params![first], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    for (seq, context_id) in &undone {
        connection.execute("DELETE FROM pending_inbox WHERE seq = ?1", params![seq])?;
        remove(connection, *seq, context_id.as_deref())?;
    }
    for context_id in undone.iter().filter_map(|(_seq, context)| context.as_ref()) {
        connection.execute(
            "INSERT OR REPLACE INTO context (context_id, newest)
             SELECT context_id, max(seq) FROM message WHERE context_id = ?1
             GROUP BY context_id",
            params![context_id],
        )?;
    }
    Ok(())
}
