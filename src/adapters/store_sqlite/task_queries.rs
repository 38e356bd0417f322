//! What is read of tasks, turns and sessions.

use chrono::{DateTime, Utc};
use postroom_actors::domain::{
    ids::{AgentId, MessageId, SessionKey, TurnId},
    response::webhook::EndedResponse,
    task::{TaskRecord, WaitingTask},
    turn::{SessionRecord, TurnRecord},
};
use rusqlite::{Connection, OptionalExtension, Params, Result, params};

use super::{
    envelopes,
    rows::{message_id, millis, time, trace_context},
    task_rows::{
        TASK_COLUMNS, TURN_COLUMNS, session_record, task_record, task_state, turn_record,
        waiting_task,
    },
};

pub(super) fn open_tasks(connection: &Connection, agent: &AgentId) -> Result<Vec<WaitingTask>> {
    connection
        .prepare_cached(
            "SELECT seq, task.id, session, received_ms, attempts, not_before_ms, is_background,
                    state, task.turn, priority, expires_ms
             FROM task INDEXED BY open_task LEFT JOIN envelope ON envelope.id = task.id
             WHERE agent = ?1 AND ended_ms IS NULL ORDER BY seq",
        )?
        .query_map(params![agent.as_str()], waiting_task)?
        .collect()
}

pub(super) fn tasks(connection: &Connection, ids: &[MessageId]) -> Result<Vec<TaskRecord>> {
    let mut select = connection.prepare_cached(&format!(
        "SELECT {TASK_COLUMNS} FROM task JOIN task_body ON task_body.seq = task.seq
         WHERE id = ?1 AND NOT is_forgotten"
    ))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let task = select
            .query_row(params![id.as_uuid().as_bytes()], |row| {
                task_record(row, *id, envelopes::find(connection, *id)?)
            })
            .optional()?;
        found.extend(task);
    }
    Ok(found)
}

pub(super) fn unfinished_turns(
    connection: &Connection,
    agent: Option<&AgentId>,
) -> Result<Vec<TurnRecord>> {
    turns(
        connection,
        &format!(
            "SELECT {TURN_COLUMNS} FROM turn INDEXED BY unfinished_turn
             WHERE ended_ms IS NULL AND (?1 IS NULL OR agent = ?1) ORDER BY seq"
        ),
        params![agent.map(AgentId::as_str)],
    )
}

pub(super) fn turns_of(
    connection: &Connection,
    agent: &AgentId,
    before: Option<TurnId>,
    limit: usize,
) -> Result<Vec<TurnRecord>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // No id is greater than one byte more than an id has.
    let before = before.map_or_else(
        || vec![u8::MAX; 17],
        |turn| turn.as_uuid().as_bytes().to_vec(),
    );
    turns(
        connection,
        &format!(
            "SELECT {TURN_COLUMNS} FROM turn INDEXED BY turn_of_agent
             WHERE agent = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        ),
        params![agent.as_str(), before, limit],
    )
}

pub(super) fn turn(connection: &Connection, id: TurnId) -> Result<Option<TurnRecord>> {
    let found = turns(
        connection,
        &format!("SELECT {TURN_COLUMNS} FROM turn WHERE id = ?1"),
        params![id.as_uuid().as_bytes()],
    )?;
    Ok(found.into_iter().next())
}

/// The turns that worked on a message, oldest first.
pub(super) fn turns_of_message(connection: &Connection, id: MessageId) -> Result<Vec<TurnRecord>> {
    turns(
        connection,
        &format!(
            "SELECT {TURN_COLUMNS} FROM turn
             WHERE seq IN (SELECT turn_task.turn FROM turn_task INDEXED BY turn_of_task
                           WHERE task = ?1)
             ORDER BY seq"
        ),
        params![id.as_uuid().as_bytes()],
    )
}

fn turns(connection: &Connection, query: &str, values: impl Params) -> Result<Vec<TurnRecord>> {
    let mut tasks =
        connection.prepare_cached("SELECT task FROM turn_task WHERE turn = ?1 ORDER BY ordinal")?;
    connection
        .prepare_cached(query)?
        .query_map(values, turn_record)?
        .map(|found| {
            let (seq, turn) = found?;
            let of_turn = tasks.query_map(params![seq], |row| message_id(row, 0))?;
            Ok(TurnRecord {
                tasks: of_turn.collect::<Result<_>>()?,
                ..turn
            })
        })
        .collect()
}

pub(super) fn session(
    connection: &Connection,
    agent: &AgentId,
    session: &SessionKey,
) -> Result<SessionRecord> {
    let found = connection
        .prepare_cached(
            "SELECT cli_session, usage_total, turns FROM session
             WHERE agent = ?1 AND session = ?2",
        )?
        .query_row(params![agent.as_str(), session.as_str()], session_record)
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Those that ended at one moment are told apart by their ids.
pub(super) fn ended_responses(
    connection: &Connection,
    since: DateTime<Utc>,
    after: Option<MessageId>,
    limit: usize,
) -> Result<Vec<EndedResponse>> {
    let after = after.map_or([0; 16], |id| *id.as_uuid().as_bytes());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "SELECT id, caller, state, ended_ms, traceparent FROM task INDEXED BY ended_response
             WHERE origin = 'response' AND is_background AND ended_ms IS NOT NULL
               AND caller IS NOT NULL AND (ended_ms, id) > (?1, ?2)
             ORDER BY ended_ms, id LIMIT ?3",
        )?
        .query_map(params![millis(since), &after[..], limit], |row| {
            Ok(EndedResponse {
                id: message_id(row, 0)?,
                caller: row.get(1)?,
                state: task_state(row, 2)?,
                ended_at: time(row, 3)?,
                traceparent: trace_context(row, 4)?,
            })
        })?
        .collect()
}
