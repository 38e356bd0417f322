//! The HTTP surface: the route table, and what every request meets on its way in.
//!
//! A request passes, in this order: a net for panics, the check of its key, its handler. Handlers
//! talk to actors through mailboxes and to the outside through ports; they know no adapter.

pub mod auth;
pub mod body;
pub mod chat_completions;
pub mod error;
pub mod health;
pub mod metrics;
pub mod models;
pub mod openapi;
pub mod panics;
pub mod state;

use actix_web::{HttpRequest, web};

pub use self::state::{AppState, SharedState};
use crate::http::error::ApiError;

/// Adds every route. `web::resource` answers 405 with `Allow` for methods it does not know.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/chat/completions")
                .route(web::post().to(chat_completions::create))
                .else_405("POST"),
        )
        .service(
            web::resource("/v1/models")
                .route(web::get().to(models::list))
                .else_405("GET"),
        )
        .service(
            web::resource("/v1/models/{id:.*}")
                .route(web::get().to(models::retrieve))
                .else_405("GET"),
        )
        .service(
            web::resource("/health")
                .route(web::get().to(health::health))
                .else_405("GET"),
        )
        .service(
            web::resource("/healthz")
                .route(web::get().to(health::live))
                .else_405("GET"),
        )
        .service(
            web::resource("/readyz")
                .route(web::get().to(health::ready))
                .else_405("GET"),
        )
        .service(
            web::resource("/metrics")
                .route(web::get().to(metrics::show))
                .else_405("GET"),
        )
        .service(
            web::resource("/openapi.json")
                .route(web::get().to(openapi::show))
                .else_405("GET"),
        )
        .default_service(web::to(unknown_path));
}

async fn unknown_path(request: HttpRequest, payload: web::Payload) -> ApiError {
    body::cut_upload(request.headers(), payload);
    ApiError::unknown_path(request.path())
}

/// A resource with one verb, and an answer of our own form for all others.
trait OneVerb {
    /// Answers 405 to every verb that has no handler.
    fn else_405(self, allowed: &'static str) -> Self;
}

impl OneVerb for actix_web::Resource {
    fn else_405(self, allowed: &'static str) -> Self {
        let refuse = move |request: HttpRequest, payload: web::Payload| async move {
            body::cut_upload(request.headers(), payload);
            ApiError::method_not_allowed(allowed)
        };
        self.default_service(web::to(refuse))
    }
}
