//! What each change of tasks and turns is, and what those of tasks do to the tables. All of it runs
//! inside the writer's transaction.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        agent_message::{Envelope, IdempotencyKey},
        ids::{MessageId, TurnId},
        post::Queued,
        task::{Answer, NewTask, TaskOutcome, TaskState},
        turn::{AfterTurn, Failure, TurnEnd, TurnStart},
    },
    ports::{StoreError, turns::TurnNote},
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{
    changes::{Ledger, Own, Told, is_taken, least_id_at, rows_changed},
    deliveries, envelopes, idempotency,
    rows::{millis, numbered},
    tally::{self, Outcome},
    task_rows::{optional_json, origin_text, task_state_text},
    turns,
};

/// A change of tasks or turns: an entry of a group commit.
#[derive(Debug)]
pub(super) enum TaskChange {
    /// Answers the task's sequence, or which message it repeats.
    Queue {
        task: Arc<NewTask>,
        once: Option<IdempotencyKey>,
    },
    /// Answers whether the task was a dead letter.
    Revive(MessageId),
    BeginTurn(TurnStart),
    NoteCliSession {
        turn: TurnId,
        cli_session: String,
    },
    NoteTurn {
        turn: TurnId,
        note: TurnNote,
    },
    EndTurn(Box<TurnEnd>),
    /// Answers whether the task was open.
    End {
        task: MessageId,
        outcome: TaskOutcome,
        at: DateTime<Utc>,
    },
    /// Answers whether the task was there.
    Forget(MessageId),
}

impl TaskChange {
    /// About how much memory the change holds while it waits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Queue { task, .. } => task.body.len(),
            Self::BeginTurn(turn) => turn.tasks.len().saturating_mul(size_of::<MessageId>()),
            Self::NoteCliSession { cli_session, .. } => cli_session.len(),
            Self::EndTurn(end) => end.tasks.iter().map(|(_task, after)| bytes_of(after)).sum(),
            Self::End { outcome, .. } => outcome_bytes(outcome),
            Self::NoteTurn { .. } | Self::Forget(_) | Self::Revive(_) => 0,
        }
    }
}

fn bytes_of(after: &AfterTurn) -> usize {
    match after {
        AfterTurn::Ended(outcome) => outcome_bytes(outcome),
        AfterTurn::Again { .. } | AfterTurn::Delivered => size_of::<AfterTurn>(),
    }
}

fn outcome_bytes(outcome: &TaskOutcome) -> usize {
    match outcome {
        TaskOutcome::Answered(answer) => answer
            .pieces
            .len()
            .saturating_mul(size_of::<u32>())
            .saturating_add(answer.text.len()),
        TaskOutcome::Failed(failure) => failure.message.len(),
        TaskOutcome::Done | TaskOutcome::Cancelled | TaskOutcome::Expired => 0,
    }
}

/// Carries out one change; see [`super::changes::apply`].
pub(super) fn apply(
    connection: &Connection,
    ledger: &mut Ledger,
    change: &TaskChange,
    now: DateTime<Utc>,
) -> Result<Own> {
    match change {
        TaskChange::Queue { task, once } => queue(connection, ledger, task, once.as_ref()),
        TaskChange::Revive(task) => revive(connection, *task).map(|was_dead| Ok(was_dead.into())),
        TaskChange::BeginTurn(turn) => turns::begin(connection, ledger, turn),
        TaskChange::NoteCliSession { turn, cli_session } => {
            turns::note_cli_session(connection, *turn, cli_session, now).map(|()| Ok(Told::NOTHING))
        }
        TaskChange::NoteTurn { turn, note } => {
            turns::note(connection, *turn, *note).map(|()| Ok(Told::NOTHING))
        }
        TaskChange::EndTurn(turn) => turns::end(connection, turn).map(|()| Ok(Told::NOTHING)),
        TaskChange::End { task, outcome, at } => {
            end(connection, *task, outcome, *at).map(|was_open| Ok(was_open.into()))
        }
        TaskChange::Forget(task) => forget(connection, *task).map(|was_there| Ok(was_there.into())),
    }
}

