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

use actix_web::{HttpRequest, http::Method, web};

pub use self::state::{AppState, SharedState};
use crate::http::error::ApiError;

/// Adds every route. `web::resource` answers 405 with `Allow` for methods it does not know.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/v1/chat/completions")
                .post(chat_completions::create)
                .wrap_405("POST"),
        )
        .service(
            web::resource("/v1/models")
                .get(models::list)
                .wrap_405("GET"),
        )
        .service(
            web::resource("/v1/models/{id:.*}")
                .get(models::retrieve)
                .wrap_405("GET"),
        )
        .service(web::resource("/health").get(health::health).wrap_405("GET"))
        .service(web::resource("/healthz").get(health::live).wrap_405("GET"))
        .service(web::resource("/readyz").get(health::ready).wrap_405("GET"))
        .service(web::resource("/metrics").get(metrics::show).wrap_405("GET"))
        .service(
            web::resource("/openapi.json")
                .get(openapi::show)
                .wrap_405("GET"),
        )
        .default_service(web::to(unknown_path));
}

async fn unknown_path(request: HttpRequest) -> ApiError {
    ApiError::unknown_path(request.path())
}

/// The verbs of a resource, with an answer of our own form for all others.
trait ResourceExt: Sized {
    fn get<F, Args>(self, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static;

    fn post<F, Args>(self, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static;

    /// Answers 405 to every verb that has no handler.
    fn wrap_405(self, allowed: &'static str) -> Self;
}

impl ResourceExt for actix_web::Resource {
    fn get<F, Args>(self, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        self.route(web::method(Method::GET).to(handler))
    }

    fn post<F, Args>(self, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        self.route(web::method(Method::POST).to(handler))
    }

    fn wrap_405(self, allowed: &'static str) -> Self {
        self.default_service(web::to(move || async move {
            ApiError::method_not_allowed(allowed)
        }))
    }
}
