//! Who says something.

use postroom_actors::domain::{
    agent_message::Envelope,
    ids::{AgentId, TurnId},
    party::{Party, PeerName},
    peer::PeerProfile,
};

use crate::{
    http::{
        SharedState,
        auth::Caller,
        error::ApiError,
        messages::route::{self, Target},
    },
    settings::Role,
};

/// Whoever sends a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Speaker {
    /// As whom.
    pub(super) sender: Party,
    /// Out of which turn.
    pub(super) turn: Option<TurnId>,
    /// The only peer that it may write to.
    pub(super) only: Option<PeerName>,
}

impl Speaker {
    /// Who that is.
    ///
    /// # Errors
    /// 403 for keys of clients, and for peers without `secret_send`.
    pub(super) fn of(shared: &SharedState, caller: &Caller) -> Result<Self, ApiError> {
        if let Some(peer) = caller.peer() {
            let profile = shared.peers.find(peer);
            let table = shared.agents.routing();
            let default = route::default_agent(&table, &shared.post.default_agent);
            return Self::behind_secret(peer, profile.map(AsRef::as_ref), default);
        }
        if !caller.may(Role::Agent) {
            return Err(ApiError::forbidden("agent"));
        }
        Ok(Self {
            sender: caller.party(),
            turn: caller.turn(),
            only: None,
        })
    }

    /// Whoever holds a peer's secret. Both sides know it, so it speaks as our agent to that peer
    /// alone.
    fn behind_secret(
        peer: &PeerName,
        profile: Option<&PeerProfile>,
        default: AgentId,
    ) -> Result<Self, ApiError> {
        let profile = profile.filter(|profile| profile.prompt_secret.is_some());
        let profile = profile.ok_or_else(|| ApiError::peer_may_not_send(peer))?;
        Ok(Self {
            sender: Party::Agent(profile.to.clone().unwrap_or(default)),
            turn: None,
            only: Some(peer.clone()),
        })
    }

    /// The only peer that it may write to, as a recipient.
    pub(super) fn only_party(&self) -> Option<Party> {
        self.only.clone().map(Party::Peer)
    }

    /// Who gets the message: who is named, else whoever is answered.
    pub(super) fn target(
        &self,
        named: Option<Target>,
        answered: Option<&Envelope>,
    ) -> Option<Target> {
        let back = || answered.map(Target::back);
        match self.only_party() {
            None => named.or_else(back),
            Some(peer) => named
                .or_else(|| back().filter(|back| back.recipient == peer))
                .or_else(|| Some(Target::whole(peer))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::messages::{route::tests::peer, view::tests::envelope};

    fn bob() -> PeerName {
        PeerName::parse("bob").unwrap()
    }

    fn id(name: &str) -> AgentId {
        AgentId::parse(name).unwrap()
    }

    fn with_secret(to: Option<AgentId>) -> PeerProfile {
        PeerProfile {
            to,
            prompt_secret: Some("s".into()),
            ..peer("bob")
        }
    }

    fn behind_secret(profile: Option<&PeerProfile>) -> Result<Speaker, ApiError> {
        Speaker::behind_secret(&bob(), profile, id("manager"))
    }

    #[test]
    fn a_peers_secret_speaks_as_the_agent_that_the_peer_writes_to() {
        let named = with_secret(Some(id("engineer")));
        let speaker = behind_secret(Some(&named)).unwrap();
        assert_eq!(speaker.sender, Party::Agent(id("engineer")));
        assert_eq!(speaker.only, Some(bob()));
        let speaker = behind_secret(Some(&with_secret(None))).unwrap();
        assert_eq!(speaker.sender, Party::Agent(id("manager")));
        for refused in [None, Some(&peer("bob"))] {
            assert!(behind_secret(refused).is_err());
        }
    }

    #[test]
    fn who_is_named_goes_before_who_is_answered() {
        let free = Speaker {
            sender: Party::Agent(id("manager")),
            turn: None,
            only: None,
        };
        let named = Target::whole(Party::Agent(id("engineer")));
        let asked = envelope();
        assert_eq!(free.target(Some(named.clone()), Some(&asked)), Some(named));
        assert_eq!(free.target(None, Some(&asked)), Some(Target::back(&asked)));
        assert_eq!(free.target(None, None), None);
    }

    #[test]
    fn a_peers_secret_never_reaches_anybody_else() {
        let speaker = behind_secret(Some(&with_secret(None))).unwrap();
        let elsewhere = Envelope {
            reply_to: Some("https://peer.example/".into()),
            ..envelope()
        };
        let whole = Some(Target::whole(Party::Peer(bob())));
        assert_eq!(speaker.target(None, Some(&elsewhere)), whole);
        assert_eq!(speaker.target(None, None), whole);
        let from_carol = Envelope {
            remote_agent: Some(id("carol")),
            ..envelope()
        };
        let back = speaker.target(None, Some(&from_carol)).unwrap();
        assert_eq!(back.remote_agent, Some(id("carol")));
    }
}
