//! How the service is, in one line for a service manager.

use postroom_actors::agent_supervisor::{AgentState, AgentStatus};

use super::{SharedState, agents};

/// For example `agents: 3, at work: 1, parked: 1; waiting tasks: 4, inbox items: 2`.
pub async fn line(shared: &SharedState) -> String {
    let (agents, stats) = tokio::join!(agents::statuses(shared), shared.store.stats());
    let unwritten = stats.map_or(0, |stats| stats.pending_inbox);
    in_words(&agents, unwritten)
}

fn in_words(agents: &[AgentStatus], unwritten: u64) -> String {
    let in_state = |state| agents.iter().filter(|agent| agent.state == state).count();
    let mut line = format!("agents: {}", agents.len());
    for (state, word) in [
        (AgentState::Running, "at work"),
        (AgentState::Stopped, "stopped"),
        (AgentState::Parked, "parked"),
    ] {
        let count = in_state(state);
        if count > 0 {
            line = format!("{line}, {word}: {count}");
        }
    }
    let tasks: usize = agents.iter().map(|agent| agent.waiting).sum();
    format!("{line}; waiting tasks: {tasks}, inbox items: {unwritten}")
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::{
        agent::{Delivery, Permissions},
        ids::AgentId,
    };

    use super::*;

    fn agent(id: &str, state: AgentState, waiting: usize) -> AgentStatus {
        AgentStatus {
            id: AgentId::parse(id).unwrap(),
            state,
            problem: None,
            delivery: Delivery::Turn,
            permissions: Permissions::Bypass,
            cli: String::new(),
            workspace: "/".into(),
            turns: Vec::new(),
            waiting,
            oldest_waiting_since: None,
            waits_for: None,
            last_failure: None,
        }
    }

    #[test]
    fn only_states_that_occur_are_named() {
        assert_eq!(
            in_words(&[], 2),
            "agents: 0; waiting tasks: 0, inbox items: 2"
        );
        let agents = [
            agent("a", AgentState::Idle, 0),
            agent("b", AgentState::Running, 3),
            agent("c", AgentState::Parked, 1),
        ];
        assert_eq!(
            in_words(&agents, 0),
            "agents: 3, at work: 1, parked: 1; waiting tasks: 4, inbox items: 0"
        );
    }
}
