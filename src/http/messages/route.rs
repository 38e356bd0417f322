//! Who gets a message.

use postroom_actors::domain::{
    agent_message::Envelope,
    ids::AgentId,
    party::{Party, PeerName},
    peer::Peers,
    routing::RoutingTable,
};

use crate::http::error::ApiError;

/// Who gets a message that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// An agent, a peer, or whoever is answered.
    pub(super) recipient: Party,
    /// Which agent of a peer it is for.
    pub(super) remote_agent: Option<AgentId>,
}

impl Target {
    /// All of a peer, or somebody who has no agents.
    pub(super) const fn whole(recipient: Party) -> Self {
        Self {
            recipient,
            remote_agent: None,
        }
    }

    /// Whoever gets the answers to a message.
    pub(super) fn back(answered: &Envelope) -> Self {
        let recipient = answered.answers_go_to();
        let is_sender = recipient == answered.sender;
        Self {
            remote_agent: answered.remote_agent.clone().filter(|_| is_sender),
            recipient,
        }
    }
}

/// An agent by its name, in any case.
pub(super) fn agent(name: &str, table: &RoutingTable) -> Option<AgentId> {
    let id = AgentId::parse(&name.to_ascii_lowercase()).ok()?;
    table.agents.contains(&id).then_some(id)
}

/// The agent that gets what names nobody.
pub(super) fn default_agent(table: &RoutingTable, default: &AgentId) -> AgentId {
    table.default.clone().unwrap_or_else(|| default.clone())
}

/// Reads `agent:NAME`, `peer:NAME`, `NAME` (an agent, else a peer), `PEER/AGENT`; `None` where
/// nobody of that name is known.
pub(super) fn named(text: &str, table: &RoutingTable, peers: &Peers) -> Option<Target> {
    let text = text.trim();
    let our_agent = |name| agent(name, table).map(|agent| Target::whole(Party::Agent(agent)));
    if let Some(name) = text.strip_prefix("agent:") {
        return our_agent(name);
    }
    our_agent(text).or_else(|| {
        let target = at_peer(text)?;
        peers.find(target.recipient.peer()?)?;
        Some(target)
    })
}

/// Reads what a peer's secret may name: that peer, or one of its agents.
pub(super) fn named_by_peer(text: &str, own: &PeerName) -> Option<Target> {
    at_peer(text.trim()).filter(|target| target.recipient.peer() == Some(own))
}

fn at_peer(text: &str) -> Option<Target> {
    let text = text
        .strip_prefix("peer:")
        .unwrap_or(text)
        .to_ascii_lowercase();
    let (peer, remote) = match text.split_once('/') {
        Some((peer, remote)) => (peer, Some(AgentId::parse(remote).ok()?)),
        None => (text.as_str(), None),
    };
    Some(Target {
        recipient: Party::Peer(PeerName::parse(peer).ok()?),
        remote_agent: remote,
    })
}

