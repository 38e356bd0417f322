//! What is asked of actors and store when somebody reads the metrics. Nobody is waited for long:
//! what does not answer keeps its last numbers, and is shown as not answering.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use postroom_actors::{
    agent_directory::Agent,
    agent_supervisor::AgentState,
    delivery::{DeliveryError, Mailbox},
    domain::{
        ids::AgentId,
        metric::{Metric, MetricUnit},
    },
    lifecycle::{ActorStatus, GetStatus},
};

use crate::{http::SharedState, telemetry};

/// How long an actor or the store may take; all are asked at once.
const DEADLINE: Duration = Duration::from_millis(500);

const MAILBOX_DEPTH: &str = "postroom_actor_mailbox_depth";
const WAITING: &str = "postroom_actor_waiting";
const OLDEST_WAITING: &str = "postroom_actor_oldest_waiting_seconds";
const UP: &str = "postroom_actor_up";
const AGENT_STATE: &str = "postroom_agent_state";
const OLDEST_TASK: &str = "postroom_tasks_oldest_waiting_seconds";
const OLDEST_PENDING: &str = "postroom_inbox_oldest_pending_seconds";

const SUPERVISOR: &str = "agent_supervisor";

/// What is asked for when the metrics are read.
pub const METRICS: &[Metric] = &[
    Metric::gauge(
        MAILBOX_DEPTH,
        &["actor"],
        "Messages in an actor's mailbox; of agents' supervisors, by agent",
    )
    .sometimes(&["agent"]),
    Metric::gauge(
        WAITING,
        &["actor"],
        "Items that wait for an actor; those of all agents together",
    ),
    Metric::gauge(
        OLDEST_WAITING,
        &["actor"],
        "Age of the oldest item that waits for an actor; 0 where none does",
    )
    .unit(MetricUnit::Seconds),
    Metric::gauge(
        UP,
        &["actor"],
        "Whether an actor answers: 1 yes, 0 no; of supervisors, whether all do",
    ),
    Metric::gauge(
        AGENT_STATE,
        &["agent", "state"],
        "1 for what an agent does (idle, running, stopped, parked), 0 for the rest; all 0 where it does not answer",
    ),
    Metric::gauge(
        OLDEST_TASK,
        &["agent"],
        "Age of the oldest task that waits for an agent; 0 where none does",
    )
    .unit(MetricUnit::Seconds),
    Metric::gauge(
        OLDEST_PENDING,
        &[],
        "Age of the oldest accepted message whose inbox file is not written yet",
    )
    .unit(MetricUnit::Seconds),
];

type Asked = Result<ActorStatus, DeliveryError>;

/// The agents that were shown: one that is gone is shown once more, as nothing.
#[derive(Debug, Default)]
pub struct ShownAgents(Mutex<BTreeSet<AgentId>>);

/// Looks at actors, agents and store, all at once.
pub(super) async fn look(shared: &SharedState) {
    tokio::join!(look_at_actors(shared), look_at_agents(shared), async {
        let sheet = shared.tally.tally_sheet(shared.clock.now());
        if let Ok(Ok(sheet)) = tokio::time::timeout(DEADLINE, sheet).await {
            telemetry::show_kept(&sheet);
        }
    });
}

async fn look_at_actors(shared: &SharedState) {
    let (_, inbox_writer, ..) = tokio::join!(
        ask(&shared.router),
        ask(&shared.inbox_writer),
        ask(&shared.backend_relay),
        ask(&shared.directory),
        ask(&shared.courier),
    );
    if let Ok(status) = inbox_writer {
        metrics::gauge!(OLDEST_PENDING).set(oldest(&status));
    }
}

async fn ask<A>(mailbox: &Mailbox<A>) -> Asked
where
    A: actix::Actor<Context = actix::Context<A>> + actix::Handler<GetStatus>,
{
    let actor = mailbox.name();
    metrics::gauge!(MAILBOX_DEPTH, "actor" => actor).set(count(mailbox.depth().now()));
    let status = mailbox.ask(GetStatus, DEADLINE).await;
    metrics::gauge!(UP, "actor" => actor).set(f64::from(status.is_ok()));
    if let Ok(status) = &status {
        metrics::gauge!(WAITING, "actor" => actor).set(count(status.waiting));
        metrics::gauge!(OLDEST_WAITING, "actor" => actor).set(oldest(status));
    }
    status
}

async fn look_at_agents(shared: &SharedState) {
    let agents = shared.agents.all();
    let statuses = join_all(agents.iter().map(ask_agent)).await;
    shared.shown_agents.forget_others(&agents);
    let answered: Vec<&ActorStatus> = statuses.iter().flatten().collect();
    let all_answered = answered.len() == statuses.len();
    metrics::gauge!(UP, "actor" => SUPERVISOR).set(f64::from(all_answered));
    let waiting = answered.iter().map(|status| status.waiting).sum();
    metrics::gauge!(WAITING, "actor" => SUPERVISOR).set(count(waiting));
    let ages = answered.iter().map(|status| oldest(status));
    metrics::gauge!(OLDEST_WAITING, "actor" => SUPERVISOR).set(ages.fold(0.0, f64::max));
}

async fn ask_agent(agent: &Agent) -> Asked {
    let id = &agent.profile.id;
    let depth = agent.supervisor.depth().now();
    let status = agent.supervisor.ask(GetStatus, DEADLINE).await;
    show_agent(id, depth, status.as_ref().ok());
    status
}

fn show_agent(id: &AgentId, depth: usize, status: Option<&ActorStatus>) {
    let agent = || id.to_string();
    metrics::gauge!(MAILBOX_DEPTH, "actor" => SUPERVISOR, "agent" => agent()).set(count(depth));
    metrics::gauge!(OLDEST_TASK, "agent" => agent()).set(status.map_or(0.0, oldest));
    for state in AgentState::ALL.map(AgentState::as_str) {
        let is_so = status.is_some_and(|status| status.state == state);
        metrics::gauge!(AGENT_STATE, "agent" => agent(), "state" => state).set(f64::from(is_so));
    }
}

impl ShownAgents {
    fn forget_others(&self, agents: &[Agent]) {
        let there: BTreeSet<AgentId> = agents.iter().map(|it| it.profile.id.clone()).collect();
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&there) {
            show_agent(gone, 0, None);
        }
        *shown = there;
    }
}

fn oldest(status: &ActorStatus) -> f64 {
    let age = status.oldest_waiting_ms.map(Duration::from_millis);
    age.unwrap_or_default().as_secs_f64()
}

fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).unwrap_or(u32::MAX))
}
