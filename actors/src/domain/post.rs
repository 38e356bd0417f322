//! A delivery: one message on its way to a peer, and what became of it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    agent_message::Envelope,
    envelope::Sequence,
    ids::{AgentId, MessageId},
    party::Party,
    task::{TaskOrigin, TaskRecord},
    trace_context::TraceContext,
    turn::Failure,
};

/// A message that is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// The message's id; stays the same over all tries.
    pub id: MessageId,
    /// Who, to whom, about what.
    pub envelope: Arc<Envelope>,
    /// What is delivered in order: all of one conversation to one recipient.
    pub conversation: Arc<str>,
    /// When it was accepted.
    pub received_at: DateTime<Utc>,
    /// The JSON that is posted.
    pub body: Bytes,
    /// Where it belongs in its trace: what is done with it hangs on that.
    pub traceparent: Option<TraceContext>,
    /// What becomes of it first.
    pub beginning: Beginning,
}

/// What becomes of a delivery first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// It is due at once.
    Due,
    /// It is kept until its recipient asks for it.
    Held,
    /// It is refused, and a dead letter from the start.
    Dead(DeadReason),
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It waits for its first or next try, or is on its way.
    Waiting,
    /// Its recipient has it.
    Delivered,
    /// It is kept until its recipient asks for it.
    Held,
    /// It was given up: a dead letter.
    Dead,
    /// It was taken back before it was delivered.
    Cancelled,
    /// It was a dead letter that an operator has dropped.
    Dropped,
}

impl DeliveryState {
    /// Whether nothing more will happen to it by itself.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Waiting)
    }
}

/// Why a message became a dead letter. `code` is for programs, `message` for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{message}")]
pub struct DeadReason {
    /// Which kind of reason.
    pub code: DeadCode,
    /// In words; holds no secret and at most 2 KiB.
    pub message: String,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeadCode {
    /// The recipient said that it will never take it (a status from 400 to 499).
    Refused,
    /// The schedule is at its end.
    OutOfAttempts,
    /// It expired before it was delivered.
    Expired,
    /// Too many messages led to it: agents that answer each other without an end.
    HopLimit,
    /// The same was said to the same recipient again and again.
    Repeated,
    /// The address may not be posted to.
    AddressRefused,
    /// The recipient is not configured any more, or has no address.
    UnknownRecipient,
}

impl DeadCode {
    /// Its word: in the store, in metrics and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::OutOfAttempts => "out_of_attempts",
            Self::Expired => "expired",
            Self::HopLimit => "hop_limit",
            Self::Repeated => "repeated",
            Self::AddressRefused => "address_refused",
            Self::UnknownRecipient => "unknown_recipient",
        }
    }
}

/// What the courier keeps in memory of a delivery that waits: no body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingDelivery {
    /// Its place in the order.
    pub sequence: Sequence,
    /// The message.
    pub id: MessageId,
    /// Who gets it.
    pub to: Party,
    /// What it is delivered in order with.
    pub conversation: Arc<str>,
    /// When its schedule began: accepted, or retried by an operator.
    pub since: DateTime<Utc>,
    /// Tries that failed since then.
    pub attempts: u32,
    /// Not before this time.
    pub due: DateTime<Utc>,
    /// When it is of no use any more.
    pub expires_at: Option<DateTime<Utc>>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// 1 for the first one, counted over all retries by operators.
    pub number: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// The status that the recipient answered with, where it answered.
    pub status: Option<u16>,
    /// What went wrong; `None` where it went well. Holds no secret and at most 2 KiB.
    pub error: Option<String>,
}

/// What becomes of a delivery after a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterAttempt {
    /// Its recipient has it.
    Delivered,
    /// It is tried again.
    Again {
        /// Not before this time.
        due: DateTime<Utc>,
    },
    /// It is given up.
    Dead(DeadReason),
}

/// A try that has ended, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// Which delivery.
    pub id: MessageId,
    /// How the try went; `None` where none was made (it expired, its schedule ended meanwhile). Its
    /// number is given by the store.
    pub attempt: Option<Attempt>,
    /// What becomes of it.
    pub after: AfterAttempt,
    /// Now.
    pub at: DateTime<Utc>,
}

/// A delivery as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Its place in the order.
    pub sequence: Sequence,
    /// What was accepted. Its `beginning` is not kept: always [`Beginning::Due`].
    pub delivery: Arc<NewDelivery>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries that failed since its schedule began.
    pub attempts: u32,
    /// When it is tried next, while it waits.
    pub due: Option<DateTime<Utc>>,
    /// When it was delivered or given up.
    pub ended_at: Option<DateTime<Utc>>,
    /// Set with [`DeliveryState::Dead`] and [`DeliveryState::Dropped`].
    pub reason: Option<DeadReason>,
    /// All tries, oldest first, at most the last 100.
    pub history: Vec<Attempt>,
}

/// What came of handing a message to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It is kept, at this place in the order.
    New(Sequence),
    /// Its sender has sent it before, with the same body: this is that one.
    Duplicate(MessageId),
    /// Its sender has sent another body under the same key: that one.
    Conflict(MessageId),
}

/// A message as it is looked up: one that an agent works on, or one that is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageRecord {
    /// An agent works on it.
    Task(TaskRecord),
    /// It goes to a peer, or is kept for somebody.
    Delivery(DeliveryRecord),
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To an agent of ours.
    In,
    /// Away from here.
    Out,
}

/// One line of a list of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSummary {
    /// Its id.
    pub id: MessageId,
    /// Which way it goes.
    pub direction: Direction,
    /// Where it stands, in one word: of [`super::task::TaskState`] or [`DeliveryState`].
    pub state: &'static str,
    /// Who, to whom, about what; `None` for chats and responses.
    pub envelope: Option<Arc<Envelope>>,
    /// The agent that works on it, where one does.
    pub agent: Option<AgentId>,
    /// `message`, `chat` or `response`.
    pub origin: TaskOrigin,
    /// When it was accepted.
    pub received_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// When it is tried next, where it waits for that.
    pub due: Option<DateTime<Utc>>,
    /// Turns begun for it, or tries to deliver it that failed.
    pub attempts: u32,
    /// Messages that answer it, and those that its turns sent without naming what they answer.
    pub callbacks: u32,
    /// Why it is a dead letter, or failed.
    pub trouble: Option<Trouble>,
}

/// Why a message got nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Its turn failed.
    Turn(Failure),
    /// It was given up on its way.
    Delivery(DeadReason),
}

/// Which messages are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Sent by or to this party.
    pub party: Option<Party>,
    /// Sent by this party.
    pub sender: Option<Party>,
    /// Sent to this party.
    pub recipient: Option<Party>,
    /// Which way.
    pub direction: Option<Direction>,
    /// In this state; a word of [`MessageSummary::state`].
    pub state: Option<String>,
    /// In this conversation.
    pub context_id: Option<String>,
    /// Dead letters alone: deliveries that were given up, messages whose turns failed for good;
    /// those that were dropped left out.
    pub dead: bool,
    /// Chats and responses too.
    pub all_origins: bool,
    /// Older than this one.
    pub before: Option<MessageId>,
    /// At most so many.
    pub limit: usize,
}
