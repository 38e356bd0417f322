//! What is read of deliveries.

use std::sync::Arc;

use postroom_actors::domain::{
    envelope::Sequence,
    ids::MessageId,
    post::{Attempt, DeliveryRecord, DeliveryState, NewDelivery, WaitingDelivery},
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{
    delivery_rows::{DELIVERY_COLUMNS, attempt, delivery_record, waiting_delivery},
    envelopes::ENVELOPE_COLUMNS,
};

pub(super) fn waiting(
    connection: &Connection,
    after: Sequence,
    limit: usize,
) -> Result<Vec<WaitingDelivery>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT seq, delivery.id, recipient, conversation, since_ms, attempts, due_ms,
                    expires_ms
             FROM delivery INDEXED BY waiting_delivery
                  CROSS JOIN envelope ON envelope.id = delivery.id
             WHERE state = 'waiting' AND seq > ?1 ORDER BY seq LIMIT ?2",
        )?
        .query_map(params![after.0, limit], waiting_delivery)?
        .collect()
}

/// `None` where it does not wait.
pub(super) fn to_post(connection: &Connection, id: MessageId) -> Result<Option<Arc<NewDelivery>>> {
    let found = without_history(connection, id)?;
    let waiting = found.filter(|delivery| delivery.state == DeliveryState::Waiting);
    Ok(waiting.map(|delivery| delivery.delivery))
}

pub(super) fn delivery(connection: &Connection, id: MessageId) -> Result<Option<DeliveryRecord>> {
    let Some(found) = without_history(connection, id)? else {
        return Ok(None);
    };
    Ok(Some(DeliveryRecord {
        history: history(connection, found.sequence)?,
        ..found
    }))
}

fn without_history(connection: &Connection, id: MessageId) -> Result<Option<DeliveryRecord>> {
    connection
        .prepare_cached(&format!(
            "SELECT {ENVELOPE_COLUMNS}, {DELIVERY_COLUMNS}
             FROM delivery CROSS JOIN envelope ON envelope.id = delivery.id
                  CROSS JOIN delivery_body ON delivery_body.seq = delivery.seq
             WHERE delivery.id = ?1"
        ))?
        .query_row(params![id.as_uuid().as_bytes()], |row| {
            delivery_record(row, id)
        })
        .optional()
}

fn history(connection: &Connection, delivery: Sequence) -> Result<Vec<Attempt>> {
    connection
        .prepare_cached(
            "SELECT number, started_ms, ended_ms, status, error FROM attempt
             WHERE delivery = ?1 ORDER BY number",
        )?
        .query_map(params![delivery.0], attempt)?
        .collect()
}
