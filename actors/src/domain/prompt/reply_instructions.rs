//! How an agent is told to answer a message: text that is put behind it in the prompt.

use super::template;
use crate::domain::{agent_message::Envelope, ids::MessageId, peer::PeerProfile};

/// What is said where a recipient takes any type.
const ANY_TYPE: &str = "any";

/// The type that the command shows where any is taken.
const EXAMPLE_TYPE: &str = "STATUS";

/// What the instructions for one message depend on.
#[derive(Debug, Clone, Copy)]
pub struct ReplyFacts<'a> {
    /// The message.
    pub message: MessageId,
    /// Who, to whom, about what.
    pub envelope: &'a Envelope,
    /// The peer that gets the answers, where it is one.
    pub peer: Option<&'a PeerProfile>,
    /// What the turn is told as `POSTROOM_URL`.
    pub url: &'a str,
}

/// Fills a template in one pass; unknown placeholders stay as they are. Known are `{{sender}}`,
/// `{{type}}`, `{{message_id}}`, `{{context_id}}`, `{{answer_types}}`, `{{command}}`, `{{url}}` and
/// `{{secret}}`. The last one is empty unless the operator allows the peer's secret in prompts.
pub fn reply_instructions(template: &str, facts: &ReplyFacts<'_>) -> String {
    let envelope = facts.envelope;
    let sender = envelope.sender.to_string();
    let id = facts.message.to_string();
    let types = answer_types(facts.peer);
    let command = command(facts);
    let secret = facts.peer.and_then(|peer| peer.prompt_secret.as_deref());
    let context = envelope.context_id.as_ref();
    template::fill_placeholders(template, |name| match name {
        "sender" => Some(&sender),
        "type" => Some(&envelope.kind),
        "message_id" => Some(&id),
        "context_id" => Some(context.map_or("none", |context| context.as_str())),
        "answer_types" => Some(&types),
        "command" => Some(&command),
        "url" => Some(facts.url),
        "secret" => Some(secret.unwrap_or_default()),
        _ => None,
    })
    .trim_end()
    .to_owned()
}

fn answer_types(peer: Option<&PeerProfile>) -> String {
    let quoted = |kind: &String| format!("`{kind}`");
    match peer {
        Some(peer) if !peer.answer_types.is_empty() => {
            let types: Vec<String> = peer.answer_types.iter().map(quoted).collect();
            types.join(", ")
        }
        _ => ANY_TYPE.to_owned(),
    }
}

/// Names neither secret nor token: the shell puts in what the turn's environment holds.
fn command(facts: &ReplyFacts<'_>) -> String {
    let kind = facts
        .peer
        .and_then(|peer| peer.answer_types.first())
        .map_or(EXAMPLE_TYPE, String::as_str);
    let kind = serde_json::Value::from(kind);
    let body = format!(
        r#"{{"type":{kind},"in_reply_to":"{}","payload":{{}}}}"#,
        facts.message
    );
    // A type with an apostrophe must not end the shell's quote.
    let body = body.replace('\'', "'\\''");
    format!(
        "curl -sS --fail-with-body -X POST \"$POSTROOM_URL/send\" \\\n  \
         -H \"Authorization: Bearer $POSTROOM_TURN_TOKEN\" -H 'Content-Type: application/json' \\\n  \
         -d '{body}'"
    )
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        ids::{AgentId, ContextId},
        party::{Party, PeerName},
    };

    fn envelope() -> Envelope {
        let sender = Party::Peer(PeerName::parse("bob").unwrap());
        let recipient = Party::Agent(AgentId::parse("alice").unwrap());
        Envelope {
            context_id: Some(ContextId::new("order-7 {{secret}}")),
            ..Envelope::new(sender, recipient, "TASK")
        }
    }

    fn bob(answer_types: &[&str], prompt_secret: Option<&str>) -> PeerProfile {
        PeerProfile {
            answer_types: answer_types.iter().map(ToString::to_string).collect(),
            prompt_secret: prompt_secret.map(Into::into),
            ..PeerProfile::new(PeerName::parse("bob").unwrap())
        }
    }

    fn told(template: &str, peer: Option<&PeerProfile>) -> String {
        let envelope = envelope();
        let facts = ReplyFacts {
            message: MessageId::new(Uuid::from_u128(7)),
            envelope: &envelope,
            peer,
            url: "http://127.0.0.1:7011",
        };
        reply_instructions(template, &facts)
    }

    #[test]
    fn every_placeholder_is_filled_once_and_what_is_filled_in_is_left_alone() {
        let peer = bob(&["STATUS", "PR_READY"], None);
        let template =
            "{{sender}} {{type}} {{message_id}} {{context_id}} {{answer_types}} {{url}} {{else}}\n";
        assert_eq!(
            told(template, Some(&peer)),
            "peer:bob TASK 00000000-0000-0000-0000-000000000007 order-7 {{secret}} \
             `STATUS`, `PR_READY` http://127.0.0.1:7011 {{else}}"
        );
        assert_eq!(told("{{answer_types}}", None), "any");
    }

    #[test]
    fn the_command_names_the_message_and_no_secret() {
        let peer = bob(&["IT'S"], Some("hush"));
        let command = told("{{command}}", Some(&peer));
        assert!(command.contains("$POSTROOM_TURN_TOKEN"), "{command}");
        assert!(command.contains("00000000-0000-0000-0000-000000000007"));
        assert!(command.contains(r"IT'\''S"), "{command}");
        assert!(!command.contains("hush"));
    }

    #[test]
    fn the_secret_stands_there_only_where_the_operator_allows_and_asks_for_it() {
        assert_eq!(
            told("x{{secret}}x", Some(&bob(&[], Some("hush")))),
            "xhushx"
        );
        assert_eq!(told("x{{secret}}x", Some(&bob(&[], None))), "xx");
        assert_eq!(told("x{{secret}}x", None), "xx");
    }
}
