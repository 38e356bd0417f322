//! How an agent is, in words for operators.

use std::sync::atomic::Ordering;

use super::{AgentState, AgentStatus, AgentSupervisor, RunningTurnStatus, turns::Running};
use crate::{
    domain::{ids::TurnId, turn_queue::Wait},
    lifecycle::ActorStatus,
};

impl AgentSupervisor {
    pub(super) fn status(&self) -> AgentStatus {
        let profile = &self.parts.profile;
        let turns = self.running.iter();
        let mut turns: Vec<_> = turns
            .map(|(id, running)| running_turn(*id, running))
            .collect();
        turns.sort_unstable_by_key(|turn| turn.since);
        AgentStatus {
            id: profile.id.clone(),
            state: self.state(),
            problem: self.problem(),
            delivery: profile.delivery,
            permissions: profile.permissions,
            cli: profile.command.join(" "),
            workspace: profile.workspace.clone(),
            turns,
            waiting: self.queue.waiting(),
            oldest_waiting_since: self.queue.oldest(),
            waits_for: self.waits_for(),
            last_failure: self.last_failure.clone(),
        }
    }

    /// What the metrics need of it, without a look at files.
    pub(super) fn short_status(&self) -> ActorStatus {
        let now = self.parts.shared.clock.now();
        let age = self.queue.oldest().map(|since| now - since);
        ActorStatus {
            actor: "agent_supervisor",
            waiting: self.queue.waiting(),
            oldest_waiting_ms: age.map(|age| u64::try_from(age.num_milliseconds()).unwrap_or(0)),
            state: self.state().as_str().to_owned(),
        }
    }

    fn state(&self) -> AgentState {
        if self.is_stopped() {
            AgentState::Stopped
        } else if self.parked.is_some() {
            AgentState::Parked
        } else if self.running.is_empty() {
            AgentState::Idle
        } else {
            AgentState::Running
        }
    }

    fn problem(&self) -> Option<String> {
        let parked = self.parked.clone();
        parked.or_else(|| {
            let checked = self.parts.shared.launcher.check(&self.parts.profile);
            checked.err().map(|error| error.to_string())
        })
    }

    fn waits_for(&self) -> Option<String> {
        if self.queue.waiting() == 0 {
            return None;
        }
        let now = self.parts.shared.clock.now();
        Some(if self.is_stopped() {
            "the agent is stopped".to_owned()
        } else if self.parked.is_some() {
            "the agent is parked".to_owned()
        } else if self.closing.is_some() || !self.is_recovered {
            "the service is starting or stopping".to_owned()
        } else if let Some(wait) = self.queue.wait(now) {
            match wait {
                Wait::Session => "a turn of its session runs".to_owned(),
                Wait::Until(time) => format!("the time {}", time.to_rfc3339()),
            }
        } else if self.running.len() >= self.parts.profile.concurrency {
            let most = self.parts.profile.concurrency;
            format!("the agent runs {most} turns, which is its limit (`concurrency`)")
        } else {
            "all places for turns are taken (`agents.max_turns`)".to_owned()
        })
    }
}

fn running_turn(turn: TurnId, running: &Running) -> RunningTurnStatus {
    let pid = running.pid.load(Ordering::Relaxed);
    RunningTurnStatus {
        turn,
        pid: (pid != 0).then_some(pid),
        session: running.session.clone(),
        since: running.since,
        tasks: running.tasks.clone(),
    }
}
