//! How agents are, asked of their supervisors.

use std::time::Duration;

use futures_util::future::join_all;
use postroom_actors::{
    agent_directory::Agent,
    agent_supervisor::{AgentState, AgentStatus, GetAgentStatus},
};

use crate::http::SharedState;

/// How long a supervisor may take to tell.
const DEADLINE: Duration = Duration::from_secs(2);

/// How all agents are, by name.
pub(in crate::http) async fn all(shared: &SharedState) -> Vec<AgentStatus> {
    let agents = shared.agents.all();
    join_all(agents.iter().map(of)).await
}

/// Why an agent is parked; `None` where it is not.
pub(in crate::http) fn why_parked(agent: &AgentStatus) -> Option<&str> {
    let is_parked = agent.state == AgentState::Parked;
    is_parked.then(|| agent.problem.as_deref().unwrap_or("it failed too often"))
}

/// How an agent is. One whose supervisor does not answer counts as parked.
pub(in crate::http) async fn of(agent: &Agent) -> AgentStatus {
    match agent.supervisor.ask(GetAgentStatus, DEADLINE).await {
        Ok(status) => status,
        Err(error) => AgentStatus {
            id: agent.profile.id.clone(),
            state: AgentState::Parked,
            problem: Some(error.to_string()),
            delivery: agent.profile.delivery,
            permissions: agent.profile.permissions,
            cli: agent.profile.command.join(" "),
            workspace: agent.profile.workspace.clone(),
            turns: Vec::new(),
            waiting: 0,
            oldest_waiting_since: None,
            waits_for: None,
            last_failure: None,
        },
    }
}
