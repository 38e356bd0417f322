//! `/agents…`: who there is, hiring, starting and stopping. For operators.

mod status;

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Payload},
};
use postroom_actors::{
    agent_directory::{Agent, HireAgent, RemoveAgent, TellAgent},
    agent_supervisor::{AgentStatus, SetRunState},
    domain::ids::AgentId,
    ports::turns::HiredAgent,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

pub(super) use self::status::{all as statuses, of as status_of, why_parked};
use super::{AppState, SharedState, auth, body, error::ApiError, waiting};
use crate::settings::Role;

/// `POST /agents`
#[derive(Debug, Deserialize, ToSchema)]
pub struct HireRequest {
    /// What it is to be, e.g. `engineer`; with `name` it makes the id.
    pub role: Option<String>,
    /// Which of these.
    pub name: Option<String>,
    /// Its id, in place of role and name.
    pub id: Option<String>,
    /// The command of its CLI; left out: as configured.
    pub cli: Option<String>,
}

/// The answer to `POST /agents`
#[derive(Debug, Serialize, ToSchema)]
pub struct HireAnswer {
    /// The agent.
    #[schema(value_type = Object)]
    pub agent: AgentStatus,
    /// Whether its workspace is new.
    pub created: bool,
}

/// All agents, and how each is.
///
/// # Errors
/// 403 for keys that are no operator's.
#[utoipa::path(get, path = "/agents", responses(
    (status = 200, description = "`{\"agents\": […]}`"),
    (status = 403, body = super::error::ErrorBody)))]
pub async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let agents = statuses(&state.shared).await;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "agents": agents })))
}

/// Makes an agent, or finds it; one that is there takes over the command.
///
/// # Errors
/// 400 for a body or a name that cannot be used, 403, 503 where its workspace cannot be made.
#[utoipa::path(post, path = "/agents", request_body = HireRequest, responses(
    (status = 200, body = HireAnswer, description = "it was there already"),
    (status = 201, body = HireAnswer),
    (status = 400, body = super::error::ErrorBody),
    (status = 403, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn hire(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let shared = &state.shared;
    let body = body::read(&request, payload, shared.body_limits).await?;
    shared.intake.admit()?;
    let hire: HireRequest = body::parse(&body)?;
    let id = wanted_id(&hire)?;
    let cli = hire.cli.filter(|cli| !cli.trim().is_empty());
    let (reply, hired) = oneshot::channel();
    shared.directory.try_deliver(HireAgent {
        id,
        hired: HiredAgent {
            cli,
            is_stopped: false,
        },
        reply,
    })?;
    let hired = waiting::answer(hired, shared.directory.name()).await??;
    let status = if hired.is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(HttpResponse::build(status).json(HireAnswer {
        agent: status_of(&hired.agent).await,
        created: hired.is_new,
    }))
}

fn wanted_id(hire: &HireRequest) -> Result<AgentId, ApiError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let (id, param) = match (given(&hire.id), given(&hire.role)) {
        (Some(id), _) => (AgentId::parse(&id), "id"),
        (None, Some(role)) => (AgentId::of_role(&role, hire.name.as_deref()), "role"),
        (None, None) => {
            let message = "`role` (with `name` where there are several) or `id` is needed";
            return Err(ApiError::bad_request(message, Some("role")));
        }
    };
    id.map_err(|invalid| ApiError::bad_request(invalid.to_string(), Some(param)))
}

/// How one agent is.
///
/// # Errors
/// 403, and 404 for an unknown agent.
#[utoipa::path(get, path = "/agents/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "how it is"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody)))]
pub async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let agent = named(&state.shared, &request)?;
    Ok(HttpResponse::Ok().json(status_of(&agent).await))
}

