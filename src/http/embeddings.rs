//! `POST /v1/embeddings`: passed on to whoever makes embeddings. Nothing of it is kept.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use bytes::Bytes;
use postroom_actors::{
    agent_directory::Agent,
    domain::{
        agent_request::embeddings::{EmbeddingsRequest, read_embeddings},
        backend_request::{ModelRule, may_go_upstream},
        ids::AgentId,
        routing::{Route, RoutingTable},
    },
};
use tokio::time::Instant;

use super::{
    AppState, SharedState, auth, body,
    error::ApiError,
    incoming::{named_agent, routed_agent, text},
    metrics::note_request,
};
use crate::{forwarding::EmbeddingsJob, settings::Role};

/// Makes vectors of texts. Limits: 128 inputs, 8192 characters (or tokens) each, 65,536 in all.
///
/// # Errors
/// 400 for a request that is out of bounds, 404 for an unknown agent or a model that it may not
/// ask for, 408 and 413 for the body, 502 and 504 where the backend fails, 503 where there is none
/// or no room. 400, 404, 413, 422 and 429 also where the backend says so.
#[utoipa::path(post, path = "/v1/embeddings",
    params(
        ("x-openclaw-agent-id" = Option<String>, Header, description = "the agent whose `embeddings_model` is asked for"),
        ("x-openclaw-agent" = Option<String>, Header, description = "the same")),
    request_body = super::openapi::EmbeddingsBody,
    responses(
        (status = 200, body = Object, description = "OpenAI's list of embeddings"),
        (status = 400, body = super::error::ErrorBody),
        (status = 401, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody),
        (status = 408, body = super::error::ErrorBody),
        (status = 413, body = super::error::ErrorBody),
        (status = 415, body = super::error::ErrorBody),
        (status = 422, body = super::error::ErrorBody),
        (status = 429, body = super::error::ErrorBody),
        (status = 502, body = super::error::ErrorBody),
        (status = 503, body = super::error::ErrorBody),
        (status = 504, body = super::error::ErrorBody)))]
pub async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Client)?;
    let arrived = Instant::now();
    let body = body::read(&request, payload, state.shared.embeddings_limits).await?;
    if state.shared.stopping.has_begun() {
        return Err(ApiError::stopping());
    }
    let outcome = answer(&state, &request, body).await;
    note_request(&state.shared, "embeddings", &outcome, arrived);
    let answer = outcome?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(answer))
}

async fn answer(state: &AppState, request: &HttpRequest, body: Bytes) -> Result<Bytes, ApiError> {
    let checked = read_embeddings(&body)?;
    let headers = request.headers();
    let table = state.shared.agents.routing();
    let model = checked.model.as_deref();
    let agent = agent(
        &state.shared,
        &table,
        named_agent(headers).as_deref(),
        model,
    )?;
    let embedder = state.embedder.as_ref();
    let embedder = embedder.ok_or_else(ApiError::no_embeddings_backend)?;
    let agents: Vec<AgentId> = table.agents.iter().cloned().collect();
    let model = model_rule(agent.as_ref(), embedder.model(), &checked, &agents)?;
    let job = EmbeddingsJob {
        body,
        model,
        encoding: checked.encoding,
        traceparent: text(headers, "traceparent").map(str::to_owned),
    };
    Ok(embedder.embed(job).await?)
}

/// The agent that is named, by the header or by a model that means one. A model that may go
/// upstream names nobody.
fn agent(
    shared: &SharedState,
    table: &RoutingTable,
    header: Option<&str>,
    model: Option<&str>,
) -> Result<Option<Agent>, ApiError> {
    let header = header.filter(|name| !name.trim().is_empty());
    let agents: Vec<AgentId> = table.agents.iter().cloned().collect();
    let model = model.filter(|model| !may_go_upstream(model, &agents));
    if header.is_none() && model.is_none() {
        return Ok(None);
    }
    match table.route(header, model)? {
        Route::Mailbox => Ok(None),
        Route::Agent(id) => routed_agent(shared, &id).map(Some),
    }
}

/// The agent's own model, else the configured one, else the client's, if the agent may have it.
fn model_rule<'a>(
    agent: Option<&'a Agent>,
    configured: Option<&'a str>,
    checked: &EmbeddingsRequest,
    agents: &[AgentId],
) -> Result<ModelRule<'a>, ApiError> {
    let profile = agent.map(|agent| &agent.profile);
    let own = profile.and_then(|profile| profile.embeddings_model.as_deref());
    if let Some(model) = own.or(configured) {
        return Ok(ModelRule::Use(model));
    }
    match &checked.model {
        Some(model) if may_go_upstream(model, agents) => {
            match profile.filter(|profile| !profile.may_be_asked_for(Some(model))) {
                Some(profile) => Err(ApiError::model_not_allowed(model, profile)),
                None => Ok(ModelRule::Keep),
            }
        }
        _ => Ok(ModelRule::Remove),
    }
}
