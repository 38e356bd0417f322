//! The spans of turns, and of the waits before them. They hang on the messages that turns work on:
//! on the newest one, as its `TRACEPARENT` does, with links to the others.

use chrono::{DateTime, Utc};

use super::{SharedParts, SupervisorParts};
use crate::{
    domain::{
        ids::{MessageId, TurnId},
        task::{TaskRecord, WaitingTask},
        trace_context::{SpanId, TraceContext},
        turn::{TurnEnd, TurnState},
    },
    ports::{
        StoreError,
        traces::{Span, SpanKind},
    },
};

/// A task of a turn, as far as traces are concerned.
pub(super) struct TracedTask {
    pub(super) id: MessageId,
    pub(super) traceparent: Option<TraceContext>,
    /// When its wait began; `None` where a turn had begun with it before.
    pub(super) waits_since: Option<DateTime<Utc>>,
}

impl TracedTask {
    pub(super) fn new(waiting: &WaitingTask, traceparent: Option<TraceContext>) -> Self {
        Self {
            id: waiting.id,
            traceparent,
            waits_since: (waiting.attempts == 0).then_some(waiting.received_at),
        }
    }

    fn of_record(record: &TaskRecord) -> Self {
        Self {
            id: record.task.id,
            traceparent: record.task.traceparent,
            waits_since: None,
        }
    }
}

/// What a turn is told as its place in the trace.
pub(super) fn told(
    shared: &SharedParts,
    turn: TurnId,
    newest: Option<TraceContext>,
) -> Option<TraceContext> {
    shared.traces.turn(newest, turn)
}

/// The span of a turn of an agent's CLI.
pub(super) fn of_turn(
    parts: &SupervisorParts,
    turn: TurnId,
    tasks: &[TracedTask],
    began: DateTime<Utc>,
) -> Option<Span> {
    let agent = &parts.profile.id;
    let span = work(parts, turn, tasks, SpanKind::Client)?;
    let span = span
        .begun(format!("invoke_agent {agent}"), began)
        .with("gen_ai.operation.name", "invoke_agent")
        .with("gen_ai.agent.name", agent.to_string());
    Some(described(span, turn, tasks))
}

/// The span of writing tasks into an agent's inbox.
pub(super) fn of_inbox_write(
    parts: &SupervisorParts,
    turn: TurnId,
    tasks: &[TracedTask],
    began: DateTime<Utc>,
) -> Option<Span> {
    let span = work(parts, turn, tasks, SpanKind::Internal)?;
    let span = span
        .begun("inbox write", began)
        .with("gen_ai.agent.name", parts.profile.id.to_string());
    Some(described(span, turn, tasks))
}

fn work(
    parts: &SupervisorParts,
    turn: TurnId,
    tasks: &[TracedTask],
    kind: SpanKind,
) -> Option<Span> {
    let newest = tasks.last()?.traceparent;
    let traces = &parts.shared.traces;
    let mut span = traces.span(newest, || SpanId::of_turn(turn), kind)?;
    let others = tasks.iter().rev().skip(1).rev();
    span.links = others.filter_map(|task| task.traceparent).collect();
    Some(span)
}

fn described(span: Span, turn: TurnId, tasks: &[TracedTask]) -> Span {
    span.with("postroom.turn.id", turn.to_string())
        .with("postroom.turn.tasks", tasks.len())
}

/// Records how long tasks have waited for their first turn.
pub(super) fn record_waits(
    parts: &SupervisorParts,
    turn: TurnId,
    tasks: &[TracedTask],
    until: DateTime<Utc>,
) {
    let traces = &parts.shared.traces;
    for task in tasks {
        let id = || SpanId::of_wait(task.id, turn);
        let Some(since) = task.waits_since else {
            continue;
        };
        if let Some(span) = traces.span(task.traceparent, id, SpanKind::Consumer) {
            let span = span
                .begun("task wait", since)
                .with("gen_ai.agent.name", parts.profile.id.to_string())
                .with("postroom.message.id", task.id.to_string());
            traces.end(span, until);
        }
    }
}

/// Records the end of a turn.
pub(super) fn record_end(parts: &SupervisorParts, span: Option<Span>, end: &TurnEnd) {
    let Some(mut span) = span else { return };
    span.note("postroom.turn.state", end.state.as_str());
    if let Some(usage) = end.usage {
        span.note("gen_ai.usage.input_tokens", usage.input_tokens);
        span.note("gen_ai.usage.output_tokens", usage.output_tokens);
    }
    if let Some(code) = end.exit_code {
        span.note("process.exit.code", i64::from(code));
    }
    if end.state != TurnState::Done {
        span.fail(end.state.as_str());
    }
    parts.shared.traces.end(span, end.ended_at);
}

/// The span of a turn that the end of the broker cut off, for those that hang on it.
///
/// # Errors
/// The store could not be read.
pub(super) async fn of_interrupted(
    parts: &SupervisorParts,
    turn: TurnId,
    tasks: Vec<MessageId>,
    began: DateTime<Utc>,
) -> Result<Option<Span>, StoreError> {
    if !parts.shared.traces.is_on() {
        return Ok(None);
    }
    let records = parts.shared.store.tasks(tasks).await?;
    let tasks: Vec<_> = records.iter().map(TracedTask::of_record).collect();
    Ok(of_turn(parts, turn, &tasks, began))
}
