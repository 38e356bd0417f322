//! Whether the service lives, is ready, and how its parts are.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use postroom_actors::{
    agent_supervisor::{AgentState, AgentStatus},
    domain::ids::AgentId,
    lifecycle::{ActorStatus, GetStatus},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AppState, SharedState, agents};

/// `GET /health`
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Whether the service can accept messages.
    pub ok: bool,
    /// Where it listens.
    pub endpoint: String,
    /// The service's process.
    pub pid: u32,
    /// The state of the agent `manager`, where there is one.
    #[schema(value_type = Option<String>)]
    pub manager: Option<AgentState>,
    /// The version of the program.
    pub version: &'static str,
    /// The actors.
    #[schema(value_type = Vec<Object>)]
    pub actors: Vec<ActorStatus>,
    /// The agents.
    pub agents: Vec<AgentHealth>,
    /// Messages that were given up and wait for an operator; `null` where the store cannot tell.
    pub dead_letters: Option<u64>,
}

/// How an agent is, in short.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentHealth {
    /// Its name.
    #[schema(value_type = String)]
    pub id: AgentId,
    /// What it does.
    #[schema(value_type = String)]
    pub state: AgentState,
    /// Why it is parked or cannot start turns.
    pub problem: Option<String>,
}

/// `GET /readyz`
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// Whether new messages are accepted.
    pub ready: bool,
    /// What keeps it from being ready, in words for an operator.
    pub problems: Vec<String>,
}

/// How long an actor or the store may take to answer a probe.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// How the service and its actors are.
#[utoipa::path(get, path = "/health", responses((status = 200, body = Health)))]
pub async fn health(state: web::Data<AppState>, _: HttpRequest) -> HttpResponse {
    let shared = &state.shared;
    let (actors, agents) = tokio::join!(statuses(shared), agents::statuses(shared));
    let ok = !shared.stopping.has_begun()
        && actors.iter().all(|actor| actor.state == "ok")
        && agents.iter().all(|agent| agent.state != AgentState::Parked);
    HttpResponse::Ok().json(Health {
        ok,
        endpoint: shared.endpoint.clone(),
        pid: shared.pid,
        manager: manager_state(&agents),
        version: env!("CARGO_PKG_VERSION"),
        actors,
        agents: agents.into_iter().map(AgentHealth::from).collect(),
        dead_letters: shared.book.dead_letters().await.ok(),
    })
}

fn manager_state(agents: &[AgentStatus]) -> Option<AgentState> {
    let manager = agents.iter().find(|agent| agent.id.as_str() == "manager");
    manager.map(|agent| agent.state)
}

impl From<AgentStatus> for AgentHealth {
    fn from(status: AgentStatus) -> Self {
        Self {
            id: status.id,
            state: status.state,
            problem: status.problem,
        }
    }
}

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", security(()), responses((status = 200, description = "it lives")))]
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "ok": true }))
}

/// Whether new messages are accepted: asks the store to write and the actors to answer.
///
/// A backend that is down, or an inbox folder that refuses, is told but costs no readiness: what is
/// accepted meanwhile is kept.
#[utoipa::path(get, path = "/readyz", security(()), responses(
    (status = 200, body = Readiness), (status = 503, body = Readiness)))]
pub async fn ready(state: web::Data<AppState>) -> HttpResponse {
    let refusing = refusing(&state.shared).await;
    let ready = refusing.is_empty();
    let mut problems = refusing;
    for actor in statuses(&state.shared).await {
        if actor.state != "ok" {
            problems.push(format!("{}: {}", actor.actor, actor.state));
        }
    }
    problems.extend(
        agents::statuses(&state.shared)
            .await
            .iter()
            .filter_map(parked),
    );
    let mut response = if ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    response.json(Readiness { ready, problems })
}

/// What keeps an agent from working. It costs no readiness: what others ask is still accepted.
fn parked(agent: &AgentStatus) -> Option<String> {
    let is_parked = agent.state == AgentState::Parked;
    let why = agent.problem.as_deref().unwrap_or("it failed too often");
    is_parked.then(|| format!("agent `{}` is parked: {why}", agent.id))
}

/// Why nothing is accepted now.
pub(super) async fn refusing(shared: &SharedState) -> Vec<String> {
    let mut problems = Vec::new();
    if shared.stopping.has_begun() {
        problems.push("the service is stopping".to_owned());
    }
    match tokio::time::timeout(PROBE_DEADLINE, shared.store.probe()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => problems.push(format!("store: {error}")),
        Err(_) => problems.push("store: no commit within 2 s".to_owned()),
    }
    if let Err(error) = shared.router.ask(GetStatus, PROBE_DEADLINE).await {
        problems.push(error.to_string());
    }
    problems
}

/// How the actors are.
pub(super) async fn statuses(shared: &SharedState) -> Vec<ActorStatus> {
    let router = shared.router.ask(GetStatus, PROBE_DEADLINE).await;
    let inbox_writer = shared.inbox_writer.ask(GetStatus, PROBE_DEADLINE).await;
    let backend_relay = shared.backend_relay.ask(GetStatus, PROBE_DEADLINE).await;
    let agent_directory = shared.directory.ask(GetStatus, PROBE_DEADLINE).await;
    let courier = shared.courier.ask(GetStatus, PROBE_DEADLINE).await;
    let named = [
        (shared.router.name(), router),
        (shared.inbox_writer.name(), inbox_writer),
        (shared.backend_relay.name(), backend_relay),
        (shared.directory.name(), agent_directory),
        (shared.courier.name(), courier),
    ];
    named
        .into_iter()
        .map(|(actor, status)| {
            status.unwrap_or_else(|error| ActorStatus {
                actor,
                waiting: 0,
                oldest_waiting_ms: None,
                state: error.to_string(),
            })
        })
        .collect()
}
