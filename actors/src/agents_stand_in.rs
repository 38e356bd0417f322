//! Stands for the handlers of the agents' actors until they are written: every message is dropped,
//! so that its sender hears that nobody is there.

use actix::{Context, Handler};

use crate::{
    agent_directory::{AgentDirectory, AgentSupervisor, HireAgent, RemoveAgent},
    agent_supervisor::{
        AgentState, AgentStatus, AnswerTask, CancelTask, CancelTurn, GetAgentStatus, QueueTask,
        SetRunState,
    },
    domain::{agent::Delivery, ids::AgentId},
};

macro_rules! drops {
    ($actor:ty: $($message:ty),*) => {$(
        impl Handler<$message> for $actor {
            type Result = ();

            fn handle(&mut self, _: $message, _: &mut Context<Self>) {}
        }
    )*};
}

drops!(AgentSupervisor: QueueTask, CancelTask, CancelTurn, AnswerTask, SetRunState);
drops!(AgentDirectory: HireAgent, RemoveAgent);

impl Handler<GetAgentStatus> for AgentSupervisor {
    type Result = AgentStatus;

    #[expect(clippy::expect_used, reason = "goes away with this file")]
    fn handle(&mut self, _: GetAgentStatus, _: &mut Context<Self>) -> AgentStatus {
        AgentStatus {
            id: AgentId::parse("nobody").expect("a name"),
            state: AgentState::Stopped,
            problem: None,
            delivery: Delivery::Turn,
            cli: String::new(),
            workspace: std::path::PathBuf::new(),
            turns: Vec::new(),
            waiting: 0,
            oldest_waiting_since: None,
            waits_for: None,
            last_failure: None,
        }
    }
}
