//! What each change of deliveries is, and what it does to the tables. All of it runs inside the
//! writer's transaction.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postroom_actors::domain::{
    agent_message::IdempotencyKey,
    envelope::Sequence,
    ids::MessageId,
    party::Party,
    post::{
        AfterAttempt, Attempt, AttemptEnd, Beginning, DeadReason, DeliveryState, NewDelivery,
        Queued,
    },
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{
    changes::{Ledger, Own, is_taken, least_id_at, rows_changed},
    delivery_rows::{HISTORY_KEPT, delivery_state, delivery_state_text},
    envelopes, idempotency,
    rows::{millis, numbered},
    tally::{self, Outcome},
    task_rows::{from_json, optional_json},
    tasks,
};

/// A change of deliveries: an entry of a group commit.
#[derive(Debug)]
pub(super) enum DeliveryChange {
    /// Answers the delivery's sequence, or which message it repeats.
    Queue {
        delivery: Arc<NewDelivery>,
        once: Option<IdempotencyKey>,
    },
    /// Answers whether the delivery was waiting.
    EndAttempt(AttemptEnd),
    /// Answers whether the delivery was waiting or held.
    Cancel { id: MessageId, at: DateTime<Utc> },
    /// Answers whether the delivery was a dead letter.
    Revive { id: MessageId, at: DateTime<Utc> },
    /// Answers whether the delivery or task was a dead letter.
    Drop(MessageId),
}

impl DeliveryChange {
    /// A try that failed and is followed by another is no loss: a power cut that takes the note back
    /// has the delivery tried once more, or earlier. All else is told to somebody.
    pub(super) const fn needs_sync(&self) -> bool {
        !matches!(
            self,
            Self::EndAttempt(AttemptEnd {
                after: AfterAttempt::Again { .. },
                ..
            })
        )
    }

    /// About how much memory the change holds while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Queue { delivery, .. } => delivery.body.len(),
            Self::EndAttempt(end) => {
                let attempt = end.attempt.as_ref();
                let error = attempt.and_then(|attempt| attempt.error.as_ref());
                error.map_or(0, String::len)
            }
            Self::Cancel { .. } | Self::Revive { .. } | Self::Drop(_) => 0,
        }
    }
}

/// Carries out one change; see [`super::changes::apply`].
pub(super) fn apply(
    connection: &Connection,
    ledger: &mut Ledger,
    change: &DeliveryChange,
) -> Result<Own> {
    match change {
        DeliveryChange::Queue { delivery, once } => {
            queue(connection, ledger, delivery, once.as_ref()).map(|queued| Ok(queued.into()))
        }
        DeliveryChange::EndAttempt(end) => {
            end_attempt(connection, end).map(|was_waiting| Ok(was_waiting.into()))
        }
        DeliveryChange::Cancel { id, at } => {
            cancel(connection, *id, *at).map(|was_open| Ok(was_open.into()))
        }
        DeliveryChange::Revive { id, at } => {
            revive(connection, *id, *at).map(|was_dead| Ok(was_dead.into()))
        }
        DeliveryChange::Drop(id) => {
            drop_dead_letter(connection, *id).map(|was_dead| Ok(was_dead.into()))
        }
    }
}

fn queue(
    connection: &Connection,
    ledger: &mut Ledger,
    delivery: &NewDelivery,
    once: Option<&IdempotencyKey>,
) -> Result<Queued> {
    fail::fail_point!("store::queue_delivery");
    if let Some(known) = idempotency::known(connection, delivery.id, once)? {
        return Ok(known);
    }
    idempotency::keep(connection, delivery.id, once, delivery.received_at)?;
    let seq = ledger.next_delivery;
    match insert(connection, seq, delivery) {
        Err(error) if is_taken(&error) => return Ok(Queued::Duplicate(delivery.id)),
        inserted => inserted?,
    }
    connection
        .prepare_cached("INSERT INTO delivery_body (seq, json) VALUES (?1, ?2)")?
        .execute(params![seq, &delivery.body[..]])?;
    envelopes::keep(connection, delivery.id, &delivery.envelope, once)?;
    count_beginning(connection, delivery)?;
    ledger.next_delivery = seq.saturating_add(1);
    Ok(Queued::New(Sequence(seq)))
}

/// What is held or given up from the beginning has ended.
fn count_beginning(connection: &Connection, delivery: &NewDelivery) -> Result<()> {
    let to = &delivery.envelope.recipient;
    match &delivery.beginning {
        Beginning::Due => Ok(()),
        Beginning::Held => tally::delivery_ended(connection, to, Outcome::Held),
        Beginning::Dead(reason) => count_death(connection, to, reason),
    }
}

fn count_death(connection: &Connection, to: &Party, reason: &DeadReason) -> Result<()> {
    tally::delivery_ended(connection, to, Outcome::Dead)?;
    tally::given_up(connection, to.label(), reason.code.as_str())
}

