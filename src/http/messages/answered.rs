//! Which message another one answers, and the conversation that it goes on with.

use std::sync::Arc;

use postroom_actors::domain::{
    agent_message::Envelope,
    ids::{AgentId, ContextId, MessageId, SessionKey, TurnId},
    party::Party,
    session,
    trace_context::TraceContext,
    turn::TurnRecord,
};

use crate::http::{SharedState, error::ApiError};

/// A message that is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answered {
    /// Our id of it.
    pub(super) id: MessageId,
    /// Who, to whom, about what.
    pub(super) envelope: Arc<Envelope>,
}

/// The message of this id, of ours, that went to `reader`.
///
/// # Errors
/// 503 where the store cannot be read.
pub(super) async fn sent_to(
    shared: &SharedState,
    reader: &Party,
    id: &str,
) -> Result<Option<Answered>, ApiError> {
    match MessageId::parse(id) {
        Some(id) => went_to(shared, reader, id).await,
        None => Ok(None),
    }
}

async fn went_to(
    shared: &SharedState,
    reader: &Party,
    id: MessageId,
) -> Result<Option<Answered>, ApiError> {
    let envelope = shared.book.envelope(id).await?;
    Ok(envelope
        .filter(|envelope| envelope.recipient == *reader)
        .map(|envelope| Answered { id, envelope }))
}

/// The session that a message belongs to: where it answers something that a turn of this agent has
/// sent, that turn's; else the one of its sender's conversation.
///
/// # Errors
/// 503 where the store cannot be read.
pub(super) async fn session(
    shared: &SharedState,
    agent: &AgentId,
    sender: &Party,
    context: Option<&ContextId>,
    answered: Option<&Answered>,
) -> Result<SessionKey, ApiError> {
    if let Some(turn) = answered.and_then(|answered| answered.envelope.turn)
        && let Some(turn) = shared.tasks.turn(turn).await?
        && turn.agent == *agent
    {
        return Ok(turn.session);
    }
    Ok(session::message_session(sender, context))
}

/// The turn that sends something, and the messages that it works on.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// The turn.
    pub(super) turn: Option<TurnRecord>,
    /// Its messages, oldest first.
    messages: Vec<Answered>,
}

impl Work {
    /// Reads it; without a turn there is none.
    ///
    /// # Errors
    /// 503 where the store cannot be read.
    pub(super) async fn of(shared: &SharedState, turn: Option<TurnId>) -> Result<Self, ApiError> {
        let turn = match turn {
            Some(turn) => shared.tasks.turn(turn).await?,
            None => None,
        };
        let mut messages = Vec::new();
        for id in turn.iter().flat_map(|turn| &turn.tasks) {
            let envelope = shared.book.envelope(*id).await?;
            messages.extend(envelope.map(|envelope| Answered { id: *id, envelope }));
        }
        Ok(Self { turn, messages })
    }

    /// Where the turn belongs in its trace: on the newest of its tasks. Derived, so it is the same
    /// after a restart.
    ///
    /// # Errors
    /// 503 where the store cannot be read.
    pub(super) async fn traceparent(
        &self,
        shared: &SharedState,
    ) -> Result<Option<TraceContext>, ApiError> {
        let Some(turn) = &self.turn else {
            return Ok(None);
        };
        let newest = turn.tasks.last().copied();
        let tasks = shared.tasks.tasks(newest.into_iter().collect()).await?;
        let kept = tasks.first().and_then(|record| record.task.traceparent);
        Ok(shared.traces.turn(kept, turn.id))
    }

    /// The message that is answered: the one that `in_reply_to` names, by our id or by its
    /// sender's; where nothing is named, the newest that the turn works on.
    ///
    /// # Errors
    /// 503 where the store cannot be read.
    pub(super) async fn answered(
        &self,
        shared: &SharedState,
        sender: &Party,
        recipient: Option<&Party>,
        in_reply_to: Option<&str>,
    ) -> Result<Option<Answered>, ApiError> {
        let Some(named) = in_reply_to else {
            return Ok(self.messages.last().cloned());
        };
        if let Some(known) = self.named(named) {
            return Ok(Some(known.clone()));
        }
        if let Some(found) = sent_to(shared, sender, named).await? {
            return Ok(Some(found));
        }
        let Some(recipient) = recipient else {
            return Ok(None);
        };
        let theirs = shared.book.by_sender_id(recipient.clone(), named.into());
        match theirs.await? {
            Some(id) => went_to(shared, sender, id).await,
            None => Ok(None),
        }
    }

    fn named(&self, id: &str) -> Option<&Answered> {
        let ours = MessageId::parse(id);
        let is_it = |message: &&Answered| {
            Some(message.id) == ours || message.envelope.sender_id.as_deref() == Some(id)
        };
        self.messages.iter().rev().find(is_it)
    }

    /// How many messages lead to what is sent now. Where it names one that the turn works on, that
    /// one alone does, because a turn may work on much that has nothing to do with each other; else
    /// all of them.
    pub(super) fn hops(&self, answered: Option<&Answered>, in_reply_to: Option<&str>) -> u32 {
        if let Some(named) = in_reply_to.and_then(|id| self.named(id)) {
            return named.envelope.hops.saturating_add(1);
        }
        let led = self.messages.iter().chain(answered);
        let most = led.map(|message| message.envelope.hops).max();
        most.map_or(0, |most| most.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::http::messages::view::tests::envelope;

    fn message(number: u128, sender_id: Option<&str>, hops: u32) -> Answered {
        Answered {
            id: MessageId::new(Uuid::from_u128(number)),
            envelope: Arc::new(Envelope {
                sender_id: sender_id.map(Arc::from),
                hops,
                ..envelope()
            }),
        }
    }

    #[test]
    fn a_message_of_the_turn_is_named_by_either_id() {
        let work = Work {
            turn: None,
            messages: vec![message(1, Some("m-1"), 0), message(2, None, 0)],
        };
        let first = "00000000000000000000000000000001";
        let numbers = |id: &str| work.named(id).map(|found| found.id.as_uuid().as_u128());
        assert_eq!(numbers("m-1"), Some(1));
        assert_eq!(numbers(first), Some(1));
        assert_eq!(numbers("00000000-0000-0000-0000-000000000002"), Some(2));
        assert_eq!(numbers("m-3"), None);
    }

    #[test]
    fn what_is_sent_is_one_hop_after_the_last_that_led_to_it() {
        let work = Work {
            turn: None,
            messages: vec![message(1, None, 4), message(2, None, 1)],
        };
        assert_eq!(work.hops(None, None), 5);
        assert_eq!(work.hops(Some(&message(3, None, 6)), None), 7);
        assert_eq!(
            Work::default().hops(Some(&message(3, None, u32::MAX)), None),
            u32::MAX
        );
        assert_eq!(Work::default().hops(None, None), 0);
    }

    #[test]
    fn what_names_a_message_of_the_turn_is_led_to_by_that_one_alone() {
        let work = Work {
            turn: None,
            messages: vec![message(1, Some("m-1"), 7), message(2, Some("m-2"), 0)],
        };
        assert_eq!(work.hops(Some(&message(2, None, 0)), Some("m-2")), 1);
        assert_eq!(work.hops(Some(&message(1, None, 7)), Some("m-1")), 8);
        // What it does not work on may be anything: then all of it counts.
        assert_eq!(work.hops(Some(&message(3, None, 0)), Some("m-3")), 8);
    }
}
