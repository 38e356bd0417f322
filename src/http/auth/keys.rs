//! The configured keys, compared in constant time.

use std::sync::Arc;

use postroom_actors::domain::{
    ids::{AgentId, TurnId},
    party::{Party, PeerName},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::settings::{Role, Settings};

/// Whoever holds a key that we know, or the token of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    name: Option<Arc<str>>,
    role: Role,
    agent: Option<AgentId>,
    turn: Option<TurnId>,
    peer: Option<PeerName>,
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
            role: Role::Operator,
            agent: None,
            turn: None,
            peer: None,
        }
    }

    /// What runs in a turn of an agent.
    pub fn of_turn(agent: AgentId, turn: TurnId) -> Self {
        Self {
            name: Some(format!("agent:{agent}").into()),
            role: Role::Agent,
            agent: Some(agent),
            turn: Some(turn),
            peer: None,
        }
    }

    /// The key's name in the configuration, `key` for `server.key`, `agent:<id>` for a turn; `None`
    /// where no key is configured.
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
        self.role == Role::Operator || self.role == role
    }

    /// Whether the caller may see what `owner` brought in.
    pub fn may_see(&self, owner: Option<&Arc<str>>) -> bool {
        self.may(Role::Operator) || self.name.as_ref() == owner
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
}

impl Keys {
    /// The keys of a configuration, and an operator's key that was made for this run of the
    /// service. The latter alone does not close the door to others.
    pub fn new(settings: &Settings, run_key: Option<&str>) -> Self {
        let main = settings.server.key.iter().map(|key| {
            let caller = Caller::operator("key");
            (Sha256::digest(key.expose().as_bytes()), caller)
        });
        let named = settings.keys.iter().map(|(name, key)| {
            let caller = Caller {
                name: Some(name.as_str().into()),
                role: key.role,
                agent: key.agent.clone(),
                turn: None,
                peer: None,
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
        }
    }

    /// Whether no key is configured: then everybody is let in.
    pub const fn is_empty(&self) -> bool {
        !self.is_configured
    }

    /// Whose key this is. Looks at every key, so that time does not tell which one was near.
    pub fn find(&self, key: &str) -> Option<Caller> {
        let digest = Sha256::digest(key.as_bytes());
        let mut found = None;
        for (known, caller) in &self.known {
            if bool::from(known.as_slice().ct_eq(digest.as_slice())) {
                found = Some(caller);
            }
        }
        found.cloned()
    }
}
