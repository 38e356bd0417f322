//! What a sender called its messages: each is taken once, however often it is sent.

use chrono::{DateTime, Utc};
use postroom_actors::domain::{
    agent_message::IdempotencyKey, ids::MessageId, party::Party, post::Queued,
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{
    changes::{least_id_at, rows_changed},
    rows::{message_id, millis},
};

/// Which message a sender has used this key for; `None` where it is new.
///
/// A key that stands for this very message is no repeat: the message is kept as a delivery and now
/// handed to an agent.
pub(super) fn known(
    connection: &Connection,
    id: MessageId,
    once: Option<&IdempotencyKey>,
) -> Result<Option<Queued>> {
    let Some(once) = once else {
        return Ok(None);
    };
    let found: Option<(MessageId, [u8; 32])> = connection
        .prepare_cached(
            "SELECT message, digest FROM idempotency_key WHERE sender = ?1 AND key = ?2",
        )?
        .query_row(params![once.sender.to_string(), &*once.key], |row| {
            Ok((message_id(row, 0)?, row.get(1)?))
        })
        .optional()?;
    Ok(match found {
        Some((first, digest)) if digest != once.digest => Some(Queued::Conflict(first)),
        Some((first, _digest)) if first != id => Some(Queued::Duplicate(first)),
        _ => None,
    })
}

/// Remembers which message a key stands for, if there is one and it stands for none yet.
pub(super) fn keep(
    connection: &Connection,
    id: MessageId,
    once: Option<&IdempotencyKey>,
    at: DateTime<Utc>,
) -> Result<()> {
    let Some(once) = once else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO idempotency_key (sender, key, digest, message, kept_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            once.sender.to_string(),
            &*once.key,
            once.digest,
            id.as_uuid().as_bytes(),
            millis(at),
        ])?;
    Ok(())
}

/// The message that a sender gave this id, while it is there.
pub(super) fn find(
    connection: &Connection,
    sender: &Party,
    key: &str,
) -> Result<Option<MessageId>> {
    connection
        .prepare_cached(
            "SELECT message FROM idempotency_key WHERE sender = ?1 AND key = ?2
               AND EXISTS (SELECT 1 FROM envelope WHERE envelope.id = message)",
        )?
        .query_row(params![sender.to_string(), key], |row| message_id(row, 0))
        .optional()
}

/// Forgets old keys whose message is gone; answers how many.
pub(super) fn prune(connection: &Connection, before: DateTime<Utc>, limit: i64) -> Result<i64> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM idempotency_key WHERE (sender, key) IN (
                 SELECT sender, key FROM idempotency_key INDEXED BY key_of_message
                 WHERE message < ?1 AND kept_ms < ?2
                   AND NOT EXISTS (SELECT 1 FROM envelope WHERE envelope.id = message)
                 ORDER BY message LIMIT ?3)",
        )?
        .execute(params![least_id_at(before), millis(before), limit])?;
    Ok(rows_changed(removed))
}