/// Counts an end of a delivery that waited.
fn count_end(connection: &Connection, id: MessageId, after: &AfterAttempt) -> Result<()> {
    let Some(envelope) = envelopes::find(connection, id)? else {
        return Ok(());
    };
    let to = &envelope.recipient;
    match after {
        AfterAttempt::Delivered => tally::delivery_ended(connection, to, Outcome::Delivered),
        AfterAttempt::Dead(reason) => count_death(connection, to, reason),
        AfterAttempt::Again { .. } => Ok(()),
    }
}

/// Whether there is a delivery of this id.
pub(super) fn is_kept(connection: &Connection, id: MessageId) -> Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM delivery WHERE id = ?1)")?
        .query_row(params![id.as_uuid().as_bytes()], |row| row.get(0))
}

fn insert(connection: &Connection, seq: i64, delivery: &NewDelivery) -> Result<()> {
    let received = millis(delivery.received_at);
    let (state, due, ended, reason) = match &delivery.beginning {
        Beginning::Due => (DeliveryState::Waiting, Some(received), None, None),
        Beginning::Held => (DeliveryState::Held, None, None, None),
        Beginning::Dead(reason) => (DeliveryState::Dead, None, Some(received), Some(reason)),
    };
    connection
        .prepare_cached(
            "INSERT INTO delivery (seq, id, conversation, received_ms, traceparent, state,
                                   since_ms, due_ms, ended_ms, reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?4, ?7, ?8, ?9)",
        )?
        .execute(params![
            seq,
            delivery.id.as_uuid().as_bytes(),
            &*delivery.conversation,
            received,
            delivery.traceparent.map(|context| context.to_string()),
            delivery_state_text(state),
            due,
            ended,
            optional_json(reason)?,
        ])?;
    Ok(())
}

/// A delivery that has ended meanwhile stays as it is, unless its recipient has it after all.
fn end_attempt(connection: &Connection, end: &AttemptEnd) -> Result<bool> {
    fail::fail_point!("store::end_attempt");
    let found = connection
        .prepare_cached("SELECT seq, state, tries FROM delivery WHERE id = ?1")?
        .query_row(params![end.id.as_uuid().as_bytes()], |row| {
            Ok((row.get(0)?, delivery_state(row, 1)?, row.get(2)?))
        })
        .optional()?;
    let Some((seq, state, tries)) = found else {
        return Ok(false);
    };
    let is_waiting = state == DeliveryState::Waiting;
    let is_late_success = end.after == AfterAttempt::Delivered && state != DeliveryState::Delivered;
    if is_waiting || is_late_success {
        if let Some(attempt) = &end.attempt {
            note_attempt(connection, seq, tries, attempt)?;
        }
        move_on(connection, seq, end)?;
        if !matches!(end.after, AfterAttempt::Again { .. }) {
            count_end(connection, end.id, &end.after)?;
        }
    }
    Ok(is_waiting)
}

fn note_attempt(connection: &Connection, seq: i64, tries: i64, attempt: &Attempt) -> Result<()> {
    let number = tries.saturating_add(1);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO attempt (delivery, number, started_ms, ended_ms, status, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            seq,
            number,
            millis(attempt.started_at),
            millis(attempt.ended_at),
            attempt.status,
            attempt.error,
        ])?;
    connection
        .prepare_cached("UPDATE delivery SET tries = ?2 WHERE seq = ?1")?
        .execute(params![seq, number])?;
    connection
        .prepare_cached("DELETE FROM attempt WHERE delivery = ?1 AND number <= ?2")?
        .execute(params![seq, number.saturating_sub(HISTORY_KEPT)])?;
    Ok(())
}

fn move_on(connection: &Connection, seq: i64, end: &AttemptEnd) -> Result<()> {
    type Next<'a> = (DeliveryState, Option<DateTime<Utc>>, Option<&'a DeadReason>);
    let (state, due, reason): Next<'_> = match &end.after {
        AfterAttempt::Delivered => (DeliveryState::Delivered, None, None),
        AfterAttempt::Again { due } => (DeliveryState::Waiting, Some(*due), None),
        AfterAttempt::Dead(reason) => (DeliveryState::Dead, None, Some(reason)),
    };
    let has_failed = end.attempt.is_some() && state != DeliveryState::Delivered;
    connection
        .prepare_cached(
            "UPDATE delivery SET state = ?2, due_ms = ?3, ended_ms = ?4, reason = ?5,
                                 attempts = attempts + ?6
             WHERE seq = ?1",
        )?
        .execute(params![
            seq,
            delivery_state_text(state),
            due.map(millis),
            state.is_ended().then(|| millis(end.at)),
            optional_json(reason)?,
            i64::from(has_failed),
        ])?;
    Ok(())
}

fn cancel(connection: &Connection, id: MessageId, at: DateTime<Utc>) -> Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE delivery SET state = 'cancelled', due_ms = NULL, ended_ms = ?2
             WHERE id = ?1 AND state IN ('waiting', 'held')",
        )?
        .execute(params![id.as_uuid().as_bytes(), millis(at)])?;
    if changed > 0
        && let Some(envelope) = envelopes::find(connection, id)?
    {
        tally::delivery_ended(connection, &envelope.recipient, Outcome::Cancelled)?;
    }
    Ok(changed > 0)
}

