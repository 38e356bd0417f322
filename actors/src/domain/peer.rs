//! Peers as the core knows them. Their addresses and secrets are the transport's.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{ids::AgentId, party::PeerName};

/// When a delivery is tried, counted from the try before; see Standard Webhooks.
pub const DEFAULT_SCHEDULE: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(10),
];

/// Deliveries on their way to one peer at once.
pub const DEFAULT_CONCURRENCY: usize = 4;

/// One peer of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerProfile {
    /// Its name.
    pub name: PeerName,
    /// The types that it takes from us; empty: any.
    pub types: Vec<String>,
    /// The types that our agents are told they may answer with; empty: any.
    pub answer_types: Vec<String>,
    /// Our agent that its messages go to; `None`: the default one.
    pub to: Option<AgentId>,
    /// Whether messages can be posted to it: it has a URL.
    pub is_reachable: bool,
    /// Pauses before each try; at least one.
    pub schedule: Arc<[Duration]>,
    /// Deliveries on their way to it at once; at least 1.
    pub concurrency: usize,
    /// What `{{secret}}` stands for in an operator's own reply template; `None` unless
    /// `secret_send` is set.
    pub prompt_secret: Option<Arc<str>>,
}

impl PeerProfile {
    /// A peer of which nothing is configured but that it can be reached.
    pub fn new(name: PeerName) -> Self {
        Self {
            name,
            types: Vec::new(),
            answer_types: Vec::new(),
            to: None,
            is_reachable: true,
            schedule: DEFAULT_SCHEDULE.into(),
            concurrency: DEFAULT_CONCURRENCY,
            prompt_secret: None,
        }
    }

    /// Whether it takes messages of this type.
    pub fn takes(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|known| known == kind)
    }
}

/// All peers of the configuration, by name.
#[derive(Debug, Clone, Default)]
pub struct Peers(Arc<BTreeMap<PeerName, Arc<PeerProfile>>>);

impl Peers {
    /// These.
    pub fn new(peers: impl IntoIterator<Item = PeerProfile>) -> Self {
        let by_name = peers
            .into_iter()
            .map(|peer| (peer.name.clone(), Arc::new(peer)));
        Self(Arc::new(by_name.collect()))
    }

    /// A peer by its name.
    pub fn find(&self, name: &PeerName) -> Option<&Arc<PeerProfile>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<PeerProfile>> {
        self.0.values()
    }
}
