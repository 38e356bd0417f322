//! Workspaces in memory.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::NaiveDate;

use crate::{
    domain::ids::AgentId,
    ports::{
        SendFuture,
        turns::{AgentHome, HiredAgent, MadeWorkspace, WorkspaceError},
    },
};

/// A home folder whose disk is this process.
#[derive(Debug, Default)]
pub struct MemoryHome(Mutex<BTreeMap<AgentId, HiredAgent>>);

impl MemoryHome {
    /// A home with these workspaces.
    pub fn with(agents: impl IntoIterator<Item = (AgentId, HiredAgent)>) -> Self {
        Self(Mutex::new(agents.into_iter().collect()))
    }

    /// What is kept of an agent; `None` without a workspace, or for one that was removed.
    pub fn kept(&self, agent: &AgentId) -> Option<HiredAgent> {
        self.agents().get(agent).cloned()
    }

    fn agents(&self) -> MutexGuard<'_, BTreeMap<AgentId, HiredAgent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ready<T: Send + 'static>(value: T) -> SendFuture<Result<T, WorkspaceError>> {
    Box::pin(async move { Ok(value) })
}

impl AgentHome for MemoryHome {
    fn adopt(&self) -> SendFuture<Result<Vec<(AgentId, HiredAgent)>, WorkspaceError>> {
        ready(self.agents().clone().into_iter().collect())
    }

    fn make_workspace(
        &self,
        agent: AgentId,
        hired: HiredAgent,
        _: NaiveDate,
    ) -> SendFuture<Result<MadeWorkspace, WorkspaceError>> {
        let mut agents = self.agents();
        let is_new = !agents.contains_key(&agent);
        let kept = agents.entry(agent).or_default();
        kept.cli = hired.cli.or_else(|| kept.cli.clone());
        kept.is_stopped |= hired.is_stopped;
        ready(MadeWorkspace {
            is_new,
            hired: kept.clone(),
        })
    }

    fn note_stopped(
        &self,
        agent: AgentId,
        is_stopped: bool,
    ) -> SendFuture<Result<(), WorkspaceError>> {
        if let Some(hired) = self.agents().get_mut(&agent) {
            hired.is_stopped = is_stopped;
        }
        ready(())
    }

    fn note_removed(&self, agent: AgentId) -> SendFuture<Result<(), WorkspaceError>> {
        self.agents().remove(&agent);
        ready(())
    }

    fn workspace(&self, agent: &AgentId) -> PathBuf {
        PathBuf::from("/home").join(agent.as_str())
    }
}
