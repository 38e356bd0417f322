//! Messages as they are shown.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postroom_actors::domain::{
    agent_message::{Envelope, Priority},
    ids::{AgentId, MessageId, TurnId},
    party::Party,
    post::{
        Attempt, DeadReason, DeliveryRecord, DeliveryState, Direction, MessageRecord,
        MessageSummary, Trouble,
    },
    task::{TaskOrigin, TaskRecord, TaskState},
    turn::{Failure, TurnRecord, TurnState},
};
use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(test)]
pub(in crate::http) mod tests;

/// One message, with all that is known of it.
#[derive(Debug, Serialize)]
pub(in crate::http) struct MessageView {
    id: MessageId,
    direction: Direction,
    origin: TaskOrigin,
    state: StateWord,
    #[serde(flatten)]
    envelope: EnvelopeView,
    received_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    attempts: u32,
    failure: Option<FailureView>,
    answer: Option<Arc<str>>,
    turns: Vec<TurnLine>,
    callbacks: Vec<SummaryView>,
    delivery: Option<DeliveryView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

/// The word for where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum StateWord {
    /// Of a message that an agent works on.
    Task(TaskState),
    /// Of one on its way.
    Delivery(DeliveryState),
}

/// Who, to whom, about what. Of chats and responses it is known who alone.
#[derive(Debug, Default, Serialize)]
struct EnvelopeView {
    #[serde(rename = "type")]
    kind: Option<Arc<str>>,
    from: Option<String>,
    to: Option<String>,
    sender_id: Option<Arc<str>>,
    remote_agent: Option<AgentId>,
    context_id: Option<String>,
    in_reply_to: Option<Arc<str>>,
    hops: u32,
    priority: Priority,
    expires_at: Option<DateTime<Utc>>,
}

/// Why a message got nowhere: `{code, message}`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum FailureView {
    Turn(Failure),
    Delivery(DeadReason),
}

/// A turn that worked on a message.
#[derive(Debug, Serialize)]
struct TurnLine {
    id: TurnId,
    agent: AgentId,
    state: TurnState,
    started_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    callbacks: u32,
}

/// How far a delivery has come.
#[derive(Debug, Serialize)]
struct DeliveryView {
    state: DeliveryState,
    attempts: u32,
    due_at: Option<DateTime<Utc>>,
    delivered_at: Option<DateTime<Utc>>,
    reason: Option<DeadReason>,
    history: Vec<Attempt>,
}

/// One line of a list.
#[derive(Debug, Serialize)]
pub(in crate::http) struct SummaryView {
    id: MessageId,
    direction: Direction,
    origin: TaskOrigin,
    state: &'static str,
    #[serde(rename = "type")]
    kind: Option<Arc<str>>,
    from: Option<String>,
    to: Option<String>,
    context_id: Option<String>,
    in_reply_to: Option<Arc<str>>,
    received_at: DateTime<Utc>,
    ended_at: Option<DateTime<Utc>>,
    due_at: Option<DateTime<Utc>>,
    attempts: u32,
    callbacks: u32,
    failure: Option<FailureView>,
}

/// What is read besides a message itself.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// The turns that worked on it.
    pub(super) turns: Vec<TurnRecord>,
    /// The messages that answer it.
    pub(super) callbacks: Vec<MessageSummary>,
    /// Whether its body is shown.
    pub(super) with_body: bool,
}

impl MessageView {
    /// Shows a message.
    pub(super) fn new(record: MessageRecord, around: Surroundings) -> Self {
        let Surroundings {
            turns,
            callbacks,
            with_body,
        } = around;
        let view = match record {
            MessageRecord::Task(task) => Self::of_task(task, &callbacks, with_body),
            MessageRecord::Delivery(delivery) => Self::of_delivery(delivery, with_body),
        };
        Self {
            turns: turns.into_iter().map(TurnLine::from).collect(),
            callbacks: callbacks.into_iter().map(SummaryView::from).collect(),
            ..view
        }
    }

    /// Where it stands.
    pub(super) const fn state(&self) -> StateWord {
        self.state
    }

