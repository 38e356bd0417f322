//! How the broker's values are written in columns, and read from them.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use postroom_actors::domain::{
    envelope::{InboxForm, PendingItem, RecordedReply, RelayOutcome, Sequence, StoredMessage},
    ids::{ContextId, MessageId},
};
use rusqlite::{Connection, Error, Params, Result, Row, types::Type};
use uuid::Uuid;

/// Times are kept to the millisecond.
pub(super) fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>> {
    let millis = row.get(column)?;
    DateTime::from_timestamp_millis(millis).ok_or(Error::IntegralValueOutOfRange(column, millis))
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> Result<Option<DateTime<Utc>>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(_millis) => time(row, column).map(Some),
        None => Ok(None),
    }
}

pub(super) fn message_id(row: &Row<'_>, column: usize) -> Result<MessageId> {
    Ok(MessageId::new(Uuid::from_bytes(row.get(column)?)))
}

fn context_id(row: &Row<'_>, column: usize) -> Result<Option<ContextId>> {
    Ok(row.get::<_, Option<String>>(column)?.map(ContextId::new))
}

pub(super) const fn form_text(form: InboxForm) -> &'static str {
    match form {
        InboxForm::Whole => "whole",
        InboxForm::Repeat => "repeat",
        InboxForm::RepeatWithMessage => "repeat-with-message",
    }
}

pub(super) fn form(row: &Row<'_>, column: usize) -> Result<InboxForm> {
    match row.get_ref(column)?.as_str()? {
        "whole" => Ok(InboxForm::Whole),
        "repeat" => Ok(InboxForm::Repeat),
        "repeat-with-message" => Ok(InboxForm::RepeatWithMessage),
        other => Err(unknown_word(column, other)),
    }
}

pub(super) const fn outcome_text(outcome: RelayOutcome) -> &'static str {
    match outcome {
        RelayOutcome::Complete => "complete",
        RelayOutcome::ToolCalls => "tool-calls",
        RelayOutcome::Partial => "partial",
        RelayOutcome::Failed => "failed",
        RelayOutcome::Cancelled => "cancelled",
    }
}

pub(super) fn outcome(row: &Row<'_>, column: usize) -> Result<RelayOutcome> {
    match row.get_ref(column)?.as_str()? {
        "complete" => Ok(RelayOutcome::Complete),
        "tool-calls" => Ok(RelayOutcome::ToolCalls),
        "partial" => Ok(RelayOutcome::Partial),
        "failed" => Ok(RelayOutcome::Failed),
        "cancelled" => Ok(RelayOutcome::Cancelled),
        other => Err(unknown_word(column, other)),
    }
}

pub(super) fn unknown_word(column: usize, word: &str) -> Error {
    let reason = format!("`{}` is no value of this column", word.escape_debug());
    Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}

/// Columns: seq, id, `received_ms`, `context_id`, `reply_due_ms`.
pub(super) fn pending_item(row: &Row<'_>) -> Result<PendingItem> {
    Ok(PendingItem {
        sequence: Sequence(row.get(0)?),
        id: message_id(row, 1)?,
        received_at: time(row, 2)?,
        context_id: context_id(row, 3)?,
        reply_due: optional_time(row, 4)?,
    })
}

/// Columns: id, `received_ms`, `context_id`, `reply_due_ms`, form, prompt, body.
pub(super) fn stored_message(row: &Row<'_>) -> Result<StoredMessage> {
    Ok(StoredMessage {
        id: message_id(row, 0)?,
        received_at: time(row, 1)?,
        context_id: context_id(row, 2)?,
        reply_due: optional_time(row, 3)?,
        form: form(row, 4)?,
        prompt: row.get::<_, Option<String>>(5)?.map(Arc::from),
        body: row.get::<_, Option<Vec<u8>>>(6)?.map(Bytes::from),
    })
}

/// Columns: exchange, backend, text, outcome, `ended_ms`.
pub(super) fn recorded_reply(row: &Row<'_>, message: MessageId) -> Result<RecordedReply> {
    Ok(RecordedReply {
        message,
        exchange: row.get(0)?,
        backend: row.get(1)?,
        text: row.get::<_, Option<String>>(2)?.map(Arc::from),
        outcome: outcome(row, 3)?,
        ended_at: time(row, 4)?,
    })
}

/// Rows of a number and the id of a message.
pub(super) fn numbered(
    connection: &Connection,
    query: &str,
    values: impl Params,
) -> Result<Vec<(i64, MessageId)>> {
    connection
        .prepare_cached(query)?
        .query_map(values, |row| Ok((row.get(0)?, message_id(row, 1)?)))?
        .collect()
}
