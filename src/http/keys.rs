//! `/keys…`: who may come in. For operators.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use chrono::{DateTime, Utc};
use postroom_actors::domain::ids::AgentId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AppState,
    auth::{self, KeyChangeError, KeyView},
    body,
    error::ApiError,
};
use crate::settings::{
    Role,
    stored_keys::{NewKey, StoredKeysError},
};

/// `POST /keys`
#[derive(Debug, Deserialize, ToSchema)]
pub struct KeyRequest {
    /// Its name: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
    pub name: Option<String>,
    /// `client`, `agent` or `operator`.
    pub role: Option<String>,
    /// Whose it is, with the role `agent`.
    pub agent: Option<String>,
}

/// The answer to `POST /keys`: the only time that the key is shown.
#[derive(Serialize, ToSchema)]
pub struct KeyAnswer {
    /// Its name.
    pub name: String,
    /// What its holder may do.
    pub role: &'static str,
    /// Whose it is.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// When it was made.
    #[schema(value_type = String)]
    pub created_at: DateTime<Utc>,
    /// The key itself.
    pub key: String,
    /// Whether there was none before: from now on everybody needs one.
    pub first: bool,
}

/// All keys but those of this run and of turns; never the keys themselves.
///
/// # Errors
/// 403 for keys that are no operator's.
#[utoipa::path(get, path = "/keys", responses(
    (status = 200, description = "`{\"keys\": […]}`"),
    (status = 403, body = super::error::ErrorBody)))]
pub async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let keys: Vec<KeyView> = state.shared.door.keys().all();
    Ok(HttpResponse::Ok().json(serde_json::json!({ "keys": keys })))
}

/// Makes a key. It holds at once, and is shown only here.
///
/// # Errors
/// 400 for a name or role that cannot be used, 403, 409 where the name is taken.
#[utoipa::path(post, path = "/keys", request_body = KeyRequest, responses(
    (status = 201, body = KeyAnswer),
    (status = 400, body = super::error::ErrorBody),
    (status = 403, body = super::error::ErrorBody),
    (status = 409, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn make(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let shared = &state.shared;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let wanted = checked(&body::parse(&body)?)?;
    let made = wanted.make(shared.clock.now());
    let (stored, key) = made.map_err(|error| ApiError::keys_unusable(error.to_string()))?;
    let keys = shared.door.keys();
    let first = keys.is_empty();
    keys.add(stored.clone()).await?;
    Ok(HttpResponse::Created().json(KeyAnswer {
        name: stored.name,
        role: stored.role.name(),
        agent: stored.agent,
        created_at: stored.created_at,
        key,
        first,
    }))
}

fn checked(request: &KeyRequest) -> Result<NewKey, ApiError> {
    let name = request.name.as_deref().unwrap_or_default();
    let role = request.role.as_deref().unwrap_or_default();
    let Some(role) = Role::parse(role) else {
        let message = "`role` must be `client`, `agent` or `operator`";
        return Err(ApiError::bad_request(message, Some("role")));
    };
    let agent = request.agent.as_deref().filter(|agent| !agent.is_empty());
    NewKey::checked(name, role, agent)
        .map_err(|invalid| ApiError::bad_request(invalid.text, Some(invalid.part)))
}

/// Revokes a key: from now on it opens nothing. What its name owns stays with the name.
///
/// # Errors
/// 403, 404 for an unknown key, 409 for one of the configuration, or the last one of a service that
/// is reached from outside.
#[utoipa::path(delete, path = "/keys/{name}", params(("name" = String, Path)), responses(
    (status = 200, description = "`{\"ok\": true}`"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody),
    (status = 409, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn revoke(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let name = request.match_info().query("name");
    state.shared.door.keys().revoke(name).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "ok": true })))
}

impl From<KeyChangeError> for ApiError {
    fn from(error: KeyChangeError) -> Self {
        let message = error.to_string();
        match error {
            KeyChangeError::Configured(_)
            | KeyChangeError::File(StoredKeysError::Exists(_) | StoredKeysError::Last(_)) => {
                Self::key_conflict(message)
            }
            KeyChangeError::File(StoredKeysError::Unknown(_)) => Self::unknown_key(message),
            KeyChangeError::File(_) | KeyChangeError::Interrupted => {
                tracing::warn!(error = message, "the keys cannot be changed");
                Self::keys_unusable(message)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> Option<String> {
        let request = serde_json::from_str(body).unwrap();
        checked(&request).unwrap_err().body().error.param
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_with_its_field() {
        for (body, param) in [
            ("{}", "role"),
            (r#"{"role": "client"}"#, "name"),
            (r#"{"name": "a", "role": "admin"}"#, "role"),
            (r#"{"name": "../a", "role": "client"}"#, "name"),
            (r#"{"name": "a", "role": "agent"}"#, "agent"),
            (r#"{"name": "a", "role": "client", "agent": "b"}"#, "agent"),
        ] {
            assert_eq!(refused(body).as_deref(), Some(param), "{body}");
        }
    }
}
