//! Who there is, for whoever has a task to give: read on every request, changed seldom.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, atomic::AtomicBool},
};

use crate::{
    agent_supervisor::AgentSupervisor,
    delivery::Mailbox,
    domain::{agent::AgentProfile, ids::AgentId, routing::RoutingTable},
};

/// An agent that is known.
#[derive(Clone)]
pub struct Agent {
    /// What it is.
    pub profile: Arc<AgentProfile>,
    /// The way to it.
    pub supervisor: Mailbox<AgentSupervisor>,
    /// Set while an operator has stopped it; outlives its supervisor's runs.
    pub is_stopped: Arc<AtomicBool>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Agent")
            .field("id", &self.profile.id)
            .finish_non_exhaustive()
    }
}

/// All agents.
#[derive(Debug, Clone, Default)]
pub struct Agents(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<AgentId, Agent>,
    routing: Arc<RoutingTable>,
}

impl Agents {
    /// No agents yet. What names nobody goes to `default`, or the mailbox.
    pub fn new(default: Option<AgentId>) -> Self {
        let routing = RoutingTable {
            default,
            ..RoutingTable::default()
        };
        Self(Arc::new(RwLock::new(State {
            known: BTreeMap::new(),
            routing: Arc::new(routing),
        })))
    }

    /// An agent by its name.
    pub fn find(&self, id: &AgentId) -> Option<Agent> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.known.get(id).cloned()
    }

    /// All agents, by name.
    pub fn all(&self) -> Vec<Agent> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        state.known.values().cloned().collect()
    }

    /// Who gets a request.
    pub fn routing(&self) -> Arc<RoutingTable> {
        let state = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.routing)
    }

    pub(crate) fn insert(&self, agent: Agent) {
        self.change(|known| {
            known.insert(agent.profile.id.clone(), agent);
        });
    }

    pub(crate) fn remove(&self, id: &AgentId) -> Option<Agent> {
        self.change(|known| known.remove(id))
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<AgentId, Agent>) -> T) -> T {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut state.known);
        let routing = RoutingTable {
            agents: state.known.keys().cloned().collect(),
            default: state.routing.default.clone(),
        };
        state.routing = Arc::new(routing);
        changed
    }
}
