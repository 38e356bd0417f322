//! How deliveries are written in columns, and read from them.

use std::sync::Arc;

use bytes::Bytes;
use postroom_actors::domain::{
    envelope::Sequence,
    ids::MessageId,
    post::{Attempt, Beginning, DeliveryRecord, DeliveryState, NewDelivery, WaitingDelivery},
};
use rusqlite::{Result, Row};

use super::{
    envelopes::{AFTER_ENVELOPE, envelope, party},
    rows::{message_id, optional_time, time, trace_context, unknown_word},
    task_rows::from_json,
};

/// Tries of one delivery that are kept; older ones go.
pub(super) const HISTORY_KEPT: i64 = 100;

pub(super) const fn delivery_state_text(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Waiting => "waiting",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Held => "held",
        DeliveryState::Dead => "dead",
        DeliveryState::Cancelled => "cancelled",
        DeliveryState::Dropped => "dropped",
    }
}

pub(super) fn delivery_state(row: &Row<'_>, column: usize) -> Result<DeliveryState> {
    match row.get_ref(column)?.as_str()? {
        "waiting" => Ok(DeliveryState::Waiting),
        "delivered" => Ok(DeliveryState::Delivered),
        "held" => Ok(DeliveryState::Held),
        "dead" => Ok(DeliveryState::Dead),
        "cancelled" => Ok(DeliveryState::Cancelled),
        "dropped" => Ok(DeliveryState::Dropped),
        other => Err(unknown_word(column, other)),
    }
}

/// Columns: seq, id, recipient, conversation, `since_ms`, attempts, `due_ms`, `expires_ms`.
pub(super) fn waiting_delivery(row: &Row<'_>) -> Result<WaitingDelivery> {
    Ok(WaitingDelivery {
        sequence: Sequence(row.get(0)?),
        id: message_id(row, 1)?,
        to: party(row, 2)?,
        conversation: row.get(3)?,
        since: time(row, 4)?,
        attempts: row.get(5)?,
        due: time(row, 6)?,
        expires_at: optional_time(row, 7)?,
    })
}

/// The columns that [`delivery_record`] reads behind those of the envelope.
pub(super) const DELIVERY_COLUMNS: &str = "conversation, received_ms, traceparent, \
     delivery_body.json, delivery.seq, state, attempts, due_ms, ended_ms, reason";

/// Columns: [`super::envelopes::ENVELOPE_COLUMNS`], [`DELIVERY_COLUMNS`]. Its history is in a table
/// of its own.
pub(super) fn delivery_record(row: &Row<'_>, id: MessageId) -> Result<DeliveryRecord> {
    const FIRST: usize = AFTER_ENVELOPE;
    let delivery = NewDelivery {
        id,
        envelope: envelope(row)?,
        conversation: row.get(FIRST)?,
        received_at: time(row, FIRST + 1)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(FIRST + 3)?),
        traceparent: trace_context(row, FIRST + 2)?,
        beginning: Beginning::Due,
    };
    Ok(DeliveryRecord {
        sequence: Sequence(row.get(FIRST + 4)?),
        delivery: Arc::new(delivery),
        state: delivery_state(row, FIRST + 5)?,
        attempts: row.get(FIRST + 6)?,
        due: optional_time(row, FIRST + 7)?,
        ended_at: optional_time(row, FIRST + 8)?,
        reason: from_json(row, FIRST + 9)?,
        history: Vec::new(),
    })
}

/// Columns: number, `started_ms`, `ended_ms`, status, error.
pub(super) fn attempt(row: &Row<'_>) -> Result<Attempt> {
    Ok(Attempt {
        number: row.get(0)?,
        started_at: time(row, 1)?,
        ended_at: time(row, 2)?,
        status: row.get(3)?,
        error: row.get(4)?,
    })
}
