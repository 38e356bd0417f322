//! How tasks, turns and sessions are written in columns, and read from them.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf, sync::Arc};

use bytes::Bytes;
use postroom_actors::domain::{
    agent_message::{Envelope, Priority},
    envelope::Sequence,
    ids::{AgentId, MessageId, SessionKey, TurnId},
    task::{Answer, NewTask, TaskOrigin, TaskRecord, TaskState, WaitingTask},
    turn::{SessionRecord, TurnRecord, TurnState},
};
use rusqlite::{Error, Result, Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::rows::{message_id, optional_time, time, unknown_word};

/// A value as the JSON text of a column; `NULL` for nothing.
pub(super) fn optional_json<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    let text = value.map(serde_json::to_string).transpose();
    text.map_err(|error| Error::ToSqlConversionFailure(error.into()))
}

pub(super) fn from_json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<Option<T>> {
    let Some(text) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

pub(super) fn agent_id(row: &Row<'_>, column: usize) -> Result<AgentId> {
    AgentId::parse(row.get_ref(column)?.as_str()?)
        .map_err(|error| Error::FromSqlConversionFailure(column, Type::Text, error.into()))
}

fn session_key(row: &Row<'_>, column: usize) -> Result<SessionKey> {
    Ok(SessionKey::new(row.get::<_, Arc<str>>(column)?))
}

/// The default for nothing.
pub(super) fn priority(row: &Row<'_>, column: usize) -> Result<Priority> {
    let Some(level) = row.get::<_, Option<u8>>(column)? else {
        return Ok(Priority::default());
    };
    Priority::new(level).ok_or(Error::IntegralValueOutOfRange(column, level.into()))
}

pub(super) fn turn_id(row: &Row<'_>, column: usize) -> Result<Option<TurnId>> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(bytes.map(|bytes| TurnId::new(Uuid::from_bytes(bytes))))
}

pub(super) const fn origin_text(origin: TaskOrigin) -> &'static str {
    match origin {
        TaskOrigin::Chat => "chat",
        TaskOrigin::Response => "response",
        TaskOrigin::Message => "message",
    }
}

pub(super) fn origin(row: &Row<'_>, column: usize) -> Result<TaskOrigin> {
    match row.get_ref(column)?.as_str()? {
        "chat" => Ok(TaskOrigin::Chat),
        "response" => Ok(TaskOrigin::Response),
        "message" => Ok(TaskOrigin::Message),
        other => Err(unknown_word(column, other)),
    }
}

pub(super) const fn task_state_text(state: TaskState) -> &'static str {
    match state {
        TaskState::Queued => "queued",
        TaskState::Running => "running",
        TaskState::Answered => "answered",
        TaskState::Done => "done",
        TaskState::Failed => "failed",
        TaskState::Cancelled => "cancelled",
        TaskState::Expired => "expired",
    }
}

pub(super) fn task_state(row: &Row<'_>, column: usize) -> Result<TaskState> {
    match row.get_ref(column)?.as_str()? {
        "queued" => Ok(TaskState::Queued),
        "running" => Ok(TaskState::Running),
        "answered" => Ok(TaskState::Answered),
        "done" => Ok(TaskState::Done),
        "failed" => Ok(TaskState::Failed),
        "cancelled" => Ok(TaskState::Cancelled),
        "expired" => Ok(TaskState::Expired),
        other => Err(unknown_word(column, other)),
    }
}

fn turn_state(row: &Row<'_>, column: usize) -> Result<TurnState> {
    match row.get_ref(column)?.as_str()? {
        "starting" => Ok(TurnState::Starting),
        "running" => Ok(TurnState::Running),
        "done" => Ok(TurnState::Done),
        "failed" => Ok(TurnState::Failed),
        "timed-out" => Ok(TurnState::TimedOut),
        "cancelled" => Ok(TurnState::Cancelled),
        "interrupted" => Ok(TurnState::Interrupted),
        other => Err(unknown_word(column, other)),
    }
}

