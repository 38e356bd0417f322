//! What goes wrong with backends where a client must be told.

use std::time::Duration;

use actix_web::http::StatusCode;
use postroom_actors::domain::agent::AgentProfile;

use super::{ApiError, BUSY_RETRY_S, Kind, shorten};
use crate::forwarding::EmbeddingsError;

impl ApiError {
    /// 404: an agent may not be asked for this model.
    pub fn model_not_allowed(model: &str, agent: &AgentProfile) -> Self {
        let message = format!(
            "model not found: `{}`; agent `{}` may be asked for {}",
            shorten(model),
            agent.id,
            listed(&agent.models),
        );
        Self {
            param: Some("model".into()),
            ..Self::not_found(message, "model_not_found")
        }
    }

    /// 503: nobody makes embeddings. Sending it again would not help.
    pub fn no_embeddings_backend() -> Self {
        let message =
            "no embeddings backend is configured; set `[embeddings] url` or `[backend] url`";
        Self {
            is_final: true,
            ..Self::backend(
                StatusCode::SERVICE_UNAVAILABLE,
                "no_embeddings_backend",
                message,
            )
        }
    }

    fn backend(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            ..Self::new(status, Kind::Backend, message)
        }
    }
}

fn listed(models: &[String]) -> String {
    let shown: Vec<String> = models
        .iter()
        .take(10)
        .map(|model| format!("`{model}`"))
        .collect();
    shown.join(", ")
}

/// Whole seconds, rounded up.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl From<EmbeddingsError> for ApiError {
    fn from(error: EmbeddingsError) -> Self {
        let message = error.to_string();
        let bad_gateway = |code| Self::backend(StatusCode::BAD_GATEWAY, code, message.clone());
        match error {
            EmbeddingsError::TooMany => Self::overloaded(message, BUSY_RETRY_S),
            EmbeddingsError::LeftAlone { retry_after } => {
                Self::overloaded(message, seconds(retry_after))
            }
            EmbeddingsError::RateLimited { retry_after } => Self {
                retry_after_s: retry_after.map(seconds),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::RateLimit, message)
            },
            EmbeddingsError::Refused { status: 404, .. } => {
                Self::new(StatusCode::NOT_FOUND, Kind::NotFound, message)
            }
            EmbeddingsError::Refused { status, .. } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                Self::new(status, Kind::InvalidRequest, message)
            }
            EmbeddingsError::KeyRefused { .. } => Self {
                is_final: true,
                ..bad_gateway("backend_key_refused")
            },
            EmbeddingsError::TimedOut => {
                Self::backend(StatusCode::GATEWAY_TIMEOUT, "backend_timed_out", message)
            }
            EmbeddingsError::Failed(_) => bad_gateway("backend_failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_failure_is_never_a_401_of_ours() {
        for (error, status) in [
            (EmbeddingsError::KeyRefused { status: 401 }, 502),
            (EmbeddingsError::TimedOut, 504),
            (EmbeddingsError::Failed("fails".into()), 502),
            (EmbeddingsError::TooMany, 503),
            (EmbeddingsError::RateLimited { retry_after: None }, 429),
        ] {
            assert_eq!(ApiError::from(error).status.as_u16(), status);
        }
    }

    #[test]
    fn a_wait_is_rounded_up_to_seconds() {
        let retry_after = Duration::from_millis(1200);
        let error = ApiError::from(EmbeddingsError::LeftAlone { retry_after });
        assert_eq!(error.retry_after_s, Some(2));
    }
}
