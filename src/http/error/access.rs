//! Answers to whoever comes by a wrong way, and about keys.

use actix_web::http::StatusCode;

use super::{ApiError, Kind, shorten};

impl ApiError {
    /// 403: the request uses a name for us that we do not know.
    pub fn foreign_host(host: &str, table: &str) -> Self {
        let message = format!(
            "`{}` is no name of this service; use 127.0.0.1, or add the name to `{table}.allowed_hosts`",
            shorten(host)
        );
        let error = Self::new(StatusCode::FORBIDDEN, Kind::Permission, message);
        Self {
            code: Some("foreign_host"),
            ..error
        }
    }

    /// 403: a web page asks that may not.
    pub fn foreign_origin(origin: &str, table: &str) -> Self {
        let message = format!(
            "pages of `{}` may not ask here; add it to `{table}.allowed_origins` if they should",
            shorten(origin)
        );
        let error = Self::new(StatusCode::FORBIDDEN, Kind::Permission, message);
        Self {
            code: Some("foreign_origin"),
            ..error
        }
    }

    /// 404: no such key.
    pub fn unknown_key(message: String) -> Self {
        let error = Self::new(StatusCode::NOT_FOUND, Kind::NotFound, message);
        Self {
            code: Some("key_not_found"),
            ..error
        }
    }

    /// 409: the keys there are do not allow that.
    pub fn key_conflict(message: String) -> Self {
        let error = Self::new(StatusCode::CONFLICT, Kind::InvalidRequest, message);
        Self {
            code: Some("key_conflict"),
            param: Some("name".into()),
            ..error
        }
    }

    /// 503: the file of keys cannot be used.
    pub fn keys_unusable(message: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Kind::Internal, message)
    }
}