/// Columns: seq, id, session, `received_ms`, attempts, `not_before_ms`, `is_background`, state, turn,
/// priority, `expires_ms`.
pub(super) fn waiting_task(row: &Row<'_>) -> Result<WaitingTask> {
    let is_running = task_state(row, 7)? == TaskState::Running;
    Ok(WaitingTask {
        sequence: Sequence(row.get(0)?),
        id: message_id(row, 1)?,
        session: session_key(row, 2)?,
        received_at: time(row, 3)?,
        attempts: row.get(4)?,
        not_before: optional_time(row, 5)?,
        is_background: row.get(6)?,
        priority: priority(row, 9)?,
        expires_at: optional_time(row, 10)?,
        interrupted_turn: turn_id(row, 8)?.filter(|_turn| is_running),
    })
}

/// The columns that [`task_record`] reads.
pub(super) const TASK_COLUMNS: &str = "task.seq, agent, session, origin, caller, received_ms, \
     is_background, is_streamed, is_kept, traceparent, state, attempts, turn, started_ms, \
     ended_ms, failure, usage, pieces, answer, task_body.json";

/// Columns: [`TASK_COLUMNS`].
pub(super) fn task_record(
    row: &Row<'_>,
    id: MessageId,
    envelope: Option<Arc<Envelope>>,
) -> Result<TaskRecord> {
    let task = NewTask {
        id,
        agent: agent_id(row, 1)?,
        session: session_key(row, 2)?,
        origin: origin(row, 3)?,
        caller: row.get(4)?,
        received_at: time(row, 5)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(19)?),
        is_background: row.get(6)?,
        is_streamed: row.get(7)?,
        is_kept: row.get(8)?,
        traceparent: row.get(9)?,
        envelope,
        is_handed_over: false,
    };
    Ok(TaskRecord {
        sequence: Sequence(row.get(0)?),
        task: Arc::new(task),
        state: task_state(row, 10)?,
        attempts: row.get(11)?,
        turn: turn_id(row, 12)?,
        started_at: optional_time(row, 13)?,
        answer: answer(row)?,
        failure: from_json(row, 15)?,
        ended_at: optional_time(row, 14)?,
    })
}

fn answer(row: &Row<'_>) -> Result<Option<Answer>> {
    let Some(text) = row.get(18)? else {
        return Ok(None);
    };
    Ok(Some(Answer {
        text,
        pieces: from_json(row, 17)?.unwrap_or_default(),
        usage: from_json(row, 16)?,
    }))
}

/// The columns that [`turn_record`] reads.
pub(super) const TURN_COLUMNS: &str = "seq, id, agent, session, state, cli_session, started_ms, \
     ended_ms, exit_code, signal, usage, failure, callbacks, transcript";

/// Columns: [`TURN_COLUMNS`]. Answers the turn's sequence too; its tasks are in a table of their own.
pub(super) fn turn_record(row: &Row<'_>) -> Result<(i64, TurnRecord)> {
    let transcript: Option<Vec<u8>> = row.get(13)?;
    let turn = TurnRecord {
        id: TurnId::new(Uuid::from_bytes(row.get(1)?)),
        agent: agent_id(row, 2)?,
        session: session_key(row, 3)?,
        state: turn_state(row, 4)?,
        tasks: Vec::new(),
        cli_session: row.get(5)?,
        started_at: time(row, 6)?,
        ended_at: optional_time(row, 7)?,
        exit_code: row.get(8)?,
        signal: row.get(9)?,
        usage: from_json(row, 10)?,
        failure: from_json(row, 11)?,
        callbacks: row.get(12)?,
        transcript: transcript.map(|path| PathBuf::from(OsString::from_vec(path))),
    };
    Ok((row.get(0)?, turn))
}

/// Columns: `cli_session`, `usage_total`, turns.
pub(super) fn session_record(row: &Row<'_>) -> Result<SessionRecord> {
    Ok(SessionRecord {
        cli_session: row.get(0)?,
        usage_total: from_json(row, 1)?,
        turns: row.get(2)?,
    })
}
