//! What goes wrong with agents, their tasks and their turns.

use actix_web::http::StatusCode;
use postroom_actors::{
    agent_directory::HireError,
    agent_supervisor::QueueError,
    domain::{
        agent_request::RequestFault,
        ids::TurnId,
        turn::{Failure, FailureCode},
    },
    ports::turns::WorkspaceError,
};

use super::{ApiError, BUSY_RETRY_S, Kind, STORE_RETRY_S, shorten};

impl ApiError {
    /// 404: no such agent.
    pub fn unknown_agent(name: &str) -> Self {
        let message = format!("no agent `{}`; `GET /agents` lists them", shorten(name));
        Self::not_found(message, "agent_not_found")
    }

    /// 404: no such turn.
    pub fn unknown_turn(id: &str) -> Self {
        let message = format!("no turn `{}`", shorten(id));
        Self::not_found(message, "turn_not_found")
    }

    /// 404: no such response, or another caller's.
    pub fn unknown_response(id: &str) -> Self {
        let message = format!("no response `{}`", shorten(id));
        Self::not_found(message, "response_not_found")
    }

    /// 400: what a response goes on from is not known (any more).
    pub fn previous_response_not_found(id: &str) -> Self {
        let message = format!(
            "previous response `{}` was not found, or it ended too long ago; send the whole conversation instead",
            shorten(id)
        );
        Self {
            code: Some("previous_response_not_found"),
            ..Self::bad_request(message, Some("previous_response_id"))
        }
    }

    /// 403: an agent speaks for itself alone.
    pub fn other_agent(own: &str) -> Self {
        let message = format!("this key may speak for agent `{own}` only");
        Self::new(StatusCode::FORBIDDEN, Kind::Permission, message)
    }

    /// A task that was taken back, to whoever waited for it.
    pub fn cancelled() -> Self {
        let message = "the request was cancelled";
        Self::agent(StatusCode::BAD_GATEWAY, "cancelled", message)
    }

    /// 503: nobody knows what became of it.
    pub fn lost() -> Self {
        Self {
            retry_after_s: Some(STORE_RETRY_S),
            is_final: false,
            ..Self::agent(
                StatusCode::SERVICE_UNAVAILABLE,
                "interrupted",
                "the agent stopped working on it before it ended",
            )
        }
    }

    pub(super) fn not_found(message: String, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..Self::new(StatusCode::NOT_FOUND, Kind::NotFound, message)
        }
    }

    fn agent(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            is_final: true,
            ..Self::new(status, Kind::Agent, message)
        }
    }
}

/// Why a task got no answer, to whoever waited for it. The words are the CLI's own where it said
/// some.
impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        let (status, code) = match failure.code {
            FailureCode::CannotStart => (StatusCode::SERVICE_UNAVAILABLE, "cannot_start"),
            FailureCode::TurnFailed | FailureCode::SessionLost => {
                (StatusCode::BAD_GATEWAY, "turn_failed")
            }
            FailureCode::NoAnswer => (StatusCode::BAD_GATEWAY, "no_answer"),
            FailureCode::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
            FailureCode::Cancelled => (StatusCode::BAD_GATEWAY, "cancelled"),
            FailureCode::Interrupted => (StatusCode::SERVICE_UNAVAILABLE, "interrupted"),
            FailureCode::PromptTooLong => (StatusCode::BAD_REQUEST, "prompt_too_long"),
            FailureCode::OutOfAttempts => (StatusCode::BAD_GATEWAY, "out_of_attempts"),
            FailureCode::AgentRemoved => (StatusCode::NOT_FOUND, "agent_removed"),
        };
        let mut error = Self::agent(status, code, failure.message.clone());
        match failure.code {
            FailureCode::Interrupted => {
                error.retry_after_s = Some(STORE_RETRY_S);
                error.is_final = false;
            }
            FailureCode::PromptTooLong => error.kind = Kind::InvalidRequest,
            _ => {}
        }
        error
    }
}