/// What is for somebody without an address lies there for them again.
fn revive(connection: &Connection, id: MessageId, at: DateTime<Utc>) -> Result<bool> {
    let changed = connection
        .prepare_cached(
            "UPDATE delivery
             SET state = iif(collects, 'held', 'waiting'), due_ms = iif(collects, NULL, ?2),
                 attempts = 0, since_ms = ?2, ended_ms = NULL, reason = NULL
             FROM (SELECT recipient = 'anyone' OR recipient LIKE 'key:%' AS collects
                   FROM envelope WHERE id = ?1)
             WHERE id = ?1 AND state = 'dead'",
        )?
        .execute(params![id.as_uuid().as_bytes(), millis(at)])?;
    if changed > 0 {
        envelopes::forget_hops(connection, id)?;
        envelopes::let_never_expire(connection, id)?;
    }
    Ok(changed > 0)
}

fn drop_dead_letter(connection: &Connection, id: MessageId) -> Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE delivery SET state = 'dropped' WHERE id = ?1 AND state = 'dead'")?
        .execute(params![id.as_uuid().as_bytes()])?;
    let was_task = tasks::drop_dead_letter(connection, id)?;
    Ok(was_task || changed > 0)
}

/// Removes old deliveries that have ended, also those that nobody came to collect; answers how many.
/// Dead letters stay until somebody retries or drops them.
pub(super) fn prune(connection: &Connection, before: DateTime<Utc>, limit: i64) -> Result<i64> {
    let old = numbered(
        connection,
        "SELECT seq, id FROM delivery
         WHERE id < ?1 AND state NOT IN ('waiting', 'dead')
           AND received_ms < ?2 AND coalesce(ended_ms, received_ms) < ?2
         ORDER BY id LIMIT ?3",
        params![least_id_at(before), millis(before), limit],
    )?;
    for (seq, id) in &old {
        remove_done(connection, *seq, *id)?;
    }
    Ok(rows_changed(old.len()))
}

/// The oldest deliveries that have ended and are no dead letters. What still lies there for somebody
/// to collect is none of them.
pub(super) fn done_before(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(i64, MessageId)>> {
    numbered(
        connection,
        "SELECT seq, id FROM delivery
         WHERE id < ?1 AND state <> 'dead' AND ended_ms < ?2
         ORDER BY id LIMIT ?3",
        params![least_id_at(before), millis(before), limit],
    )
}

/// Removes a delivery, and what is known of its message where nothing else is.
pub(super) fn remove_done(connection: &Connection, seq: i64, id: MessageId) -> Result<()> {
    remove(connection, seq)?;
    envelopes::remove_unused(connection, id).map(drop)
}

fn remove(connection: &Connection, seq: i64) -> Result<()> {
    for table in [
        "DELETE FROM delivery WHERE seq = ?1",
        "DELETE FROM delivery_body WHERE seq = ?1",
        "DELETE FROM attempt WHERE delivery = ?1",
    ] {
        connection.prepare_cached(table)?.execute(params![seq])?;
    }
    Ok(())
}

/// Takes out the deliveries that a failed commit may have left in the log, so that none that was
/// refused is posted. See [`super::changes::undo_unacknowledged`].
///
/// What such a commit says of older deliveries stays where the log kept it. A try whose end is told
/// again may count twice; one that was delivered, cancelled or dropped is found to be so; a dead
/// letter that was revived is delivered after the next start.
pub(super) fn undo_unacknowledged(connection: &Connection, first: i64) -> Result<()> {
    let query = "SELECT seq, id FROM delivery WHERE seq >= ?1";
    for (seq, id) in numbered(connection, query, params![first])? {
        take_count_back(connection, seq, id)?;
        remove(connection, seq)?;
        envelopes::take_back(connection, id)?;
    }
    Ok(())
}

/// Uncounts an end that was counted as the delivery was kept.
fn take_count_back(connection: &Connection, seq: i64, id: MessageId) -> Result<()> {
    let (state, reason): (DeliveryState, Option<DeadReason>) = connection.query_row(
        "SELECT state, reason FROM delivery WHERE seq = ?1",
        params![seq],
        |row| Ok((delivery_state(row, 0)?, from_json(row, 1)?)),
    )?;
    let Some(envelope) = envelopes::find(connection, id)? else {
        return Ok(());
    };
    let to = &envelope.recipient;
    match (state, reason) {
        (DeliveryState::Held, _) => tally::take_delivery_back(connection, to, Outcome::Held),
        (DeliveryState::Dead, Some(reason)) => {
            tally::take_delivery_back(connection, to, Outcome::Dead)?;
            tally::take_dead_letter_back(connection, to.label(), reason.code.as_str())
        }
        _ => Ok(()),
    }
}
