//! What changes of turns and sessions do to the tables. All of it runs inside the writer's
//! transaction.

use std::{os::unix::ffi::OsStrExt, path::Path};

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        ids::{MessageId, TurnId},
        task::TaskState,
        turn::{AfterTurn, FailureCode, TurnEnd, TurnStart, TurnState},
    },
    ports::{StoreError, turns::TurnNote},
};
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{
    changes::{Ledger, Own, Told, is_taken, least_id_at, rows_changed},
    rows::{millis, numbered},
    tally,
    task_rows::{optional_json, task_state_text},
    tasks::{self, IS_DEAD_LETTER},
};

pub(super) fn begin(connection: &Connection, ledger: &mut Ledger, turn: &TurnStart) -> Result<Own> {
    let seq = ledger.next_turn;
    match insert(connection, seq, turn) {
        Err(error) if is_taken(&error) => {
            let reason = format!("turn id `{}` is in the store already", turn.id);
            return Ok(Err(StoreError::Io(reason.into())));
        }
        inserted => inserted?,
    }
    for (ordinal, task) in (0_i64..).zip(&turn.tasks) {
        connection
            .prepare_cached("INSERT INTO turn_task (turn, ordinal, task) VALUES (?1, ?2, ?3)")?
            .execute(params![seq, ordinal, task.as_uuid().as_bytes()])?;
        begin_task(connection, turn, *task)?;
    }
    ledger.next_turn = seq.saturating_add(1);
    Ok(Ok(Told::NOTHING))
}

fn insert(connection: &Connection, seq: i64, turn: &TurnStart) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO turn (seq, id, agent, session, state, cli_session, started_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            seq,
            turn.id.as_uuid().as_bytes(),
            turn.agent.as_str(),
            turn.session.as_str(),
            TurnState::Starting.as_str(),
            turn.cli_session,
            millis(turn.started_at),
        ])?;
    Ok(())
}

/// One that has ended meanwhile stays as it is.
fn begin_task(connection: &Connection, turn: &TurnStart, task: MessageId) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE task SET state = ?2, attempts = attempts + 1, turn = ?3,
                             started_ms = coalesce(started_ms, ?4)
             WHERE id = ?1 AND ended_ms IS NULL",
        )?
        .execute(params![
            task.as_uuid().as_bytes(),
            task_state_text(TaskState::Running),
            turn.id.as_uuid().as_bytes(),
            millis(turn.started_at),
        ])?;
    Ok(())
}

/// Of a turn that is not there nothing is kept.
pub(super) fn note_cli_session(
    connection: &Connection,
    turn: TurnId,
    cli_session: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    let turn = turn.as_uuid();
    connection
        .prepare_cached("UPDATE turn SET cli_session = ?2 WHERE id = ?1")?
        .execute(params![turn.as_bytes(), cli_session])?;
    connection
        .prepare_cached(
            "INSERT INTO session (agent, session, cli_session, updated_ms)
             SELECT agent, session, ?2, ?3 FROM turn WHERE id = ?1
             ON CONFLICT DO UPDATE SET cli_session = excluded.cli_session,
                                       updated_ms = excluded.updated_ms",
        )?
        .execute(params![turn.as_bytes(), cli_session, millis(now)])?;
    Ok(())
}

pub(super) fn note(connection: &Connection, turn: TurnId, note: TurnNote) -> Result<()> {
    match note {
        TurnNote::Running => note_running(connection, turn),
        TurnNote::Callback => note_callback(connection, turn),
    }
}

fn note_running(connection: &Connection, turn: TurnId) -> Result<()> {
    connection
        .prepare_cached("UPDATE turn SET state = ?2 WHERE id = ?1 AND ended_ms IS NULL")?
        .execute(params![
            turn.as_uuid().as_bytes(),
            TurnState::Running.as_str()
        ])?;
    Ok(())
}

fn note_callback(connection: &Connection, turn: TurnId) -> Result<()> {
    let agent: Option<String> = connection
        .prepare_cached("UPDATE turn SET callbacks = callbacks + 1 WHERE id = ?1 RETURNING agent")?
        .query_row(params![turn.as_uuid().as_bytes()], |row| row.get(0))
        .optional()?;
    agent.map_or(Ok(()), |agent| tally::called_back(connection, &agent))
}

