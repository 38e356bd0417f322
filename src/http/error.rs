//! The only place where errors become status codes and bodies.
//!
//! The form serves the predecessor's clients (`status`) and OpenAI's (`error.message`,
//! `error.type`, `error.code`, `error.param`).

mod access;
mod agents;
mod backend;
mod messages;
mod passing;

use std::borrow::Cow;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{StatusCode, header},
};
use postroom_actors::{
    delivery::DeliveryError,
    domain::{disk_guard::DiskShortage, request::InvalidJson, routing::UnknownAgent},
    ports::StoreError,
    router::AcceptError,
};
use serde::Serialize;
use thiserror::Error;
use utoipa::{
    ToSchema,
    openapi::{Object, OneOfBuilder, Schema, schema::Type},
};

pub(super) use self::agents::turn_id;

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ApiError {
    status: StatusCode,
    kind: Kind,
    message: String,
    code: Option<&'static str>,
    param: Option<Cow<'static, str>>,
    retry_after_s: Option<u64>,
    allow: Option<&'static str>,
    closes: bool,
    /// OpenAI's clients send most 5xx again by themselves. Where a turn has run, that would run it
    /// again.
    is_final: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Agent,
    Backend,
    Authentication,
    InvalidRequest,
    Internal,
    NotFound,
    Overloaded,
    Permission,
    RateLimit,
    Upstream,
}

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Always `error`.
    pub status: &'static str,
    /// What OpenAI's clients read.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For people.
    pub message: String,
    /// The kind of error, e.g. `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// A name where there is one (`model_not_found`), else the status code.
    #[schema(schema_with = error_code)]
    pub code: serde_json::Value,
    /// The field at fault, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

/// A name or a number.
fn error_code() -> Schema {
    let name = Object::with_type(Type::String);
    let status = Object::with_type(Type::Integer);
    Schema::OneOf(OneOfBuilder::new().item(name).item(status).build())
}

/// How long a client is asked to wait when there is no room, in seconds.
const BUSY_RETRY_S: u64 = 1;

/// How long a client is asked to wait while the store cannot write, in seconds.
const STORE_RETRY_S: u64 = 5;

/// How long a client is asked to wait while a disk is low, in seconds: somebody must free some space.
const DISK_RETRY_S: u64 = 30;

impl ApiError {
    fn new(status: StatusCode, kind: Kind, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            message: message.into(),
            code: None,
            param: None,
            retry_after_s: None,
            allow: None,
            closes: false,
            is_final: false,
        }
    }

    /// 401: no key, or none that we know.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            Kind::Authentication,
            "unauthorized",
        )
    }

    /// 401: signed at another time than now.
    pub fn signed_at_another_time(message: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Kind::Authentication, message)
    }

    /// 403: the key is known, but may not do this.
    pub fn forbidden(needs: &str) -> Self {
        let message = format!("this key may not do that; it needs the role `{needs}`");
        Self::new(StatusCode::FORBIDDEN, Kind::Permission, message)
    }

    /// 429: too many wrong keys from one address.
    pub fn too_many_wrong_keys(retry_after_s: u64) -> Self {
        let message =
            "too many requests with a wrong key from this address; wait, then use the right one";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::RateLimit, message);
        Self {
            retry_after_s: Some(retry_after_s),
            ..error
        }
    }

    /// 404: no such path.
    pub fn unknown_path(path: &str) -> Self {
        let message = format!("no such path: `{}`", shorten(path));
        Self::new(StatusCode::NOT_FOUND, Kind::NotFound, message)
    }

    /// 404: no such model.
    pub fn unknown_model(model: &str) -> Self {
        let message = format!("model not found: `{}`", shorten(model));
        let error = Self::new(StatusCode::NOT_FOUND, Kind::NotFound, message);
        Self {
            code: Some("model_not_found"),
            param: Some("model".into()),
            ..error
        }
    }

    /// 405: the path is there, but not for this verb.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let message = format!("this path takes {allowed} only");
        let error = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            Kind::InvalidRequest,
            message,
        );
        Self {
            allow: Some(allowed),
            ..error
        }
    }

    /// 413: the body is over the limit. The rest of the upload is cut.
    pub fn body_too_large(limit: u64, setting: &str) -> Self {
        let message = format!("the body is over the limit of {limit} bytes (`{setting}`)");
        let error = Self::new(StatusCode::PAYLOAD_TOO_LARGE, Kind::InvalidRequest, message);
        Self {
            closes: true,
            ..error
        }
    }

    /// 408: the body stopped coming in.
    pub fn body_stalled() -> Self {
        let message = "the body stopped coming in";
        let error = Self::new(StatusCode::REQUEST_TIMEOUT, Kind::InvalidRequest, message);
        Self {
            closes: true,
            ..error
        }
    }

    /// 400: the body broke off or is not framed well.
    pub fn body_broken() -> Self {
        let error = Self::new(
            StatusCode::BAD_REQUEST,
            Kind::InvalidRequest,
            "the body could not be read",
        );
        Self {
            closes: true,
            ..error
        }
    }

    /// 415: the body is compressed.
    pub fn body_encoded() -> Self {
        let message = "compressed bodies are not taken; send the JSON as it is";
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::InvalidRequest,
            message,
        )
    }

    /// 503: too much at once.
    pub fn busy() -> Self {
        let message = "too many requests are being accepted right now; try again shortly";
        Self::overloaded(message, BUSY_RETRY_S)
    }

    /// 503: as many watch as may.
    pub fn too_many_watch(message: impl Into<String>) -> Self {
        Self::overloaded(message, STORE_RETRY_S)
    }

    /// 503: the service is about to stop.
    pub fn stopping() -> Self {
        Self::overloaded("the service is stopping; try again shortly", STORE_RETRY_S)
    }

    /// 503: a disk has too little room for new work.
    pub fn disk_low(shortage: Option<&DiskShortage>) -> Self {
        let what = shortage.map_or_else(|| "a disk is low".to_owned(), ToString::to_string);
        let message = format!("{what}; free some space, accepting goes on by itself");
        Self {
            code: Some("disk_low"),
            ..Self::overloaded(message, DISK_RETRY_S)
        }
    }

    /// 400: the request cannot be understood; names the field where one is at fault.
    pub fn bad_request(message: impl Into<String>, param: Option<&'static str>) -> Self {
        let error = Self::new(StatusCode::BAD_REQUEST, Kind::InvalidRequest, message);
        Self {
            param: param.map(Into::into),
            ..error
        }
    }

    /// 500: a handler panicked.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Internal,
            "internal error",
        )
    }

    fn overloaded(message: impl Into<String>, retry_after_s: u64) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Overloaded, message);
        Self {
            retry_after_s: Some(retry_after_s),
            ..error
        }
    }

    /// The body of this error.
    pub fn body(&self) -> ErrorBody {
        let code = self
            .code
            .map_or_else(|| self.status.as_u16().into(), Into::into);
        let error = ErrorDetail {
            message: self.message.clone(),
            kind: self.kind.name(),
            code,
            param: self.param.as_deref().map(str::to_owned),
        };
        ErrorBody {
            status: "error",
            error,
        }
    }

    fn add_headers(&self, response: &mut HttpResponseBuilder) {
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if let Some(allowed) = self.allow {
            response.insert_header((header::ALLOW, allowed));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        if self.is_final {
            response.insert_header(("x-should-retry", "false"));
        }
        if self.closes {
            response.force_close();
        }
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent_error",
            Self::Backend => "backend_error",
            Self::Authentication => "authentication_error",
            Self::InvalidRequest => "invalid_request_error",
            Self::Internal => "internal_error",
            Self::NotFound => "not_found_error",
            Self::Overloaded => "overloaded_error",
            Self::Permission => "permission_error",
            Self::RateLimit => "rate_limit_error",
            Self::Upstream => "upstream_error",
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        self.add_headers(&mut response);
        response.json(self.body())
    }
}

