//! Answers for browsers: their headers, and errors as pages.

use std::{
    fmt,
    future::{Ready, ready},
};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Payload,
};
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use postroom_actors::ports::StoreError;

use super::shell;
use crate::http::{body, error::ApiError};

/// What a page may load and do: nothing but what is served beside it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An answer with the headers that all answers of the dashboard have.
pub(super) fn with_headers(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"));
    response
}

/// A page.
pub(super) fn page(status: StatusCode, page: String) -> HttpResponse {
    with_headers(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type("text/html; charset=utf-8")
        .body(page)
}

/// Sends the browser to another of our pages.
pub(super) fn see_other(path: &str) -> HttpResponse {
    with_headers(StatusCode::SEE_OTHER)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::LOCATION, path))
        .finish()
}

/// The same, and has it keep a cookie.
pub(super) fn see_other_with_cookie(path: &str, cookie: &str) -> HttpResponse {
    let mut response = see_other(path);
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Why there is no such page, or why something was not done.
#[derive(Debug)]
pub(super) enum PageError {
    /// Whoever wants to see this path must log in first.
    LogIn(String),
    /// Anything else.
    Refused {
        /// Its status, headers and, where nothing else is said, its words.
        error: ApiError,
        /// In words.
        why: Option<&'static str>,
    },
}

impl PageError {
    /// 403 with a reason.
    pub(super) fn forbidden(why: &'static str) -> Self {
        Self::Refused {
            error: ApiError::forbidden("operator"),
            why: Some(why),
        }
    }

    /// 404 with a reason.
    pub(super) fn unknown(why: &'static str) -> Self {
        Self::Refused {
            error: ApiError::unknown_path("/web"),
            why: Some(why),
        }
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self::Refused { error, why: None }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LogIn(_) => formatter.write_str("log in first"),
            Self::Refused { why: Some(why), .. } => formatter.write_str(why),
            Self::Refused { error, .. } => error.fmt(formatter),
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::LogIn(_) => StatusCode::SEE_OTHER,
            Self::Refused { error, .. } => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::LogIn(path) => {
                let next = utf8_percent_encode(path, NON_ALPHANUMERIC);
                see_other(&format!("/web/login?next={next}"))
            }
            Self::Refused { error, .. } => {
                let mut response = page(self.status_code(), error_page(self));
                add_headers(&mut response, error);
                response
            }
        }
    }
}

fn error_page(error: &PageError) -> String {
    let status = error.status_code();
    let title = status.canonical_reason().unwrap_or("Error");
    let content = html! {
        main.alone #main {
            div.card {
                h1 { (title) }
                p { (error.to_string()) }
                p { a href="/" { "To the overview" } " · " a href="/web/login" { "Log in" } }
                p.quiet { "Status " (status.as_u16()) }
            }
        }
    };
    shell::bare(title, &content)
}

fn add_headers(response: &mut HttpResponse, error: &ApiError) {
    for (name, value) in error.error_response().headers() {
        // Its own type and length are those of JSON.
        if [header::RETRY_AFTER, header::ALLOW].contains(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
}

/// Says when to come back, where an error says so.
pub(super) fn add_retry_after(response: &mut HttpResponse, error: &ApiError) {
    add_headers(response, error);
}

/// 405, as a page.
pub(super) fn other_verb(allowed: &'static str) -> Ready<PageError> {
    ready(ApiError::method_not_allowed(allowed).into())
}

/// 404, as a page.
pub(super) async fn unknown_path(request: HttpRequest, payload: Payload) -> PageError {
    body::cut_upload(request.headers(), payload);
    ApiError::unknown_path(request.path()).into()
}

/// An error is also an answer, for handlers that have no other.
impl actix_web::Responder for PageError {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        self.error_response()
    }
}