fn queue(
    connection: &Connection,
    ledger: &mut Ledger,
    task: &NewTask,
    once: Option<&IdempotencyKey>,
) -> Result<Own> {
    fail::fail_point!("store::queue_task");
    if let Some(known) = idempotency::known(connection, task.id, once)? {
        return Ok(Ok(known.into()));
    }
    idempotency::keep(connection, task.id, once, task.received_at)?;
    let seq = ledger.next_task;
    match insert(connection, seq, task) {
        Err(error) if is_taken(&error) && task.envelope.is_some() => {
            return Ok(Ok(Queued::Duplicate(task.id).into()));
        }
        Err(error) if is_taken(&error) => {
            let reason = format!("task id `{}` is in the store already", task.id);
            return Ok(Err(StoreError::Io(reason.into())));
        }
        inserted => inserted?,
    }
    connection
        .prepare_cached("INSERT INTO task_body (seq, json) VALUES (?1, ?2)")?
        .execute(params![seq, &task.body[..]])?;
    if let Some(envelope) = &task.envelope {
        envelopes::keep(connection, task.id, envelope, once)?;
        count_handover(connection, task, envelope)?;
    }
    ledger.next_task = seq.saturating_add(1);
    Ok(Ok(seq.into()))
}

/// A message that goes straight to its agent is delivered by that. One that was kept as a delivery
/// before is counted where that delivery ends.
fn count_handover(connection: &Connection, task: &NewTask, envelope: &Envelope) -> Result<()> {
    if !task.is_handed_over || deliveries::is_kept(connection, task.id)? {
        return Ok(());
    }
    tally::delivery_ended(connection, &envelope.recipient, Outcome::Delivered)
}

fn insert(connection: &Connection, seq: i64, task: &NewTask) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO task (seq, id, agent, session, origin, caller, received_ms,
                               is_background, is_streamed, is_kept, traceparent, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            seq,
            task.id.as_uuid().as_bytes(),
            task.agent.as_str(),
            task.session.as_str(),
            origin_text(task.origin),
            task.caller.as_deref(),
            millis(task.received_at),
            task.is_background,
            task.is_streamed,
            task.is_kept,
            task.traceparent.map(|context| context.to_string()),
            task_state_text(TaskState::Queued),
        ])?;
    Ok(())
}

/// Ends a task that is open; answers whether it was.
pub(super) fn end(
    connection: &Connection,
    task: MessageId,
    outcome: &TaskOutcome,
    at: DateTime<Utc>,
) -> Result<bool> {
    let (answer, failure) = parts(outcome);
    let pieces = answer
        .map(|answer| &answer.pieces)
        .filter(|pieces| !pieces.is_empty());
    let changed = connection
        .prepare_cached(
            "UPDATE task SET state = ?2, ended_ms = ?3, answer = ?4, pieces = ?5, usage = ?6,
                             failure = ?7
             WHERE id = ?1 AND ended_ms IS NULL",
        )?
        .execute(params![
            task.as_uuid().as_bytes(),
            task_state_text(outcome.state()),
            millis(at),
            answer.map(|answer| &*answer.text),
            optional_json(pieces)?,
            optional_json(answer.and_then(|answer| answer.usage.as_ref()))?,
            optional_json(failure)?,
        ])?;
    if let Some(failure) = failure.filter(|_failure| changed > 0) {
        count_dead_letter(connection, task, failure)?;
    }
    Ok(changed > 0)
}

/// A failed task may be a dead letter; one that is dropped already is none.
fn count_dead_letter(connection: &Connection, task: MessageId, failure: &Failure) -> Result<()> {
    let agent: Option<String> = connection
        .prepare_cached(&format!(
            "SELECT agent FROM task WHERE id = ?1 AND {IS_DEAD_LETTER}"
        ))?
        .query_row(params![task.as_uuid().as_bytes()], |row| row.get(0))
        .optional()?;
    agent.map_or(Ok(()), |agent| {
        tally::given_up(connection, &agent, failure.code.as_str())
    })
}

const fn parts(outcome: &TaskOutcome) -> (Option<&Answer>, Option<&Failure>) {
    match outcome {
        TaskOutcome::Answered(answer) => (Some(answer), None),
        TaskOutcome::Failed(failure) => (None, Some(failure)),
        TaskOutcome::Done | TaskOutcome::Cancelled | TaskOutcome::Expired => (None, None),
    }
}

/// Lets an open task wait for another turn.
pub(super) fn queue_again(
    connection: &Connection,
    task: MessageId,
    not_before: Option<DateTime<Utc>>,
    counts: bool,
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE task SET state = ?2, not_before_ms = ?3, attempts = max(attempts - ?4, 0)
             WHERE id = ?1 AND ended_ms IS NULL",
        )?
        .execute(params![
            task.as_uuid().as_bytes(),
            task_state_text(TaskState::Queued),
            not_before.map(millis),
            i64::from(!counts),
        ])?;
    Ok(())
}

