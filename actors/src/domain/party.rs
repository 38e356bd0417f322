//! Who writes to whom: agents, peers, holders of keys.

use std::{fmt, sync::Arc};

use super::ids::{AgentId, InvalidAgentId};

/// A peer's name in the configuration; the same characters as an agent's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(Arc<str>);

impl PeerName {
    /// Checks a name that came from outside.
    ///
    /// # Errors
    /// [`InvalidAgentId`] where it does not match `[a-z0-9][a-z0-9_-]{0,63}`.
    pub fn parse(name: &str) -> Result<Self, InvalidAgentId> {
        AgentId::parse(name).map(|name| Self(name.as_str().into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A sender or a recipient. As text: `agent:NAME`, `peer:NAME`, `key:NAME`, `url:URL`, `anyone`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// An agent of ours.
    Agent(AgentId),
    /// A peer of the configuration.
    Peer(PeerName),
    /// Whoever holds the key of this name. Reads what is kept for it; nothing is posted to it.
    Key(Arc<str>),
    /// An address that a message named as its `reply_to`.
    Url(Arc<str>),
    /// Whoever asks where no key is configured.
    Anyone,
}

impl Party {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "anyone" {
            return Some(Self::Anyone);
        }
        let (kind, name) = text.split_once(':')?;
        match kind {
            "agent" => AgentId::parse(name).ok().map(Self::Agent),
            "peer" => PeerName::parse(name).ok().map(Self::Peer),
            "key" => Some(Self::Key(name.into())),
            "url" => Some(Self::Url(name.into())),
            _ => None,
        }
    }

    /// The agent, where it is one.
    pub const fn agent(&self) -> Option<&AgentId> {
        match self {
            Self::Agent(agent) => Some(agent),
            _ => None,
        }
    }

    /// The peer, where it is one.
    pub const fn peer(&self) -> Option<&PeerName> {
        match self {
            Self::Peer(peer) => Some(peer),
            _ => None,
        }
    }

    /// Its name in numbers: those of agents and peers, else one word for all of its kind, so that
    /// there are never many.
    pub fn label(&self) -> &str {
        match self {
            Self::Agent(agent) => agent.as_str(),
            Self::Peer(peer) => peer.as_str(),
            Self::Url(_) => "url",
            Self::Key(_) | Self::Anyone => "key",
        }
    }

    /// Whether messages to it are kept until it asks for them.
    pub const fn collects(&self) -> bool {
        matches!(self, Self::Key(_) | Self::Anyone)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(agent) => write!(formatter, "agent:{agent}"),
            Self::Peer(peer) => write!(formatter, "peer:{peer}"),
            Self::Key(name) => write!(formatter, "key:{name}"),
            Self::Url(url) => write!(formatter, "url:{url}"),
            Self::Anyone => formatter.write_str("anyone"),
        }
    }
}

impl serde::Serialize for Party {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_reads_as_it_is_written() {
        for text in [
            "agent:alice",
            "peer:bob",
            "key:ops:night",
            "url:https://example.com/inbox",
            "anyone",
        ] {
            assert_eq!(Party::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "alice", "agent:", "agent:A", "peer:../x", "who:alice"] {
            assert_eq!(Party::parse(text), None, "{text}");
        }
    }
}
