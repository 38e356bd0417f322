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

/// The list as JSON: the backend's as it came, else our own.
async fn models(state: &AppState) -> Bytes {
    if let Some(forwarder) = &state.forwarder
        && let Some(list) = forwarder.backend_models().await
    {
        return list.body.clone();
    }
    let own = json!({ "object": "list", "data": [mailbox_model(&state.shared)] });
    own.to_string().into()
}

fn mailbox_model(shared: &SharedState) -> Value {
    json!({
        "id": MAILBOX_MODEL,
        "object": "model",
        "created": shared.started_at.timestamp(),
        "owned_by": "openclaw",
    })
}
