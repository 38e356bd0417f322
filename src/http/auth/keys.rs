//! The configured keys, compared in constant time.

use std::{net::IpAddr, sync::Arc};

use postroom_actors::domain::{
    ids::{AgentId, TurnId},
    party::{Party, PeerName},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::peer_secrets::PeerSecrets;
use crate::settings::{Role, Settings};

/// Whoever holds a key that we know, the token of a turn, or the secret of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: Option<Arc<str>>,
    /// `None`: what needs a role is not for them. Peers write and read messages, no more.
    role: Option<Role>,
    agent: Option<AgentId>,
    turn: Option<TurnId>,
    peer: Option<PeerName>,
    /// Set where only a signature can tell who that is, and it has not been checked yet.
    unproven: Option<Unproven>,
}

/// Where a request came from whose signature is yet to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unproven {
    /// The client's address, if it is known.
    pub(super) address: Option<IpAddr>,
}

impl Caller {
    fn operator(name: &str) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::anyone()
        }
    }

    /// Whoever asks, where no key is configured.
    pub const fn anyone() -> Self {
        Self {
            name: None,
            role: Some(Role::Operator),
            agent: None,
            turn: None,
            peer: None,
            unproven: None,
        }
    }

    /// Whoever shows a peer's secret, or has signed with it.
    pub fn of_peer(peer: PeerName) -> Self {
        Self {
            name: Some(format!("peer:{peer}").into()),
            role: None,
            peer: Some(peer),
            ..Self::anyone()
        }
    }

    /// Whoever shows nothing but a signature, before it is checked. May do nothing.
    pub(super) fn unproven(address: Option<IpAddr>) -> Self {
        Self {
            role: None,
            unproven: Some(Unproven { address }),
            ..Self::anyone()
        }
    }

    /// What runs in a turn of an agent.
    pub fn of_turn(agent: AgentId, turn: TurnId) -> Self {
        Self {
            name: Some(format!("agent:{agent}").into()),
            role: Some(Role::Agent),
            agent: Some(agent),
            turn: Some(turn),
            ..Self::anyone()
        }
    }

    /// The key's name in the configuration, `key` for `server.key`, `agent:<id>` for a turn,
    /// `peer:<name>` for a peer; `None` where no key is configured.
    pub const fn name(&self) -> Option<&Arc<str>> {
        self.name.as_ref()
    }

    /// Whose key it is, where it is an agent's.
    pub const fn agent(&self) -> Option<&AgentId> {
        self.agent.as_ref()
    }

    /// The turn whose token was shown.
    pub const fn turn(&self) -> Option<TurnId> {
        self.turn
    }

    /// The peer whose secret was shown.
    pub const fn peer(&self) -> Option<&PeerName> {
        self.peer.as_ref()
    }

    pub(super) const fn unproven_from(&self) -> Option<Unproven> {
        self.unproven
    }

    /// Who that is as a sender of messages.
    pub fn party(&self) -> Party {
        match (&self.peer, &self.agent, &self.name) {
            (Some(peer), _, _) => Party::Peer(peer.clone()),
            (None, Some(agent), _) => Party::Agent(agent.clone()),
            (None, None, Some(name)) => Party::Key(Arc::clone(name)),
            (None, None, None) => Party::Anyone,
        }
    }

    /// Whether the caller may do what `role` is needed for.
    pub fn may(&self, role: Role) -> bool {
        self.role
            .is_some_and(|own| own == Role::Operator || own == role)
    }

    /// Whether the caller may see what `owner` brought in.
    pub fn may_see(&self, owner: Option<&Arc<str>>) -> bool {
        let is_owner = self.name.as_ref() == owner && self.unproven.is_none();
        self.may(Role::Operator) || is_owner
    }
}

/// How a role is written in the configuration.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Agent => "agent",
        Role::Operator => "operator",
    }
}

/// All keys, as digests: comparing these tells nothing about the keys.
#[derive(Debug, Default)]
pub struct Keys {
    known: Vec<(sha2::digest::Output<Sha256>, Caller)>,
    is_configured: bool,
    peers: PeerSecrets,
}

impl Keys {
    /// The keys of a configuration, with the secrets of its peers, and an operator's key that was
    /// made for this run of the service. The latter alone does not close the door to others.
    pub fn new(settings: &Settings, run_key: Option<&str>) -> Self {
        let main = settings.server.key.iter().map(|key| {
            let caller = Caller::operator("key");
            (Sha256::digest(key.expose().as_bytes()), caller)
        });
        let named = settings.keys.iter().map(|(name, key)| {
            let caller = Caller {
                name: Some(name.as_str().into()),
                role: Some(key.role),
                agent: key.agent.clone(),
                ..Caller::anyone()
            };
            (Sha256::digest(key.key.expose().as_bytes()), caller)
        });
        let mut known: Vec<_> = main.chain(named).collect();
        let is_configured = !known.is_empty();
        known.extend(run_key.map(|key| {
            let caller = Caller::operator("run");
            (Sha256::digest(key.as_bytes()), caller)
        }));
        Self {
            known,
            is_configured,
            peers: PeerSecrets::new(&settings.peers),
        }
    }

    /// What peers show, and what they sign with.
    pub(super) const fn peers(&self) -> &PeerSecrets {
        &self.peers
    }

    /// Whether no key is configured: then everybody is let in.
    pub const fn is_empty(&self) -> bool {
        !self.is_configured
    }

    /// Whose key this is.
    pub fn find(&self, key: &str) -> Option<Caller> {
        find(&self.known, key).cloned()
    }
}

/// What belongs to a secret. Looks at every secret, so that time does not tell which one was near.
pub(super) fn find<'a, T>(
    known: &'a [(sha2::digest::Output<Sha256>, T)],
    secret: &str,
) -> Option<&'a T> {
    let digest = Sha256::digest(secret.as_bytes());
    let mut found = None;
    for (known, owner) in known {
        if bool::from(known.as_slice().ct_eq(digest.as_slice())) {
            found = Some(owner);
        }
    }
    found
}
