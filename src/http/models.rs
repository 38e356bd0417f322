//! `GET /v1/models` and `GET /v1/models/{id}`.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use postroom_actors::domain::completion::MAILBOX_MODEL;
use serde_json::{Value, json};

use super::{AppState, SharedState, auth, error::ApiError};
use crate::settings::Role;

/// The models that may be asked for: the backend's, else the mailbox's own.
///
/// # Errors
/// 403 for keys that may not ask.
#[utoipa::path(get, path = "/v1/models", responses(
    (status = 200, description = "OpenAI's list of models"),
    (status = 401, body = super::error::ErrorBody)))]
pub async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Client)?;
    let models = models(&state).await;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(models))
}

/// One of the models. Its id may hold slashes, raw or as `%2F`.
///
/// # Errors
/// 404 for a model that is not in the list.
#[utoipa::path(get, path = "/v1/models/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "OpenAI's model object"),
    (status = 401, body = super::error::ErrorBody),
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
    if id == MAILBOX_MODEL {
        return Ok(HttpResponse::Ok().json(mailbox_model(&state.shared)));
    }
    let models = models(&state).await;
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

/// The list as JSON: the backend's as it came, else our own; with the agents where that is wanted.
async fn models(state: &AppState) -> Bytes {
    let agents = agent_models(&state.shared);
    if let Some(forwarder) = &state.forwarder
        && let Some(list) = forwarder.backend_models().await
    {
        return with_agents(list.body.clone(), agents);
    }
    let own = std::iter::once(mailbox_model(&state.shared)).chain(agents);
    let own = json!({ "object": "list", "data": own.collect::<Vec<_>>() });
    own.to_string().into()
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
}