/// Whether a recipient can be sent a message of this type.
///
/// # Errors
/// 404 for an agent or peer that is not there (any more), 422 for a peer that cannot be reached or
/// does not take the type.
pub(super) fn check(
    recipient: &Party,
    kind: &str,
    table: &RoutingTable,
    peers: &Peers,
) -> Result<(), ApiError> {
    match recipient {
        Party::Agent(agent) if !table.agents.contains(agent) => {
            Err(ApiError::unknown_recipient(agent.as_str()))
        }
        Party::Peer(name) => {
            let peer = peers.find(name);
            let peer = peer.ok_or_else(|| ApiError::unknown_recipient(name.as_str()))?;
            if !peer.is_reachable {
                Err(ApiError::peer_without_url(name))
            } else if peer.takes(kind) {
                Ok(())
            } else {
                Err(ApiError::type_not_taken(peer, kind))
            }
        }
        Party::Agent(_) | Party::Key(_) | Party::Url(_) | Party::Anyone => Ok(()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use postroom_actors::domain::peer::PeerProfile;

    use super::*;
    use crate::http::messages::view::tests::envelope;

    pub(in crate::http::messages) fn table() -> RoutingTable {
        let agents = ["manager", "engineer"].map(|name| AgentId::parse(name).unwrap());
        RoutingTable {
            default: agents.first().cloned(),
            agents: agents.into(),
        }
    }

    pub(in crate::http::messages) fn peer(name: &str) -> PeerProfile {
        PeerProfile::new(PeerName::parse(name).unwrap())
    }

    fn peers() -> Peers {
        let mute = PeerProfile {
            is_reachable: false,
            ..peer("mute")
        };
        let strict = PeerProfile {
            types: ["STATUS", "PR_READY"].map(str::to_owned).into(),
            ..peer("strict")
        };
        Peers::new([peer("bob"), peer("engineer"), mute, strict])
    }

    fn found(text: &str) -> Option<(String, Option<String>)> {
        let target = named(text, &table(), &peers())?;
        let remote = target.remote_agent.map(|agent| agent.to_string());
        Some((target.recipient.to_string(), remote))
    }

    #[test]
    fn a_recipient_is_named_in_any_of_its_forms() {
        for (text, recipient, remote) in [
            ("manager", "agent:manager", None),
            ("agent:manager", "agent:manager", None),
            (" Manager ", "agent:manager", None),
            ("bob", "peer:bob", None),
            ("peer:bob", "peer:bob", None),
            ("bob/carol", "peer:bob", Some("carol")),
            ("peer:bob/carol", "peer:bob", Some("carol")),
            ("engineer", "agent:engineer", None),
            ("peer:engineer", "peer:engineer", None),
            ("engineer/carol", "peer:engineer", Some("carol")),
        ] {
            let expected = (recipient.to_owned(), remote.map(str::to_owned));
            assert_eq!(found(text), Some(expected), "{text}");
        }
        for unknown in [
            "",
            "nobody",
            "agent:bob",
            "peer:manager",
            "nobody/carol",
            "bob/",
            "bob/../x",
            "bob/a/b",
            "key:ops",
            "url:https://peer.example/",
            "anyone",
            "../../etc",
        ] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_peers_secret_names_that_peer_alone() {
        let own = PeerName::parse("engineer").unwrap();
        for text in ["engineer", "peer:engineer", "engineer/carol"] {
            assert!(named_by_peer(text, &own).is_some(), "{text}");
        }
        for text in ["bob", "manager", "agent:engineer", "bob/engineer", ""] {
            assert_eq!(named_by_peer(text, &own), None, "{text}");
        }
    }

    #[test]
    fn answers_go_back_to_the_agent_that_wrote_or_to_the_address_it_named() {
        let carol = AgentId::parse("carol").unwrap();
        let asked = Envelope {
            remote_agent: Some(carol.clone()),
            ..envelope()
        };
        let back = Target::back(&asked);
        assert_eq!(back.recipient, asked.sender);
        assert_eq!(back.remote_agent, Some(carol));
        let elsewhere = Envelope {
            reply_to: Some("https://peer.example/inbox".into()),
            ..asked
        };
        let back = Target::back(&elsewhere);
        assert_eq!(back.recipient.to_string(), "url:https://peer.example/inbox");
        assert_eq!(back.remote_agent, None);
    }

    #[test]
    fn a_recipient_that_cannot_get_it_is_refused_with_the_reason() {
        let check = |recipient: &str, kind| {
            let recipient = Party::parse(recipient).unwrap();
            check(&recipient, kind, &table(), &peers())
        };
        for recipient in ["agent:manager", "peer:bob", "key:ops", "anyone"] {
            assert_eq!(check(recipient, "TASK"), Ok(()), "{recipient}");
        }
        for (recipient, code) in [
            ("agent:gone", "recipient_not_found"),
            ("peer:gone", "recipient_not_found"),
            ("peer:mute", "peer_not_reachable"),
            ("peer:strict", "type_not_taken"),
        ] {
            let refused = check(recipient, "TASK").unwrap_err();
            assert_eq!(refused.body().error.code, code, "{recipient}");
        }
        assert_eq!(check("peer:strict", "STATUS"), Ok(()));
        let refused = check("peer:strict", "TASK").unwrap_err();
        let words = refused.to_string();
        assert!(words.contains("`STATUS`, `PR_READY`"), "{words}");
    }
}
