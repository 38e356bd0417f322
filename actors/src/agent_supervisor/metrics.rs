//! What is counted about agents. Labels are names of agents, which operators give.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::domain::{
    ids::AgentId,
    turn::{TurnExit, TurnState},
};

const TURNS: &str = "postroom_turns_total";
const RUNNING: &str = "postroom_turns_running";
const DURATION: &str = "postroom_turn_duration_seconds";
const WAIT: &str = "postroom_task_wait_seconds";
const WAITING: &str = "postroom_tasks_waiting";
const KILLED: &str = "postroom_turn_processes_killed_total";
const TOKENS: &str = "postroom_turn_tokens_total";
const PARKED: &str = "postroom_agents_parked_total";
const CALLBACKS: &str = "postroom_turn_callbacks_total";

/// Gives every metric its help text and unit.
pub fn describe() {
    describe_counter!(TURNS, "Turns that ended, by agent and state");
    describe_gauge!(RUNNING, "Turns that run now, by agent");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time from a turn's begin to its end"
    );
    describe_histogram!(
        WAIT,
        Unit::Seconds,
        "Time that the oldest task of a turn had waited"
    );
    describe_gauge!(WAITING, "Tasks that wait, by agent");
    describe_counter!(
        KILLED,
        "Processes that outlived their CLI and were killed, by agent"
    );
    describe_counter!(
        TOKENS,
        "Tokens that turns used, as CLIs report them, by agent and kind"
    );
    describe_counter!(CALLBACKS, "Messages that turns sent, by agent");
    describe_counter!(
        PARKED,
        "How often an agent was parked because its turns did not start"
    );
}

/// Counts a turn while it is held.
pub(super) struct RunningGauge(AgentId);

impl RunningGauge {
    pub(super) fn begin(agent: &AgentId, oldest_waited: Duration) -> Self {
        gauge!(RUNNING, "agent" => agent.to_string()).increment(1.0);
        histogram!(WAIT, "agent" => agent.to_string()).record(oldest_waited.as_secs_f64());
        Self(agent.clone())
    }
}

impl Drop for RunningGauge {
    fn drop(&mut self) {
        gauge!(RUNNING, "agent" => self.0.to_string()).decrement(1.0);
    }
}

pub(super) fn turn_ended(agent: &AgentId, state: TurnState, took: Duration, exit: &TurnExit) {
    let name = || agent.to_string();
    counter!(TURNS, "agent" => name(), "state" => state.as_str()).increment(1);
    histogram!(DURATION, "agent" => name()).record(took.as_secs_f64());
    counter!(KILLED, "agent" => name()).increment(u64::from(exit.killed));
    if let Some(usage) = exit.usage {
        counter!(TOKENS, "agent" => name(), "kind" => "input").increment(usage.input_tokens);
        counter!(TOKENS, "agent" => name(), "kind" => "output").increment(usage.output_tokens);
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "gauges are approximate"
)]
pub(super) fn show_waiting(agent: &AgentId, waiting: usize) {
    gauge!(WAITING, "agent" => agent.to_string()).set(waiting as f64);
}

pub(super) fn callback(agent: &AgentId) {
    counter!(CALLBACKS, "agent" => agent.to_string()).increment(1);
}

pub(super) fn parked(agent: &AgentId) {
    counter!(PARKED, "agent" => agent.to_string()).increment(1);
}
