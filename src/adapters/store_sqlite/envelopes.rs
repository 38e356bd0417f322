//! What is known of messages between agents besides their bodies.

use std::sync::Arc;

use postroom_actors::{
    domain::{
        agent_message::{Envelope, IdempotencyKey},
        ids::{AgentId, ContextId, MessageId, TurnId},
        party::Party,
    },
    ports::turns::TurnNote,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{
    rows::{message_id, millis, optional_time, unknown_word},
    task_rows::{agent_id, priority, turn_id},
    turns,
};

/// Keeps what is known of a message, and counts it as a callback of the turn that sent it: once,
/// also where a delivery is handed to an agent later.
pub(super) fn keep(
    connection: &Connection,
    id: MessageId,
    envelope: &Envelope,
    once: Option<&IdempotencyKey>,
) -> Result<()> {
    if insert(connection, id, envelope, once)? {
        count_callback(connection, envelope.turn)?;
    }
    Ok(())
}

fn count_callback(connection: &Connection, turn: Option<TurnId>) -> Result<()> {
    match turn {
        Some(turn) => turns::note(connection, turn, TurnNote::Callback),
        None => Ok(()),
    }
}

/// Answers whether nothing was known of the message before.
fn insert(
    connection: &Connection,
    id: MessageId,
    envelope: &Envelope,
    once: Option<&IdempotencyKey>,
) -> Result<bool> {
    let sender_id = once.map(|once| &once.key).or(envelope.sender_id.as_ref());
    let inserted = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO envelope (id, sender, recipient, kind, sender_id, remote_agent,
                 context_id, in_reply_to, answers, turn, reply_to, hops, priority, expires_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?
        .execute(params![
            id.as_uuid().as_bytes(),
            envelope.sender.to_string(),
            envelope.recipient.to_string(),
            &*envelope.kind,
            sender_id.map(|id| &**id),
            envelope.remote_agent.as_ref().map(AgentId::as_str),
            envelope.context_id.as_ref().map(ContextId::as_str),
            envelope.in_reply_to.as_deref(),
            envelope.answers.map(|id| *id.as_uuid().as_bytes()),
            envelope.turn.map(|id| *id.as_uuid().as_bytes()),
            envelope.reply_to.as_deref(),
            envelope.hops,
            envelope.priority.level(),
            envelope.expires_at.map(millis),
        ])?;
    Ok(inserted > 0)
}

/// A dead letter that is revived has all the time.
pub(super) fn let_never_expire(connection: &Connection, id: MessageId) -> Result<()> {
    connection
        .prepare_cached("UPDATE envelope SET expires_ms = NULL WHERE id = ?1")?
        .execute(params![id.as_uuid().as_bytes()])?;
    Ok(())
}

/// An operator stands behind a revived message: what led to it counts no more.
pub(super) fn forget_hops(connection: &Connection, id: MessageId) -> Result<()> {
    connection
        .prepare_cached("UPDATE envelope SET hops = 0 WHERE id = ?1")?
        .execute(params![id.as_uuid().as_bytes()])?;
    Ok(())
}

/// Removes what is known of a message once it is neither a task nor a delivery; answers whether it
/// was removed.
pub(super) fn remove_unused(connection: &Connection, id: MessageId) -> Result<bool> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM envelope WHERE id = ?1
               AND NOT EXISTS (SELECT 1 FROM task WHERE task.id = ?1)
               AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.id = ?1)",
        )?
        .execute(params![id.as_uuid().as_bytes()])?;
    Ok(removed > 0)
}

/// Takes out all that a message left behind which was never acknowledged: its key, so that its
/// sender may send it again, and the turn's callback that it was.
pub(super) fn take_back(connection: &Connection, id: MessageId) -> Result<()> {
    let envelope = find(connection, id)?;
    let is_removed = remove_unused(connection, id)?;
    connection.execute(
        "DELETE FROM idempotency_key WHERE message = ?1
           AND NOT EXISTS (SELECT 1 FROM envelope WHERE envelope.id = ?1)",
        params![id.as_uuid().as_bytes()],
    )?;
    let counted = envelope.filter(|_envelope| is_removed);
    if let Some(turn) = counted.and_then(|envelope| envelope.turn) {
        turns::take_callback_back(connection, turn)?;
    }
    Ok(())
}

pub(super) fn find(connection: &Connection, id: MessageId) -> Result<Option<Arc<Envelope>>> {
    connection
        .prepare_cached(&format!(
            "SELECT {ENVELOPE_COLUMNS} FROM envelope WHERE envelope.id = ?1"
        ))?
        .query_row(params![id.as_uuid().as_bytes()], envelope)
        .optional()
}

/// The columns that [`envelope`] reads; they come first in a query.
pub(super) const ENVELOPE_COLUMNS: &str = "envelope.sender, envelope.recipient, envelope.kind, \
     envelope.sender_id, envelope.remote_agent, envelope.context_id, envelope.in_reply_to, \
     envelope.answers, envelope.turn, envelope.reply_to, envelope.hops, envelope.priority, \
     envelope.expires_ms";

/// The number of the first column behind [`ENVELOPE_COLUMNS`].
pub(super) const AFTER_ENVELOPE: usize = 13;

/// Columns: [`ENVELOPE_COLUMNS`].
pub(super) fn envelope(row: &Row<'_>) -> Result<Arc<Envelope>> {
    Ok(Arc::new(Envelope {
        sender: party(row, 0)?,
        recipient: party(row, 1)?,
        kind: row.get(2)?,
        sender_id: row.get(3)?,
        remote_agent: match row.get_ref(4)?.as_str_or_null()? {
            Some(_name) => Some(agent_id(row, 4)?),
            None => None,
        },
        context_id: row.get::<_, Option<String>>(5)?.map(ContextId::new),
        in_reply_to: row.get(6)?,
        answers: optional_message_id(row, 7)?,
        turn: turn_id(row, 8)?,
        reply_to: row.get(9)?,
        hops: row.get(10)?,
        priority: priority(row, 11)?,
        expires_at: optional_time(row, 12)?,
    }))
}

/// `None` where the query found no envelope.
pub(super) fn optional_envelope(row: &Row<'_>) -> Result<Option<Arc<Envelope>>> {
    match row.get_ref(0)?.as_str_or_null()? {
        Some(_sender) => envelope(row).map(Some),
        None => Ok(None),
    }
}

pub(super) fn party(row: &Row<'_>, column: usize) -> Result<Party> {
    let text = row.get_ref(column)?.as_str()?;
    Party::parse(text).ok_or_else(|| unknown_word(column, text))
}

fn optional_message_id(row: &Row<'_>, column: usize) -> Result<Option<MessageId>> {
    match row.get::<_, Option<[u8; 16]>>(column)? {
        Some(_bytes) => message_id(row, column).map(Some),
        None => Ok(None),
    }
}