    fn of_task(record: TaskRecord, callbacks: &[MessageSummary], with_body: bool) -> Self {
        let task = &record.task;
        let envelope = match task.envelope.as_deref() {
            Some(envelope) => EnvelopeView::from(envelope),
            None => EnvelopeView {
                from: task.caller.as_deref().map(str::to_owned),
                to: Some(Party::Agent(task.agent.clone()).to_string()),
                ..EnvelopeView::default()
            },
        };
        Self {
            id: task.id,
            direction: Direction::In,
            origin: task.origin,
            state: StateWord::Task(told_state(&record, callbacks)),
            envelope,
            received_at: task.received_at,
            started_at: record.started_at,
            ended_at: record.ended_at,
            attempts: record.attempts,
            body: shown(&task.body, with_body),
            failure: record.failure.map(FailureView::Turn),
            answer: record.answer.map(|answer| answer.text),
            turns: Vec::new(),
            callbacks: Vec::new(),
            delivery: None,
        }
    }

    fn of_delivery(record: DeliveryRecord, with_body: bool) -> Self {
        let delivery = &record.delivery;
        let is_delivered = record.state == DeliveryState::Delivered;
        Self {
            id: delivery.id,
            direction: Direction::Out,
            origin: TaskOrigin::Message,
            state: StateWord::Delivery(record.state),
            envelope: EnvelopeView::from(&*delivery.envelope),
            received_at: delivery.received_at,
            started_at: record.history.first().map(|attempt| attempt.started_at),
            ended_at: record.ended_at,
            attempts: record.attempts,
            body: shown(&delivery.body, with_body),
            failure: record.reason.clone().map(FailureView::Delivery),
            answer: None,
            turns: Vec::new(),
            callbacks: Vec::new(),
            delivery: Some(DeliveryView {
                state: record.state,
                attempts: record.attempts,
                due_at: record.due,
                delivered_at: record.ended_at.filter(|_| is_delivered),
                reason: record.reason,
                history: record.history,
            }),
        }
    }
}

/// A message whose turn ended well counts as answered where something was sent to whoever wrote
/// it.
fn told_state(record: &TaskRecord, callbacks: &[MessageSummary]) -> TaskState {
    let Some(envelope) = record.task.envelope.as_deref() else {
        return record.state;
    };
    let answers_go_to = envelope.answers_go_to();
    let is_answer = |callback: &MessageSummary| {
        callback.envelope.as_deref().is_some_and(|answer| {
            answer.recipient == envelope.sender || answer.recipient == answers_go_to
        })
    };
    if record.state == TaskState::Done && callbacks.iter().any(is_answer) {
        TaskState::Answered
    } else {
        record.state
    }
}

/// The body as it came; it was checked to be JSON then.
fn shown(body: &[u8], with_body: bool) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(body).ok().filter(|_| with_body)?;
    RawValue::from_string(text.to_owned()).ok()
}

impl From<&Envelope> for EnvelopeView {
    fn from(envelope: &Envelope) -> Self {
        let context_id = envelope.context_id.as_ref();
        Self {
            kind: Some(Arc::clone(&envelope.kind)),
            from: Some(envelope.sender.to_string()),
            to: Some(envelope.recipient.to_string()),
            sender_id: envelope.sender_id.clone(),
            remote_agent: envelope.remote_agent.clone(),
            context_id: context_id.map(|context| context.as_str().to_owned()),
            in_reply_to: envelope.in_reply_to.clone(),
            hops: envelope.hops,
            priority: envelope.priority,
            expires_at: envelope.expires_at,
        }
    }
}

impl From<TurnRecord> for TurnLine {
    fn from(turn: TurnRecord) -> Self {
        Self {
            id: turn.id,
            agent: turn.agent,
            state: turn.state,
            started_at: turn.started_at,
            ended_at: turn.ended_at,
            callbacks: turn.callbacks,
        }
    }
}

impl From<Trouble> for FailureView {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Turn(failure) => Self::Turn(failure),
            Trouble::Delivery(reason) => Self::Delivery(reason),
        }
    }
}

impl From<MessageSummary> for SummaryView {
    fn from(summary: MessageSummary) -> Self {
        let envelope = summary.envelope.as_deref().map(EnvelopeView::from);
        let agent = || summary.agent.clone().map(Party::Agent);
        let EnvelopeView {
            kind,
            from,
            to,
            context_id,
            in_reply_to,
            ..
        } = envelope.unwrap_or_else(|| EnvelopeView {
            to: agent().map(|agent| agent.to_string()),
            ..EnvelopeView::default()
        });
        Self {
            id: summary.id,
            direction: summary.direction,
            origin: summary.origin,
            state: summary.state,
            kind,
            from,
            to,
            context_id,
            in_reply_to,
            received_at: summary.received_at,
            ended_at: summary.ended_at,
            due_at: summary.due,
            attempts: summary.attempts,
            callbacks: summary.callbacks,
            failure: summary.trouble.map(FailureView::from),
        }
    }
}
