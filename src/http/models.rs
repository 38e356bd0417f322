//! `GET /v1/models` and `GET /v1/models/{id}`: all, or what the agent of a header may be asked for.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use postroom_actors::{
    agent_directory::Agent,
    domain::{completion::MAILBOX_MODEL, routing::Route},
};
use serde_json::{Value, json};

use super::{
    AppState, SharedState, auth,
    error::ApiError,
    incoming::{named_agent, routed_agent},
};
use crate::settings::Role;

/// The models that may be asked for: the backend's, else the mailbox's own. With
/// `x-openclaw-agent-id` only those that the agent's `models` allow.
///
/// # Errors
/// 403 for keys that may not ask, 404 for an unknown agent.
#[utoipa::path(get, path = "/v1/models",
    params(
        ("x-openclaw-agent-id" = Option<String>, Header, description = "the agent whose models are meant"),
        ("x-openclaw-agent" = Option<String>, Header, description = "the same")),
    responses(
        (status = 200, body = Object, description = "OpenAI's list of models"),
        (status = 401, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody)))]
pub async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Client)?;
    let agent = scope(&state.shared, &request)?;
    let models = models(&state, agent.as_ref()).await;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(models))
}

/// One of the models. Its id may hold slashes, raw or as `%2F`.
///
/// # Errors
/// 404 for a model that is not in the list, and for an unknown agent.
#[utoipa::path(get, path = "/v1/models/{id}",
    params(
        ("id" = String, Path),
        ("x-openclaw-agent-id" = Option<String>, Header, description = "the agent whose models are meant"),
        ("x-openclaw-agent" = Option<String>, Header, description = "the same")),
    responses(
        (status = 200, body = Object, description = "OpenAI's model object"),
        (status = 401, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody)))]
pub async fn retrieve(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Client)?;
    let id = request
        .path()
        .strip_prefix("/v1/models/")
        .unwrap_or_default();
    let id = percent_decode_str(id).decode_utf8_lossy();
    let agent = scope(&state.shared, &request)?;
    if id == MAILBOX_MODEL && agent.is_none() {
        return Ok(HttpResponse::Ok().json(mailbox_model(&state.shared)));
    }
    let models = models(&state, agent.as_ref()).await;
    let models: Value = serde_json::from_slice(&models).unwrap_or_default();
    let mut known = models
        .get("data")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    match known.find(|model| model.get("id").is_some_and(|known| known == id.as_ref())) {
        Some(model) => Ok(HttpResponse::Ok().json(model)),
        None => Err(ApiError::unknown_model(&id)),
    }
}

/// The agent of the header, where its models are bounded.
fn scope(shared: &SharedState, request: &HttpRequest) -> Result<Option<Agent>, ApiError> {
    let header = named_agent(request.headers()).filter(|name| !name.trim().is_empty());
    let Some(name) = header else {
        return Ok(None);
    };
    match shared.agents.routing().route(Some(&name), None)? {
        Route::Mailbox => Ok(None),
        Route::Agent(id) => {
            let agent = routed_agent(shared, &id)?;
            Ok(Some(agent).filter(|agent| !agent.profile.models.is_empty()))
        }
    }
}

/// The list as JSON: the backend's as it came, else our own; with the agents where that is wanted.
/// Of an agent whose models are bounded, those.
async fn models(state: &AppState, agent: Option<&Agent>) -> Bytes {
    let shared = &state.shared;
    let backend = match &state.forwarder {
        Some(forwarder) => forwarder.backend_models().await,
        None => None,
    };
    match (backend, agent) {
        (Some(list), None) => with_agents(list.body.clone(), agent_models(shared)),
        (Some(list), Some(agent)) => allowed(&list.body, &agent.profile.models),
        (None, None) => {
            let own = std::iter::once(mailbox_model(shared)).chain(agent_models(shared));
            list_of(&own.collect::<Vec<_>>())
        }
        // Nobody knows better than the configuration then.
        (None, Some(agent)) => {
            let models = agent.profile.models.iter();
            list_of(&models.map(|id| model(shared, id)).collect::<Vec<_>>())
        }
    }
}

fn list_of(models: &[Value]) -> Bytes {
    json!({ "object": "list", "data": models })
        .to_string()
        .into()
}

/// Of a backend's list the models with these ids, as they came.
fn allowed(list: &[u8], ids: &[String]) -> Bytes {
    let mut list: Value = serde_json::from_slice(list).unwrap_or_default();
    if let Some(models) = list.get_mut("data").and_then(Value::as_array_mut) {
        models.retain(|model| {
            let id = model.get("id").and_then(Value::as_str);
            id.is_some_and(|id| ids.iter().any(|known| known == id))
        });
    }
    list.to_string().into()
}

/// A list with more models at its end. One that is not of OpenAI's form stays as it is.
fn with_agents(list: Bytes, agents: Vec<Value>) -> Bytes {
    if agents.is_empty() {
        return list;
    }
    let Ok(mut longer) = serde_json::from_slice::<Value>(&list) else {
        return list;
    };
    match longer.get_mut("data").and_then(Value::as_array_mut) {
        Some(models) => models.extend(agents),
        None => return list,
    }
    longer.to_string().into()
}

/// The agents as models: none, unless they are to be listed.
fn agent_models(shared: &SharedState) -> Vec<Value> {
    let agents = if shared.list_agents {
        shared.agents.all()
    } else {
        Vec::new()
    };
    let models = agents
        .iter()
        .map(|agent| model(shared, &format!("openclaw/{}", agent.profile.id)));
    models.collect()
}

fn mailbox_model(shared: &SharedState) -> Value {
    model(shared, MAILBOX_MODEL)
}

fn model(shared: &SharedState, id: &str) -> Value {
    json!({
        "id": id,
        "object": "model",
        "created": shared.started_at.timestamp(),
        "owned_by": "openclaw",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_stand_behind_the_backends_models() {
        let list = Bytes::from_static(br#"{"object":"list","data":[{"id":"a/b"}]}"#);
        assert_eq!(with_agents(list.clone(), Vec::new()), list);
        let longer = with_agents(list, vec![json!({"id": "openclaw/alice"})]);
        let longer: Value = serde_json::from_slice(&longer).unwrap();
        assert_eq!(longer["data"][1]["id"], "openclaw/alice");
        let odd = Bytes::from_static(b"[]");
        assert_eq!(with_agents(odd.clone(), vec![json!({})]), odd);
    }

    #[test]
    fn an_agent_is_shown_what_it_may_be_asked_for_as_it_came() {
        let list = br#"{"object":"list","data":[{"id":"a/b","x":1},{"id":"c"},{}]}"#;
        let shown = allowed(list, &["a/b".to_owned(), "elsewhere".to_owned()]);
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        let expected = json!({"object": "list", "data": [{"id": "a/b", "x": 1}]});
        assert_eq!(shown, expected);
    }
}