/// A callback that was noted was never acknowledged.
pub(super) fn take_callback_back(connection: &Connection, turn: TurnId) -> Result<()> {
    let query = "UPDATE turn SET callbacks = callbacks - 1 WHERE id = ?1 AND callbacks > 0
                 RETURNING agent";
    let agent: Option<String> = connection
        .query_row(query, params![turn.as_uuid().as_bytes()], |row| row.get(0))
        .optional()?;
    agent.map_or(Ok(()), |agent| {
        tally::take_callback_back(connection, &agent)
    })
}

/// A turn ends once: a second end, after a commit that was thought to have failed, changes nothing,
/// so that no session counts it twice and no task gets an attempt back twice.
pub(super) fn end(connection: &Connection, end: &TurnEnd) -> Result<()> {
    let Some(agent) = close(connection, end)? else {
        return Ok(());
    };
    tally::turn_ended(connection, &agent, end)?;
    for (task, after) in &end.tasks {
        match after {
            AfterTurn::Ended(outcome) => {
                tasks::end(connection, *task, outcome, end.ended_at)?;
            }
            // It stays running, although its turn has ended.
            AfterTurn::Delivered => {}
            AfterTurn::Again { not_before, counts } => {
                tasks::queue_again(connection, *task, *not_before, *counts)?;
            }
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO session (agent, session, usage_total, turns, updated_ms)
             SELECT agent, session, ?2, 1, ?3 FROM turn WHERE id = ?1
             ON CONFLICT DO UPDATE SET
                 usage_total = coalesce(excluded.usage_total, usage_total),
                 turns = turns + 1,
                 updated_ms = excluded.updated_ms",
        )?
        .execute(params![
            end.id.as_uuid().as_bytes(),
            optional_json(end.usage_total.as_ref())?,
            millis(end.ended_at),
        ])?;
    let failure = end.failure.as_ref();
    if failure.is_some_and(|failure| failure.code == FailureCode::SessionLost) {
        forget_cli_session(connection, end.id)?;
    }
    Ok(())
}

/// The CLI does not know its session any more: the next turn begins a new one.
fn forget_cli_session(connection: &Connection, turn: TurnId) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE session SET cli_session = NULL
             WHERE (agent, session) IN (SELECT agent, session FROM turn WHERE id = ?1)",
        )?
        .execute(params![turn.as_uuid().as_bytes()])?;
    Ok(())
}

/// Answers whose turn it was; `None` where it was not there or had ended.
fn close(connection: &Connection, end: &TurnEnd) -> Result<Option<String>> {
    let transcript = end.transcript.as_deref().map(Path::as_os_str);
    connection
        .prepare_cached(
            "UPDATE turn SET state = ?2, ended_ms = ?3, exit_code = ?4, signal = ?5, usage = ?6,
                             failure = ?7, transcript = ?8
             WHERE id = ?1 AND ended_ms IS NULL RETURNING agent",
        )?
        .query_row(
            params![
                end.id.as_uuid().as_bytes(),
                end.state.as_str(),
                millis(end.ended_at),
                end.exit_code,
                end.signal,
                optional_json(end.usage.as_ref())?,
                optional_json(end.failure.as_ref())?,
                transcript.map(OsStrExt::as_bytes),
            ],
            |row| row.get(0),
        )
        .optional()
}

/// Removes old turns that have ended; answers how many.
///
/// A turn is kept while a task of it is open: [`undo_unacknowledged`] reads there what the task was
/// before a later turn. The same holds for a dead letter, which may be open again.
pub(super) fn prune(connection: &Connection, before: DateTime<Utc>, limit: i64) -> Result<i64> {
    let old = done_before(connection, before, limit)?;
    for (seq, _id) in &old {
        remove_done(connection, *seq)?;
    }
    Ok(rows_changed(old.len()))
}