fn forget(connection: &Connection, task: MessageId) -> Result<bool> {
    let changed = connection
        .prepare_cached("UPDATE task SET is_forgotten = 1 WHERE id = ?1 AND NOT is_forgotten")?
        .execute(params![task.as_uuid().as_bytes()])?;
    Ok(changed > 0)
}

/// A message whose turns failed for good, and that nobody dropped.
pub(super) const IS_DEAD_LETTER: &str = "task.origin = 'message' AND task.state = 'failed' \
     AND NOT task.is_dropped \
     AND EXISTS (SELECT 1 FROM envelope WHERE envelope.id = task.id)";

/// Lets a dead letter wait again, as if it had never been tried and had all the time; answers
/// whether it was one.
fn revive(connection: &Connection, task: MessageId) -> Result<bool> {
    let changed = connection
        .prepare_cached(&format!(
            "UPDATE task SET state = ?2, attempts = 0, not_before_ms = NULL, failure = NULL,
                             ended_ms = NULL
             WHERE id = ?1 AND {IS_DEAD_LETTER}"
        ))?
        .execute(params![
            task.as_uuid().as_bytes(),
            task_state_text(TaskState::Queued),
        ])?;
    if changed > 0 {
        envelopes::let_never_expire(connection, task)?;
    }
    Ok(changed > 0)
}

/// Drops a dead letter: it stays failed, but nobody is asked to look at it any more.
pub(super) fn drop_dead_letter(connection: &Connection, task: MessageId) -> Result<bool> {
    let changed = connection
        .prepare_cached(&format!(
            "UPDATE task SET is_dropped = 1 WHERE id = ?1 AND {IS_DEAD_LETTER}"
        ))?
        .execute(params![task.as_uuid().as_bytes()])?;
    Ok(changed > 0)
}

/// Removes old tasks that have ended; answers how many. Their ids find them, as with messages.
/// Dead letters stay until somebody retries or drops them.
pub(super) fn prune(connection: &Connection, before: DateTime<Utc>, limit: i64) -> Result<i64> {
    let old = done_before(connection, before, limit)?;
    for (seq, id) in &old {
        remove_done(connection, *seq, *id)?;
    }
    Ok(rows_changed(old.len()))
}

/// The oldest tasks that have ended and are no dead letters.
pub(super) fn done_before(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(i64, MessageId)>> {
    numbered(
        connection,
        &format!(
            "SELECT seq, id FROM task WHERE id < ?1 AND ended_ms < ?2 AND NOT ({IS_DEAD_LETTER})
             ORDER BY id LIMIT ?3"
        ),
        params![least_id_at(before), millis(before), limit],
    )
}

/// Removes a task, and what is known of its message where nothing else is.
pub(super) fn remove_done(connection: &Connection, seq: i64, id: MessageId) -> Result<()> {
    remove(connection, seq)?;
    envelopes::remove_unused(connection, id).map(drop)
}

fn remove(connection: &Connection, seq: i64) -> Result<()> {
    for table in [
        "DELETE FROM task WHERE seq = ?1",
        "DELETE FROM task_body WHERE seq = ?1",
    ] {
        connection.prepare_cached(table)?.execute(params![seq])?;
    }
    Ok(())
}

/// Takes out the tasks that a failed commit may have left in the log, so that none that was refused
/// comes to life. See [`super::changes::undo_unacknowledged`].
///
/// What such a commit says of older tasks (that one has ended, is forgotten, waits for another
/// turn) stays where the log kept it. It was true when it was asked for, and asking again finds it
/// done: an outcome, like the end of a turn, is taken once. A dead letter that such a commit revived
/// is worked on after the next start.
pub(super) fn undo_unacknowledged(connection: &Connection, first: i64) -> Result<()> {
    let query = "SELECT seq, id FROM task WHERE seq >= ?1";
    for (seq, id) in numbered(connection, query, params![first])? {
        take_handover_back(connection, id)?;
        remove(connection, seq)?;
        envelopes::take_back(connection, id)?;
    }
    Ok(())
}

/// Uncounts a delivery that was counted as the task was kept. Agents of ours send by the courier
/// alone; of other senders nothing tells any more which way they took, and they stay counted.
fn take_handover_back(connection: &Connection, id: MessageId) -> Result<()> {
    let envelope = envelopes::find(connection, id)?;
    let sent = envelope.filter(|envelope| envelope.sender.agent().is_some());
    match sent {
        Some(envelope) if !deliveries::is_kept(connection, id)? => {
            tally::take_delivery_back(connection, &envelope.recipient, Outcome::Delivered)
        }
        _ => Ok(()),
    }
}
