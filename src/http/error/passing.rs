//! What goes wrong where requests are passed on.

use actix_web::http::StatusCode;
use postroom_actors::ports::UpstreamError;

use super::{ApiError, BUSY_RETRY_S, Kind, shorten};

impl ApiError {
    /// 502 or 504: the other side gave no answer. Says which one, and what happened.
    pub fn upstream_failed(whose: &str, url: &str, error: &UpstreamError) -> Self {
        let (status, code, what) = match error {
            UpstreamError::Connect(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream_unreachable",
                "cannot be reached",
            ),
            UpstreamError::TimedOut(_) => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "does not answer in time",
            ),
            UpstreamError::Broken(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream_broken",
                "gave no usable answer",
            ),
            UpstreamError::Unaskable(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream_unaskable",
                "cannot be asked that",
            ),
        };
        let message = format!("{whose} at {url} {what}: {error}");
        Self {
            code: Some(code),
            ..Self::new(status, Kind::Upstream, message)
        }
    }

    /// 501: another protocol than plain HTTP is not passed on.
    pub fn no_upgrade() -> Self {
        let message = "only plain HTTP is passed on, no upgrade (WebSocket), CONNECT or TRACE";
        let error = Self::new(StatusCode::NOT_IMPLEMENTED, Kind::InvalidRequest, message);
        Self {
            closes: true,
            ..error
        }
    }

    /// 404: only what lies below `/v1/` is passed on.
    pub fn not_passed_on(path: &str) -> Self {
        let message = format!(
            "no such path: `{}`; passed on is what lies below /v1/, and GET /health tells how things are",
            shorten(path)
        );
        Self::new(StatusCode::NOT_FOUND, Kind::NotFound, message)
    }

    /// 401: no token.
    pub fn no_proxy_token() -> Self {
        let message = "the token is missing; show it as `X-Proxy-Token` or `Authorization: Bearer`";
        Self {
            code: Some("missing_proxy_token"),
            ..Self::new(StatusCode::UNAUTHORIZED, Kind::Authentication, message)
        }
    }

    /// 401: not our token.
    pub fn wrong_proxy_token() -> Self {
        let message = "the token is wrong";
        Self {
            code: Some("wrong_proxy_token"),
            ..Self::new(StatusCode::UNAUTHORIZED, Kind::Authentication, message)
        }
    }

    /// 403: the client came by a name that is not ours.
    pub fn foreign_host(host: &str) -> Self {
        let message = format!(
            "`{}` is no name of this bridge; use 127.0.0.1, or add the name to `bridge.allowed_hosts`",
            shorten(host)
        );
        Self::new(StatusCode::FORBIDDEN, Kind::Permission, message)
    }

    /// 403: a web page of others asks.
    pub fn foreign_origin(origin: &str) -> Self {
        let message = format!(
            "pages of `{}` may not ask here; add it to `bridge.allowed_origins` if they should",
            shorten(origin)
        );
        Self::new(StatusCode::FORBIDDEN, Kind::Permission, message)
    }

    /// 503: as many requests as may be passed on at once are under way.
    pub fn too_many_at_once() -> Self {
        let message =
            "too many requests at once (`upstream_proxy.max_in_flight`); try again shortly";
        Self::overloaded(message, BUSY_RETRY_S)
    }
}