/// The oldest turns that have ended and that no open task needs.
pub(super) fn done_before(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(i64, MessageId)>> {
    numbered(
        connection,
        &format!(
            "SELECT seq, id FROM turn WHERE id < ?1 AND ended_ms < ?2
               AND NOT EXISTS (SELECT 1 FROM turn_task CROSS JOIN task ON task.id = turn_task.task
                               WHERE turn_task.turn = turn.seq
                                 AND (task.ended_ms IS NULL OR ({IS_DEAD_LETTER})))
             ORDER BY id LIMIT ?3"
        ),
        params![least_id_at(before), millis(before), limit],
    )
}

/// Removes a turn.
pub(super) fn remove_done(connection: &Connection, seq: i64) -> Result<()> {
    for table in [
        "DELETE FROM turn WHERE seq = ?1",
        "DELETE FROM turn_task WHERE turn = ?1",
    ] {
        connection.prepare_cached(table)?.execute(params![seq])?;
    }
    Ok(())
}

/// Removes sessions that nothing has happened in for long and nothing waits for; answers how many.
pub(super) fn prune_sessions(
    connection: &Connection,
    before: DateTime<Utc>,
    limit: i64,
) -> Result<i64> {
    let removed = connection
        .prepare_cached(
            "DELETE FROM session WHERE (agent, session) IN (
                 SELECT agent, session FROM session AS old WHERE updated_ms < ?1
                   AND NOT EXISTS (SELECT 1 FROM task INDEXED BY open_task
                                   WHERE task.agent = old.agent AND ended_ms IS NULL
                                     AND task.session = old.session)
                 ORDER BY updated_ms LIMIT ?2)",
        )?
        .execute(params![millis(before), limit])?;
    Ok(rows_changed(removed))
}

/// Takes out the turns that a failed commit may have left in the log, with all that they did to
/// their tasks. See [`super::changes::undo_unacknowledged`].
///
/// Whoever began such a turn was told that it is not kept and started no process. Left in place it
/// would cost its tasks an attempt, and a restart would take it for a turn that was interrupted.
/// Nobody was told of an end of it either, so its tasks are open again, and as they were: queued,
/// because only such a task is begun.
pub(super) fn undo_unacknowledged(connection: &Connection, first: i64) -> Result<()> {
    let begun: Vec<(i64, [u8; 16])> = connection
        .prepare("SELECT seq, id FROM turn WHERE seq >= ?1 ORDER BY seq DESC")?
        .query_map(params![first], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    for (seq, id) in &begun {
        let touched: Vec<[u8; 16]> = connection
            .prepare("SELECT id FROM task WHERE turn = ?1")?
            .query_map(params![id], |row| row.get(0))?
            .collect::<Result<_>>()?;
        connection.execute("DELETE FROM turn WHERE seq = ?1", params![seq])?;
        connection.execute("DELETE FROM turn_task WHERE turn = ?1", params![seq])?;
        for task in &touched {
            give_back(connection, task)?;
        }
    }
    Ok(())
}

/// Puts a task back to where its latest remaining turn left it.
fn give_back(connection: &Connection, task: &[u8; 16]) -> Result<()> {
    let turns_of_task = |order: &str| {
        let query = format!(
            "SELECT turn.id, started_ms FROM turn_task JOIN turn ON turn.seq = turn_task.turn
             WHERE task = ?1 ORDER BY turn.seq {order} LIMIT 1"
        );
        connection
            .query_row(&query, params![task], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    };
    let first: Option<([u8; 16], i64)> = turns_of_task("ASC")?;
    let latest: Option<([u8; 16], i64)> = turns_of_task("DESC")?;
    connection.execute(
        "UPDATE task SET state = ?2, attempts = max(attempts - 1, 0), turn = ?3, started_ms = ?4,
                         answer = NULL, pieces = NULL, usage = NULL, failure = NULL,
                         ended_ms = NULL
         WHERE id = ?1",
        params![
            task,
            task_state_text(TaskState::Queued),
            latest.map(|(turn, _started)| turn),
            first.map(|(_turn, started)| started),
        ],
    )?;
    Ok(())
}
