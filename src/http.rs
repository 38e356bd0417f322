//! The HTTP surface: the route table, and what every request meets on its way in.
//!
//! A request passes, in this order: a net for panics, what browsers ask beforehand, the check of its
//! key, its handler. Handlers
//! talk to actors through mailboxes and to the outside through ports; they know no adapter.

mod agent_chat;
pub mod agent_reply;
mod agent_tasks;
pub mod agents;
mod arrival;
pub mod auth;
pub mod body;
pub mod chat_completions;
pub mod cors;
pub mod dashboard;
pub mod dead_letters;
pub mod disks;
pub mod embeddings;
pub mod error;
pub mod events;
pub mod health;
mod incoming;
pub mod intake;
pub mod keys;
pub mod messages;
pub mod metrics;
pub mod models;
pub mod openapi;
pub mod panics;
pub mod responses;
mod sse;
pub mod state;
pub mod summary;
pub mod traffic;
pub mod turns;
pub mod visitors;
mod waiting;

use actix_web::{HttpRequest, Resource, Route, web};

pub use self::state::{AppState, SharedState};
use crate::{http::error::ApiError, settings::EndpointsSettings};

/// Adds every route. `web::resource` answers 405 with `Allow` for methods it does not know.
///
/// What is switched off is not there: it is answered as an unknown path.
pub fn routes(config: &mut web::ServiceConfig, endpoints: EndpointsSettings) {
    openai_routes(config, endpoints);
    if endpoints.messages {
        config.configure(message_routes);
    }
    if endpoints.dashboard {
        config.configure(dashboard::routes);
    }
    config
        .configure(agent_routes)
        .configure(key_routes)
        .service(get("/events", web::get().to(events::follow)))
        .service(get("/health", web::get().to(health::health)))
        .service(get("/healthz", web::get().to(health::live)))
        .service(get("/readyz", web::get().to(health::ready)))
        .service(get("/metrics", web::get().to(metrics::show)))
        .service(get("/openapi.json", web::get().to(openapi::show)))
        .default_service(web::to(unknown_path));
}

fn openai_routes(config: &mut web::ServiceConfig, endpoints: EndpointsSettings) {
    if endpoints.chat_completions {
        config.service(post(
            "/v1/chat/completions",
            web::post().to(chat_completions::create),
        ));
    }
    if endpoints.responses {
        config.configure(response_routes);
    }
    if endpoints.models {
        config
            .service(get("/v1/models", web::get().to(models::list)))
            .service(get("/v1/models/{id:.*}", web::get().to(models::retrieve)));
    }
    if endpoints.embeddings {
        config.service(post("/v1/embeddings", web::post().to(embeddings::create)));
    }
}

fn response_routes(config: &mut web::ServiceConfig) {
    config
        .service(post("/v1/responses", web::post().to(responses::create)))
        .service(
            web::resource("/v1/responses/{id}")
                .route(web::get().to(responses::retrieve))
                .route(web::delete().to(responses::remove))
                .else_405("GET, DELETE"),
        )
        .service(post(
            "/v1/responses/{id}/cancel",
            web::post().to(responses::cancel),
        ))
        .service(get(
            "/v1/responses/{id}/input_items",
            web::get().to(responses::list_input),
        ));
}

fn agent_routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/agents")
                .route(web::get().to(agents::list))
                .route(web::post().to(agents::hire))
                .else_405("GET, POST"),
        )
        .service(
            web::resource("/agents/{id}")
                .route(web::get().to(agents::show))
                .route(web::delete().to(agents::remove))
                .else_405("GET, DELETE"),
        )
        .service(post("/agents/{id}/start", web::post().to(agents::start)))
        .service(post("/agents/{id}/stop", web::post().to(agents::stop)))
        .service(post("/agents/{id}/resume", web::post().to(agents::resume)))
        .service(get("/agents/{id}/turns", web::get().to(turns::list)))
        .service(
            web::resource("/turns/{id}")
                .route(web::get().to(turns::show))
                .route(web::delete().to(turns::cancel))
                .else_405("GET, DELETE"),
        )
        .service(get("/turns/{id}/events", web::get().to(turns::follow)))
        .service(post("/agent-reply", web::post().to(agent_reply::take)));
}

fn key_routes(config: &mut web::ServiceConfig) {
    config
        .service(
            web::resource("/keys")
                .route(web::get().to(keys::list))
                .route(web::post().to(keys::make))
                .else_405("GET, POST"),
        )
        .service(
            web::resource("/keys/{name}")
                .route(web::delete().to(keys::revoke))
                .else_405("DELETE"),
        );
}

fn message_routes(config: &mut web::ServiceConfig) {
    config
        .service(post("/message", web::post().to(messages::receive)))
        .service(post("/send", web::post().to(messages::send)))
        .service(get("/messages", web::get().to(messages::list)))
        .service(
            web::resource("/messages/{id}")
                .route(web::get().to(messages::show))
                .route(web::delete().to(messages::cancel))
                .else_405("GET, DELETE"),
        )
        .service(get("/dead-letters", web::get().to(dead_letters::list)))
        .service(
            web::resource("/dead-letters/{id}")
                .route(web::get().to(dead_letters::show))
                .route(web::delete().to(dead_letters::discard))
                .else_405("GET, DELETE"),
        )
        .service(post(
            "/dead-letters/{id}/retry",
            web::post().to(dead_letters::retry),
        ));
}

fn get(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).else_405("GET")
}

fn post(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).else_405("POST")
}

async fn unknown_path(request: HttpRequest, payload: web::Payload) -> ApiError {
    body::cut_upload(request.headers(), payload);
    ApiError::unknown_path(request.path())
}

/// A resource with an answer of our own form for all verbs that it does not have.
trait KnownVerbs {
    /// Answers 405 to every verb that has no handler.
    fn else_405(self, allowed: &'static str) -> Self;
}

impl KnownVerbs for Resource {
    fn else_405(self, allowed: &'static str) -> Self {
        let refuse = move |request: HttpRequest, payload: web::Payload| async move {
            body::cut_upload(request.headers(), payload);
            ApiError::method_not_allowed(allowed)
        };
        self.default_service(web::to(refuse))
    }
}