/// An error is also an answer, for handlers that have no other.
impl actix_web::Responder for ApiError {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &actix_web::HttpRequest) -> HttpResponse {
        self.error_response()
    }
}

impl From<InvalidJson> for ApiError {
    fn from(error: InvalidJson) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            Kind::InvalidRequest,
            error.to_string(),
        )
    }
}

impl From<UnknownAgent> for ApiError {
    fn from(UnknownAgent(name): UnknownAgent) -> Self {
        Self::unknown_model(&name)
    }
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Busy => Self::busy(),
            AcceptError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::busy(),
            error => Self::overloaded(error.to_string(), STORE_RETRY_S),
        }
    }
}

impl From<DeliveryError> for ApiError {
    fn from(error: DeliveryError) -> Self {
        match error {
            DeliveryError::Full(_) => Self::busy(),
            DeliveryError::Closed(_) | DeliveryError::TimedOut(_) => {
                Self::overloaded(error.to_string(), STORE_RETRY_S)
            }
        }
    }
}

/// A text from outside, made safe and short enough for an answer.
fn shorten(text: &str) -> String {
    text.escape_debug().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(error: &ApiError) -> serde_json::Value {
        serde_json::to_value(error.body()).unwrap()
    }

    #[test]
    fn an_error_serves_the_predecessors_clients_and_openais() {
        let body = json(&ApiError::unauthorized());
        assert_eq!(
            body,
            serde_json::json!({
                "status": "error",
                "error": {"message": "unauthorized", "type": "authentication_error", "code": 401},
            })
        );
    }

    #[test]
    fn a_named_code_stands_in_place_of_the_number() {
        let error = ApiError::from(UnknownAgent("bob".to_owned()));
        let body = json(&error);
        assert_eq!(body["error"]["code"], "model_not_found");
        assert_eq!(body["error"]["param"], "model");
        assert!(error.to_string().contains("`bob`"));
    }

    #[test]
    fn every_refusal_for_lack_of_room_says_when_to_come_back() {
        for error in [
            ApiError::busy(),
            ApiError::stopping(),
            AcceptError::Store(StoreError::Full).into(),
            DeliveryError::Full("router").into(),
        ] {
            let response = error.error_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(response.headers().contains_key(header::RETRY_AFTER));
        }
    }

    #[test]
    fn text_from_outside_is_escaped_and_cut() {
        let error = ApiError::unknown_path(&format!("/\n{}", "x".repeat(500)));
        assert!(!error.to_string().contains('\n'));
        assert!(error.to_string().len() < 200);
    }
}