impl From<RequestFault> for ApiError {
    fn from(fault: RequestFault) -> Self {
        Self {
            param: fault.param().map(|param| param.to_owned().into()),
            ..Self::bad_request(fault.to_string(), None)
        }
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        let unavailable =
            |code, message| Self::agent(StatusCode::SERVICE_UNAVAILABLE, code, message);
        let message = error.to_string();
        match error {
            QueueError::Store(error) => error.into(),
            QueueError::Full { .. } => Self::overloaded(message, BUSY_RETRY_S),
            QueueError::Stopping => Self::stopping(),
            QueueError::Duplicate(_) | QueueError::Conflict(_) => {
                Self::idempotency_conflict(message)
            }
            QueueError::Stopped(_) => unavailable("agent_stopped", message),
            QueueError::Parked { .. } => unavailable("agent_parked", message),
        }
    }
}

impl From<HireError> for ApiError {
    fn from(error: HireError) -> Self {
        let message = error.to_string();
        match error {
            HireError::ReservedName(_) => Self::bad_request(message, Some("id")),
            HireError::Command(_) => Self::bad_request(message, Some("cli")),
            HireError::Workspace(_) => Self::overloaded(message, STORE_RETRY_S),
        }
    }
}

impl From<WorkspaceError> for ApiError {
    fn from(error: WorkspaceError) -> Self {
        Self::overloaded(error.to_string(), STORE_RETRY_S)
    }
}

/// A turn by its id, as it stands in a path.
///
/// # Errors
/// 404 for what is no id.
pub(in crate::http) fn turn_id(text: &str) -> Result<TurnId, ApiError> {
    TurnId::parse(text).ok_or_else(|| ApiError::unknown_turn(text))
}

#[cfg(test)]
mod tests {
    use actix_web::{ResponseError, http::header};
    use postroom_actors::{domain::ids::AgentId, ports::StoreError};

    use super::*;

    fn failed(code: FailureCode) -> ApiError {
        ApiError::from(&Failure {
            code,
            message: "out of credit".to_owned(),
        })
    }

    #[test]
    fn each_kind_of_failure_has_its_status_and_code() {
        for (code, status, name) in [
            (FailureCode::CannotStart, 503, "cannot_start"),
            (FailureCode::TurnFailed, 502, "turn_failed"),
            (FailureCode::NoAnswer, 502, "no_answer"),
            (FailureCode::TimedOut, 504, "timed_out"),
            (FailureCode::Cancelled, 502, "cancelled"),
            (FailureCode::Interrupted, 503, "interrupted"),
            (FailureCode::PromptTooLong, 400, "prompt_too_long"),
            (FailureCode::OutOfAttempts, 502, "out_of_attempts"),
            (FailureCode::AgentRemoved, 404, "agent_removed"),
        ] {
            let error = failed(code);
            assert_eq!(error.status_code().as_u16(), status, "{code:?}");
            assert_eq!(error.body().error.code, name);
            assert_eq!(error.body().error.message, "out of credit");
        }
    }

    #[test]
    fn clients_do_not_run_a_failed_turn_again_by_themselves() {
        let failed_turn = failed(FailureCode::TurnFailed).error_response();
        assert_eq!(
            failed_turn.headers().get("x-should-retry").unwrap(),
            "false"
        );
        let interrupted = failed(FailureCode::Interrupted).error_response();
        assert!(interrupted.headers().get("x-should-retry").is_none());
        assert!(interrupted.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn an_agent_that_takes_nothing_says_why() {
        let agent = AgentId::parse("alice").unwrap();
        let full = ApiError::from(QueueError::Full {
            agent: agent.clone(),
            waiting: 9,
        });
        assert!(
            full.error_response()
                .headers()
                .contains_key(header::RETRY_AFTER)
        );
        let parked = ApiError::from(QueueError::Parked {
            agent: agent.clone(),
            why: "program `x` was not found".to_owned(),
        });
        assert_eq!(parked.body().error.code, "agent_parked");
        assert!(parked.to_string().contains("program `x` was not found"));
        let stopped = ApiError::from(QueueError::Stopped(agent));
        let full_disk = ApiError::from(QueueError::Store(StoreError::Full));
        for error in [full, parked, stopped, full_disk] {
            assert_eq!(error.status_code(), StatusCode::SERVICE_UNAVAILABLE);
        }
    }
}
