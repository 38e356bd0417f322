//! What is counted about agents. Labels are names of agents, which operators give.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::{
    domain::{
        ids::AgentId,
        metric::{Buckets, Metric, MetricUnit},
        turn::TurnExit,
    },
    token_usage::{self, Operation},
};

const RUNNING: &str = "postroom_turns_running";
const DURATION: &str = "postroom_turn_duration_seconds";
const WAIT: &str = "postroom_task_wait_seconds";
const WAITING: &str = "postroom_tasks_waiting";
const KILLED: &str = "postroom_turn_processes_killed_total";
const PARKED: &str = "postroom_agents_parked_total";
const CALLBACKS: &str = "postroom_callbacks_per_turn";

/// What is counted about agents. The store counts their turns, tokens and messages.
pub const METRICS: &[Metric] = &[
    Metric::gauge(RUNNING, &["agent"], "Turns that run now"),
    Metric::histogram(
        DURATION,
        Buckets::Ages,
        &["agent"],
        "Time from a turn's begin to its end",
    )
    .unit(MetricUnit::Seconds),
    Metric::histogram(
        WAIT,
        Buckets::Ages,
        &["agent"],
        "Time that the oldest task of a turn had waited",
    )
    .unit(MetricUnit::Seconds),
    Metric::gauge(WAITING, &["agent"], "Tasks that wait"),
    Metric::histogram(
        CALLBACKS,
        Buckets::Counts,
        &["agent"],
        "Messages that a turn had sent when it ended",
    ),
    Metric::counter(
        KILLED,
        &["agent"],
        "Processes that outlived their CLI and were killed",
    ),
    Metric::counter(
        PARKED,
        &["agent"],
        "How often an agent was parked because its turns did not start",
    ),
];

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

pub(super) fn turn_ended(agent: &AgentId, took: Duration, exit: &TurnExit) {
    let name = || agent.to_string();
    histogram!(DURATION, "agent" => name()).record(took.as_secs_f64());
    counter!(KILLED, "agent" => name()).increment(u64::from(exit.killed));
    if let Some(usage) = exit.usage {
        let turn = Operation::InvokeAgent(agent.as_str());
        token_usage::note(turn, usage.input_tokens, Some(usage.output_tokens));
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

pub(super) fn callbacks_of_turn(agent: &AgentId, callbacks: u32) {
    histogram!(CALLBACKS, "agent" => agent.to_string()).record(f64::from(callbacks));
}

pub(super) fn parked(agent: &AgentId) {
    counter!(PARKED, "agent" => agent.to_string()).increment(1);
}
