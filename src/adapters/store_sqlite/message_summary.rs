//! One line of a list of messages, as it is read from the tables.

use std::sync::Arc;

use postroom_actors::domain::{
    agent_message::Envelope,
    ids::MessageId,
    post::{Direction, MessageSummary, Trouble},
    task::TaskOrigin,
};
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::{
    delivery_rows::{delivery_state, delivery_state_text},
    envelopes::{AFTER_ENVELOPE, ENVELOPE_COLUMNS, optional_envelope},
    rows::{optional_time, time},
    task_rows::{agent_id, from_json, origin, task_state, task_state_text},
};

/// What is shown as a message's state, of `envelope`, `task` and `delivery`: one that is both is the
/// task. A message whose turn ended well is answered once something was sent back in answer to it.
pub(super) const SHOWN_STATE: &str = "CASE
     WHEN task.id IS NULL THEN delivery.state
     WHEN task.state = 'done' AND EXISTS (
         SELECT 1 FROM envelope AS callback INDEXED BY envelope_of_answer
         WHERE callback.answers = envelope.id
           AND callback.recipient IN (envelope.sender, 'url:' || envelope.reply_to)
     ) THEN 'answered'
     ELSE task.state END";

/// What answers a message (`?1`), and what its turns sent without saying what it answers.
pub(super) const CALLBACKS_OF: &str = "SELECT callback.id
     FROM envelope AS callback INDEXED BY envelope_of_answer WHERE callback.answers = ?1
     UNION
     SELECT callback.id
     FROM turn_task INDEXED BY turn_of_task JOIN turn ON turn.seq = turn_task.turn
          JOIN envelope AS callback INDEXED BY envelope_of_turn ON callback.turn = turn.id
     WHERE turn_task.task = ?1 AND callback.turn IS NOT NULL AND callback.answers IS NULL";

const COLUMNS: &str = "task.agent, task.origin, task.received_ms, task.ended_ms, \
     CASE task.state WHEN 'queued' THEN task.not_before_ms END, task.attempts, task.failure, \
     delivery.received_ms, delivery.ended_ms, delivery.due_ms, delivery.attempts, delivery.reason";

const AGENT: usize = AFTER_ENVELOPE;
const ORIGIN: usize = AGENT + 1;
const TASK: usize = AGENT + 2;
const DELIVERY: usize = AGENT + 7;
const STATE: usize = AGENT + 12;
const CALLBACKS: usize = AGENT + 13;

/// The summaries of these messages, in their order; unknown ones are left out.
pub(super) fn summaries(connection: &Connection, ids: &[MessageId]) -> Result<Vec<MessageSummary>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {ENVELOPE_COLUMNS}, {COLUMNS}, {SHOWN_STATE},
                (SELECT count(*) FROM ({CALLBACKS_OF}))
         FROM (SELECT ?1 AS id) AS wanted
              LEFT JOIN envelope ON envelope.id = wanted.id
              LEFT JOIN task ON task.id = wanted.id AND NOT task.is_forgotten
              LEFT JOIN delivery ON delivery.id = wanted.id
         WHERE coalesce(task.id, delivery.id) IS NOT NULL"
    ))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let summary = select
            .query_row(params![id.as_uuid().as_bytes()], |row| summary(row, *id))
            .optional()?;
        found.extend(summary);
    }
    Ok(found)
}

fn summary(row: &Row<'_>, id: MessageId) -> Result<MessageSummary> {
    if row.get_ref(AGENT)?.as_str_or_null()?.is_some() {
        of_task(row, id)
    } else {
        of_delivery(row, id)
    }
}

fn of_task(row: &Row<'_>, id: MessageId) -> Result<MessageSummary> {
    Ok(MessageSummary {
        id,
        direction: Direction::In,
        state: task_state_text(task_state(row, STATE)?),
        envelope: optional_envelope(row)?,
        agent: Some(agent_id(row, AGENT)?),
        origin: origin(row, ORIGIN)?,
        received_at: time(row, TASK)?,
        ended_at: optional_time(row, TASK + 1)?,
        due: optional_time(row, TASK + 2)?,
        attempts: row.get(TASK + 3)?,
        callbacks: row.get(CALLBACKS)?,
        trouble: from_json(row, TASK + 4)?.map(Trouble::Turn),
    })
}

/// One for an agent of ours, which does not take it now, comes in too.
fn of_delivery(row: &Row<'_>, id: MessageId) -> Result<MessageSummary> {
    let envelope = optional_envelope(row)?;
    let to_agent = |envelope: &Arc<Envelope>| envelope.recipient.agent().is_some();
    Ok(MessageSummary {
        id,
        direction: if envelope.as_ref().is_some_and(to_agent) {
            Direction::In
        } else {
            Direction::Out
        },
        state: delivery_state_text(delivery_state(row, STATE)?),
        envelope,
        agent: None,
        origin: TaskOrigin::Message,
        received_at: time(row, DELIVERY)?,
        ended_at: optional_time(row, DELIVERY + 1)?,
        due: optional_time(row, DELIVERY + 2)?,
        attempts: row.get(DELIVERY + 3)?,
        callbacks: row.get(CALLBACKS)?,
        trouble: from_json(row, DELIVERY + 4)?.map(Trouble::Delivery),
    })
}