/// Takes an agent out: what runs is cancelled, what waits fails. Its workspace stays.
///
/// # Errors
/// 403, and 404 for an unknown agent.
#[utoipa::path(delete, path = "/agents/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "`{\"ok\": true}`"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody)))]
pub async fn remove(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let shared = &state.shared;
    let id = named(shared, &request)?.profile.id.clone();
    let (reply, removed) = oneshot::channel();
    shared.directory.try_deliver(RemoveAgent {
        id: id.clone(),
        reply,
    })?;
    if !waiting::answer(removed, shared.directory.name()).await? {
        return Err(ApiError::unknown_agent(id.as_str()));
    }
    Ok(HttpResponse::Ok().json(serde_json::json!({ "ok": true })))
}

/// Lets an agent take turns.
///
/// # Errors
/// 403, and 404 for an unknown agent.
#[utoipa::path(post, path = "/agents/{id}/start", params(("id" = String, Path)), responses(
    (status = 200, description = "how it is now"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody)))]
pub async fn start(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    set(&state.shared, &request, SetRunState::Start).await
}

/// Lets an agent take no more turns. What runs is interrupted and waits again, as what waits does;
/// who waits for an answer on an open connection is told.
///
/// # Errors
/// 403, and 404 for an unknown agent.
#[utoipa::path(post, path = "/agents/{id}/stop", params(("id" = String, Path)), responses(
    (status = 200, description = "how it is now"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody)))]
pub async fn stop(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    set(&state.shared, &request, SetRunState::Stop).await
}

/// Lets a parked agent try again.
///
/// # Errors
/// 403, and 404 for an unknown agent.
#[utoipa::path(post, path = "/agents/{id}/resume", params(("id" = String, Path)), responses(
    (status = 200, description = "how it is now"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody)))]
pub async fn resume(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    set(&state.shared, &request, SetRunState::Start).await
}

async fn set(
    shared: &SharedState,
    request: &HttpRequest,
    run_state: SetRunState,
) -> Result<HttpResponse, ApiError> {
    auth::require(request, Role::Operator)?;
    let agent = named(shared, request)?;
    tell(shared, &agent, run_state).await?;
    Ok(HttpResponse::Ok().json(status_of(&agent).await))
}

/// Tells an agent to take turns, or not to, and waits until it does.
///
/// # Errors
/// 503 where it does not answer in time.
pub(super) async fn tell(
    shared: &SharedState,
    agent: &Agent,
    run_state: SetRunState,
) -> Result<(), ApiError> {
    let (reply, told) = oneshot::channel();
    shared.directory.try_deliver(TellAgent {
        id: agent.profile.id.clone(),
        state: run_state,
        reply,
    })?;
    // An agent that was removed meanwhile is shown as it was.
    waiting::answer(told, shared.directory.name()).await?;
    Ok(())
}

/// The agent that the path names.
pub(super) fn named(shared: &SharedState, request: &HttpRequest) -> Result<Agent, ApiError> {
    let name = request.match_info().query("id");
    let id = AgentId::parse(name).ok();
    id.and_then(|id| shared.agents.find(&id))
        .ok_or_else(|| ApiError::unknown_agent(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(body: &str) -> Result<String, ApiError> {
        let hire: HireRequest = serde_json::from_str(body).unwrap();
        wanted_id(&hire).map(|id| id.to_string())
    }

    #[test]
    fn an_agent_is_named_by_its_id_or_by_role_and_name() {
        assert_eq!(
            id(r#"{"role": "engineer", "name": "Alice B"}"#).unwrap(),
            "engineer_alice-b"
        );
        assert_eq!(id(r#"{"role": "writer"}"#).unwrap(), "writer");
        assert_eq!(id(r#"{"role": "writer", "id": "bob"}"#).unwrap(), "bob");
    }

    #[test]
    fn names_that_are_none_are_refused_with_their_field() {
        for (body, param) in [
            ("{}", "role"),
            (r#"{"name": "alice"}"#, "role"),
            (r#"{"role": "  "}"#, "role"),
            (r#"{"id": "../etc"}"#, "id"),
        ] {
            assert_eq!(
                id(body).unwrap_err().body().error.param.as_deref(),
                Some(param),
                "{body}"
            );
        }
    }
}
