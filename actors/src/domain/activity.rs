//! What happens in the broker, as operators are told of it: small facts without bodies and without
//! what agents say.

mod steps;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

pub use self::steps::{Step, StepLog, Told};
use super::{
    envelope::RelayOutcome,
    ids::{AgentId, MessageId, TurnId},
    party::Party,
    post::DeadReason,
    task::{TaskOrigin, TaskState},
    turn::{Failure, TurnState},
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActivityEvent {
    /// 1 for the first one of a run of the service, then ascending by 1.
    pub number: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Messages of a turn that are named.
pub const MOST_MESSAGES: usize = 100;

/// Characters of a text from outside that are told.
const MOST_CHARACTERS: usize = 200;

/// The beginning of a text from outside, which may be as long as a body: what is kept of events has
/// a bound.
pub fn short(text: &str) -> Arc<str> {
    let end = text.char_indices().nth(MOST_CHARACTERS);
    let beginning = end.and_then(|(end, _)| text.get(..end));
    beginning.unwrap_or(text).into()
}

/// What happened. Each was kept before it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The service takes requests.
    ServiceStarted {
        /// Its version.
        version: &'static str,
    },
    /// The service takes nothing new in; turns come to their ends.
    ServiceStopping,
    /// The mailbox has kept a message.
    MessageAccepted {
        /// The message.
        message: MessageId,
        /// Its conversation, where it has one; see [`short`].
        context_id: Option<Arc<str>>,
    },
    /// An inbox file is on disk.
    InboxWritten {
        /// The newest message in it, after which it is named.
        message: MessageId,
        /// Messages in it.
        messages: usize,
        /// Its size, in bytes.
        size: u64,
    },
    /// A message may go to a backend.
    RelayBegan {
        /// The message.
        message: MessageId,
    },
    /// A backend's reply is kept, or that there was none.
    RelayEnded {
        /// The message.
        message: MessageId,
        /// The backend's configured name.
        backend: String,
        /// How it ended.
        outcome: RelayOutcome,
    },
    /// An agent has something to do.
    TaskQueued {
        /// The agent.
        agent: AgentId,
        /// The message.
        message: MessageId,
        /// In which session; see [`short`].
        session: Arc<str>,
        /// By which way it came.
        origin: TaskOrigin,
        /// Who sent it, where that is known.
        from: Option<Party>,
    },
    /// A turn is kept, and its process starts.
    TurnBegan {
        /// The agent.
        agent: AgentId,
        /// The turn.
        turn: TurnId,
        /// In which session; see [`short`].
        session: Arc<str>,
        /// What it works on: the oldest, at most [`MOST_MESSAGES`] of them.
        messages: Vec<MessageId>,
        /// How many that are in all.
        count: usize,
    },
    /// A running turn is seen to do something.
    TurnStep {
        /// The agent.
        agent: AgentId,
        /// The turn.
        turn: TurnId,
        /// What.
        #[serde(flatten)]
        step: Step,
        /// Steps before it that are not told, since there were too many at once.
        #[serde(skip_serializing_if = "is_none")]
        skipped: u32,
    },
    /// A turn has sent a message.
    Callback {
        /// The agent.
        agent: AgentId,
        /// The turn.
        turn: TurnId,
        /// The message that it sent.
        message: MessageId,
        /// Its type; see [`short`].
        #[serde(rename = "type")]
        kind_of_message: Arc<str>,
        /// Who gets it.
        to: Party,
    },
    /// All processes of a turn are gone.
    TurnEnded {
        /// The agent.
        agent: AgentId,
        /// The turn.
        turn: TurnId,
        /// How it ended.
        state: TurnState,
        /// Why it had no success.
        failure: Option<Failure>,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// Nothing more will happen to a task.
    TaskEnded {
        /// The agent.
        agent: AgentId,
        /// The message.
        message: MessageId,
        /// How it ended.
        state: TaskState,
    },
    /// A message waits for its way to a peer, or to an agent that does not take it now.
    DeliveryWaiting {
        /// The message.
        message: MessageId,
        /// Who sent it.
        from: Party,
        /// Who gets it.
        to: Party,
    },
    /// A message is kept until its recipient asks for it.
    DeliveryHeld {
        /// The message.
        message: MessageId,
        /// Who sent it.
        from: Party,
        /// Who may ask for it.
        to: Party,
    },
    /// A try to deliver failed; there will be another one.
    DeliveryFailed {
        /// The message.
        message: MessageId,
        /// Who sent it, where that is known.
        from: Option<Party>,
        /// Who gets it.
        to: Party,
        /// What went wrong.
        error: Option<String>,
        /// When it is tried again.
        next_at: DateTime<Utc>,
    },
    /// A message's recipient has it.
    Delivered {
        /// The message.
        message: MessageId,
        /// Who sent it, where that is known.
        from: Option<Party>,
        /// Who has it.
        to: Party,
        /// Since it was accepted or retried, in milliseconds.
        took_ms: u64,
    },
    /// A message was given up: a dead letter.
    DeliveryDead {
        /// The message.
        message: MessageId,
        /// Who sent it, where that is known.
        from: Option<Party>,
        /// Who would have got it.
        to: Party,
        /// Why.
        reason: DeadReason,
    },
    /// A message was taken back before it was delivered.
    DeliveryCancelled {
        /// The message.
        message: MessageId,
        /// Who would have got it.
        to: Party,
    },
    /// An agent was hired.
    AgentHired {
        /// The agent.
        agent: AgentId,
        /// Whether its workspace is new.
        is_new: bool,
    },
    /// An agent was taken out.
    AgentRemoved {
        /// The agent.
        agent: AgentId,
    },
    /// An agent was told to take no turns.
    AgentStopped {
        /// The agent.
        agent: AgentId,
    },
    /// An agent that was stopped takes turns again.
    AgentStarted {
        /// The agent.
        agent: AgentId,
    },
    /// An agent failed too often, and takes no turns.
    AgentParked {
        /// The agent.
        agent: AgentId,
        /// What failed.
        why: String,
    },
    /// An agent that was parked takes turns again.
    AgentResumed {
        /// The agent.
        agent: AgentId,
    },
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_none(skipped: &u32) -> bool {
    *skipped == 0
}

impl Fact {
    /// Its word: the event's name, and `kind` in its JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ServiceStarted { .. } => "service_started",
            Self::ServiceStopping => "service_stopping",
            Self::MessageAccepted { .. } => "message_accepted",
            Self::InboxWritten { .. } => "inbox_written",
            Self::RelayBegan { .. } => "relay_began",
            Self::RelayEnded { .. } => "relay_ended",
            Self::TaskQueued { .. } => "task_queued",
            Self::TurnBegan { .. } => "turn_began",
            Self::TurnStep { .. } => "turn_step",
            Self::Callback { .. } => "callback",
            Self::TurnEnded { .. } => "turn_ended",
            Self::TaskEnded { .. } => "task_ended",
            Self::DeliveryWaiting { .. } => "delivery_waiting",
            Self::DeliveryHeld { .. } => "delivery_held",
            Self::DeliveryFailed { .. } => "delivery_failed",
            Self::Delivered { .. } => "delivered",
            Self::DeliveryDead { .. } => "delivery_dead",
            Self::DeliveryCancelled { .. } => "delivery_cancelled",
            Self::AgentHired { .. } => "agent_hired",
            Self::AgentRemoved { .. } => "agent_removed",
            Self::AgentStopped { .. } => "agent_stopped",
            Self::AgentStarted { .. } => "agent_started",
            Self::AgentParked { .. } => "agent_parked",
            Self::AgentResumed { .. } => "agent_resumed",
        }
    }

    /// Whether it says something of this agent: what it does, and what it sends and gets. What the
    /// whole service does concerns every agent.
    pub fn concerns(&self, agent: &AgentId) -> bool {
        let is_it = |party: &Party| party.agent() == Some(agent);
        match self {
            Self::ServiceStarted { .. } | Self::ServiceStopping => true,
            Self::MessageAccepted { .. }
            | Self::InboxWritten { .. }
            | Self::RelayBegan { .. }
            | Self::RelayEnded { .. } => false,
            Self::Callback { agent: of, to, .. } => of == agent || is_it(to),
            Self::TaskQueued {
                agent: of, from, ..
            } => of == agent || from.as_ref().is_some_and(is_it),
            Self::TurnBegan { agent: of, .. }
            | Self::TurnStep { agent: of, .. }
            | Self::TurnEnded { agent: of, .. }
            | Self::TaskEnded { agent: of, .. }
            | Self::AgentHired { agent: of, .. }
            | Self::AgentRemoved { agent: of }
            | Self::AgentStopped { agent: of }
            | Self::AgentStarted { agent: of }
            | Self::AgentParked { agent: of, .. }
            | Self::AgentResumed { agent: of } => of == agent,
            Self::DeliveryWaiting { from, to, .. } | Self::DeliveryHeld { from, to, .. } => {
                is_it(from) || is_it(to)
            }
            Self::DeliveryFailed { from, to, .. }
            | Self::Delivered { from, to, .. }
            | Self::DeliveryDead { from, to, .. } => is_it(to) || from.as_ref().is_some_and(is_it),
            Self::DeliveryCancelled { to, .. } => is_it(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn alice() -> AgentId {
        AgentId::parse("alice").unwrap()
    }

    fn number(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn an_event_is_one_flat_object_with_its_kind() {
        let event = ActivityEvent {
            number: 7,
            at: DateTime::UNIX_EPOCH,
            fact: Fact::TurnStep {
                agent: alice(),
                turn: TurnId::new(number(1)),
                step: Step::Tool {
                    name: "Bash".into(),
                },
                skipped: 0,
            },
        };
        let told = serde_json::to_value(&event).unwrap();
        assert_eq!(
            told,
            json!({"number": 7, "at": "1970-01-01T00:00:00Z", "kind": "turn_step",
                "agent": "alice", "turn": number(1), "step": "tool", "name": "Bash"})
        );
        assert_eq!(told["kind"], event.fact.kind());
    }

    #[test]
    fn a_long_text_from_outside_is_cut_and_a_short_one_is_not() {
        assert_eq!(&*short("web:7"), "web:7");
        let cut = short(&"ö".repeat(1_000_000));
        assert_eq!(&*cut, "ö".repeat(MOST_CHARACTERS));
    }

    #[test]
    fn an_agent_is_concerned_by_what_it_does_and_by_what_it_sends_and_gets() {
        let (message, bob) = (MessageId::new(number(2)), AgentId::parse("bob").unwrap());
        let waits = |from: &AgentId, to: &AgentId| Fact::DeliveryWaiting {
            message,
            from: Party::Agent(from.clone()),
            to: Party::Agent(to.clone()),
        };
        let accepted = Fact::MessageAccepted {
            message,
            context_id: None,
        };
        for (fact, concerns) in [
            (Fact::AgentStopped { agent: alice() }, true),
            (Fact::AgentStopped { agent: bob.clone() }, false),
            (waits(&bob, &alice()), true),
            (waits(&alice(), &bob), true),
            (waits(&bob, &bob), false),
            (accepted, false),
            (Fact::ServiceStopping, true),
        ] {
            assert_eq!(fact.concerns(&alice()), concerns, "{fact:?}");
        }
    }
}
