//! Who holds a key, and comparing secrets in constant time.

use std::{net::IpAddr, sync::Arc};

use postroom_actors::domain::{
    ids::{AgentId, TurnId},
    party::{Party, PeerName},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::settings::Role;

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
    pub(super) fn operator(name: &str) -> Self {
        Self::of_key(name, Role::Operator, None)
    }

    /// Whoever holds a key of this name.
    pub(super) fn of_key(name: &str, role: Role, agent: Option<AgentId>) -> Self {
        Self {
            name: Some(name.into()),
            role: Some(role),
            agent,
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

    pub(super) const fn role(&self) -> Option<Role> {
        self.role
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

/// Secrets as digests, and what belongs to each.
pub(super) type Known<T> = Vec<(sha2::digest::Output<Sha256>, T)>;

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
