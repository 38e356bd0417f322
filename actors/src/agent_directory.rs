//! All agents: who there is, and the way to each supervisor. (Being written: messages first.)

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use actix::{Actor, Context, Message};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::{
    delivery::Mailbox,
    domain::{agent::AgentProfile, ids::AgentId, routing::RoutingTable},
    ports::turns::HiredAgent,
};

/// Stands for the supervisor until it is written.
#[derive(Debug)]
pub struct AgentSupervisor;

impl Actor for AgentSupervisor {
    type Context = Context<Self>;
}

/// An agent that is known.
#[derive(Debug, Clone)]
pub struct Agent {
    /// What it is.
    pub profile: Arc<AgentProfile>,
    /// The way to it.
    pub supervisor: Mailbox<AgentSupervisor>,
}

/// Who there is, for whoever has a task to give: read on every request, changed seldom.
#[derive(Debug, Clone, Default)]
pub struct Agents(Arc<RwLock<State>>);

#[derive(Debug, Default)]
struct State {
    known: BTreeMap<AgentId, Agent>,
    routing: Arc<RoutingTable>,
}

impl Agents {
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
}

/// Makes an agent, or finds that there is one already.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct HireAgent {
    /// Its name.
    pub id: AgentId,
    /// What it is hired with. An agent that is there already takes over what is given here.
    pub hired: HiredAgent,
    /// Hears when it can be given tasks.
    pub reply: oneshot::Sender<Result<Hired, HireError>>,
}

/// An agent was hired.
#[derive(Debug, Clone)]
pub struct Hired {
    /// It.
    pub agent: Agent,
    /// Whether its workspace is new.
    pub is_new: bool,
}

/// Why an agent was not hired.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum HireError {
    /// The name is kept for something else in the home folder.
    #[error("`{0}` is no name for an agent: the home folder keeps it for something else")]
    ReservedName(AgentId),
    /// Its command is not usable.
    #[error("{0}")]
    Command(String),
    /// Its workspace cannot be made.
    #[error("{0}")]
    Workspace(String),
}

/// Takes an agent out: it gets no more tasks, what runs is cancelled, what waits fails. Its
/// workspace stays.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RemoveAgent {
    /// Its name.
    pub id: AgentId,
    /// Answers whether it was there.
    pub reply: oneshot::Sender<bool>,
}

/// The directory actor. (Being written.)
#[derive(Debug)]
pub struct AgentDirectory;

impl Actor for AgentDirectory {
    type Context = Context<Self>;
}
