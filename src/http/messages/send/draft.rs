//! A message about to be sent: what is taken over from the one that it answers.

use std::sync::Arc;

use bytes::Bytes;
use postroom_actors::domain::{
    agent_message::{Envelope, IdempotencyKey, MessageFields, Stamp, stamped},
    ids::{AgentId, ContextId, MessageId, TurnId},
    party::Party,
};

use super::{
    super::{
        answered::{Answered, Work},
        route::Target,
    },
    speaker::Speaker,
};

/// A message about to be sent.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    fields: &'a MessageFields<'a>,
    sender: &'a Party,
    turn: Option<TurnId>,
    target: Target,
    context_id: Option<ContextId>,
    answered: Option<Answered>,
    in_reply_to: Option<Arc<str>>,
    hops: u32,
}

impl<'a> Draft<'a> {
    /// What `fields` say, and what is known of the message that is answered.
    pub(super) fn new(
        speaker: &'a Speaker,
        work: &Work,
        answered: Option<Answered>,
        target: Target,
        fields: &'a MessageFields<'a>,
    ) -> Self {
        let hops = work.hops(answered.as_ref());
        let before = answered.as_ref().map(|answered| &answered.envelope);
        let context_id = fields.context_id.clone();
        let context_id = context_id.or_else(|| before?.context_id.clone());
        let goes_back = before.is_some_and(|before| {
            target.recipient == before.sender || target.recipient == before.answers_go_to()
        });
        // Somebody else does not know the message, unless the sender says so.
        let answered = answered.filter(|_| goes_back || fields.in_reply_to.is_some());
        let in_reply_to = match &answered {
            Some(answered) if goes_back => Some(known_id(answered)),
            _ => fields.in_reply_to.clone(),
        };
        Self {
            fields,
            sender: &speaker.sender,
            turn: speaker.turn,
            target,
            context_id,
            answered,
            in_reply_to,
            hops,
        }
    }

    /// Who gets it.
    pub(super) const fn recipient(&self) -> &Party {
        &self.target.recipient
    }

    /// The conversation.
    pub(super) const fn context(&self) -> Option<&ContextId> {
        self.context_id.as_ref()
    }

    /// The message that it answers.
    pub(super) const fn answered(&self) -> Option<&Answered> {
        self.answered.as_ref()
    }

    /// Where its answers are to be posted. Our own agents alone are told: with others, answers
    /// come to us.
    pub(super) fn reply_to(&self) -> Option<&Arc<str>> {
        let is_ours = self.recipient().agent().is_some();
        self.fields.reply_to.as_ref().filter(|_| is_ours)
    }

    /// What is known of it besides its body.
    pub(super) fn envelope(&self, once: Option<&IdempotencyKey>) -> Arc<Envelope> {
        Arc::new(Envelope {
            sender: self.sender.clone(),
            recipient: self.recipient().clone(),
            kind: Arc::clone(&self.fields.kind),
            sender_id: once.map(|once| Arc::clone(&once.key)),
            remote_agent: None,
            context_id: self.context_id.clone(),
            in_reply_to: self.in_reply_to.clone(),
            answers: self.answered.as_ref().map(|answered| answered.id),
            turn: self.turn,
            reply_to: self.reply_to().cloned(),
            hops: self.hops,
            priority: self.fields.priority,
            expires_at: self.fields.expires_at,
        })
    }

    /// The JSON as its recipient gets it.
    pub(super) fn body(&self, id: MessageId, written: &[u8]) -> Bytes {
        let from = match self.sender {
            Party::Agent(agent) => Some(agent.as_str()),
            Party::Key(name) => Some(name.as_ref()),
            Party::Peer(_) | Party::Url(_) | Party::Anyone => None,
        };
        let stamp = Stamp {
            id,
            from,
            to: self.target.remote_agent.as_ref().map(AgentId::as_str),
            context_id: self.context_id.as_ref().map(ContextId::as_str),
            in_reply_to: self.in_reply_to.as_deref(),
            hops: self.hops,
            keeps_reply_to: self.reply_to().is_some(),
        };
        stamped(written, &stamp)
    }
}

/// The id that the sender of a message knows it by.
fn known_id(answered: &Answered) -> Arc<str> {
    let own = answered.envelope.sender_id.clone();
    own.unwrap_or_else(|| answered.id.to_string().into())
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::agent_message::read_message;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::http::messages::view::tests::envelope;

    fn speaker() -> Speaker {
        Speaker {
            sender: Party::parse("agent:manager").unwrap(),
            turn: None,
            only: None,
        }
    }

    /// Bob's message with the id `m-1`, in the conversation `c-1`, after two others.
    fn asked() -> Answered {
        Answered {
            id: MessageId::new(Uuid::from_u128(7)),
            envelope: Arc::new(Envelope {
                sender_id: Some("m-1".into()),
                context_id: Some(ContextId::new("c-1")),
                hops: 2,
                ..envelope()
            }),
        }
    }

    fn sent(to: &str, answered: Option<Answered>, body: &Value) -> (Arc<Envelope>, Value) {
        let speaker = speaker();
        let body = body.to_string();
        let fields = read_message(body.as_bytes()).unwrap();
        let target = Target::whole(Party::parse(to).unwrap());
        let draft = Draft::new(&speaker, &Work::default(), answered, target, &fields);
        let id = MessageId::new(Uuid::from_u128(9));
        let json = serde_json::from_slice(&draft.body(id, body.as_bytes())).unwrap();
        (draft.envelope(None), json)
    }

    #[test]
    fn an_answer_names_what_it_answers_by_the_id_that_its_sender_knows() {
        let (envelope, json) = sent("peer:bob", Some(asked()), &json!({"type": "STATUS"}));
        assert_eq!(envelope.answers, Some(asked().id));
        assert_eq!(envelope.in_reply_to.as_deref(), Some("m-1"));
        assert_eq!(envelope.context_id, Some(ContextId::new("c-1")));
        assert_eq!(envelope.hops, 3);
        assert_eq!(
            json,
            json!({
                "type": "STATUS",
                "id": "00000000-0000-0000-0000-000000000009",
                "from": "manager",
                "context_id": "c-1",
                "in_reply_to": "m-1",
                "hops": 3,
            })
        );
    }

    #[test]
    fn somebody_else_is_told_of_the_conversation_but_not_of_a_message_that_it_does_not_know() {
        let (envelope, json) = sent("agent:engineer", Some(asked()), &json!({"type": "TASK"}));
        assert_eq!(envelope.answers, None);
        assert_eq!(json.get("in_reply_to"), None);
        assert_eq!(json.get("context_id"), Some(&json!("c-1")));
        assert_eq!(envelope.hops, 3);
        let named = json!({"type": "TASK", "in_reply_to": "m-1"});
        let (envelope, json) = sent("agent:engineer", Some(asked()), &named);
        assert_eq!(envelope.answers, Some(asked().id));
        assert_eq!(json.get("in_reply_to"), Some(&json!("m-1")));
    }

    #[test]
    fn a_reply_address_is_told_to_our_own_agents_alone() {
        let body = json!({"type": "TASK", "reply_to": "https://peer.example/"});
        let (envelope, json) = sent("agent:engineer", None, &body);
        assert_eq!(envelope.reply_to.as_deref(), Some("https://peer.example/"));
        assert!(json.get("reply_to").is_some());
        let (envelope, json) = sent("peer:bob", None, &body);
        assert_eq!(envelope.reply_to, None);
        assert_eq!(json.get("reply_to"), None);
        assert_eq!(envelope.hops, 0);
    }
}
