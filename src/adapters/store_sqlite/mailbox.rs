//! What changes of the mailbox's messages do to the tables. All of it runs inside the writer's
//! transaction.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        envelope::{RecordedReply, Sequence, StoredMessage},
        ids::{ContextId, MessageId},
    },
    ports::StoreError,
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{
    changes::{Ledger, Own, Told, is_taken, least_id_at, rows_changed},
    rows::{form_text, millis, numbered, outcome_text},
};

pub(super) fn accept(
    connection: &Connection,
    ledger: &mut Ledger,
    message: &StoredMessage,
) -> Result<Own> {
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
    Ok(Ok(seq.into()))
}

fn insert_message(connection: &Connection, seq: i64, message: &StoredMessage) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO message (seq, id, received_ms, context_id, reply_due_ms, form, prompt,
                                  traceparent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            seq,
            message.id.as_uuid().as_bytes(),
            millis(message.received_at),
            message.context_id.as_ref().map(ContextId::as_str),
            message.reply_due.map(millis),
            form_text(message.form),
            message.prompt.as_deref(),
            message.traceparent.map(|context| context.to_string()),
        ])?;
    Ok(())
}

pub(super) fn sequence_of(connection: &Connection, message: MessageId) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT seq FROM message WHERE id = ?1")?
        .query_row(params![message.as_uuid().as_bytes()], |row| row.get(0))
        .optional()
}

pub(super) fn accept_exchange(
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
    Ok(Ok(exchange.into()))
}

pub(super) fn record_reply(connection: &Connection, reply: &RecordedReply) -> Result<Own> {
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
    Ok(Ok(Told::NOTHING))
}

pub(super) fn mark_projected(
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
    Ok(Ok(Told::NOTHING))
}

/// Removes old messages that nothing waits for, oldest first.
///
/// The index of ids finds them, because a message's id begins with the time it came in: so no
/// index of times has to be kept up on the way in.
pub(super) fn prune(
    connection: &Connection,
    ledger: &mut Ledger,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let old = done_before(connection, before, limit)?;
    for (seq, _id) in &old {
        remove_done(connection, ledger, *seq)?;
    }
    Ok(rows_changed(old.len()))
}

/// The oldest messages that nothing waits for.
pub(super) fn done_before(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(i64, MessageId)>> {
    numbered(
        connection,
        "SELECT seq, id FROM message
         WHERE id < ?1 AND received_ms < ?2
           AND NOT EXISTS (SELECT 1 FROM pending_inbox WHERE pending_inbox.seq = message.seq)
         ORDER BY id LIMIT ?3",
        params![least_id_at(before), millis(before), limit],
    )
}

/// Removes a message that nothing waits for.
pub(super) fn remove_done(connection: &Connection, ledger: &mut Ledger, seq: i64) -> Result<()> {
    let context: Option<String> = connection
        .prepare_cached("SELECT context_id FROM message WHERE seq = ?1")?
        .query_row(params![seq], |row| row.get(0))?;
    remove(connection, seq, context.as_deref())?;
    ledger.messages = ledger.messages.saturating_sub(1);
    Ok(())
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

/// See [`super::changes::undo_unacknowledged`].
pub(super) fn undo_unacknowledged(connection: &Connection, first: i64) -> Result<()> {
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
