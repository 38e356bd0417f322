//! The OpenAPI document, generated from the handlers.

use actix_web::HttpResponse;
use utoipa::OpenApi;

use super::{
    agent_reply, agents, chat_completions, dead_letters, error, health, keys, messages, metrics,
    models, responses, turns,
};

/// What the service offers, as OpenAPI 3.1.
#[derive(OpenApi)]
#[openapi(
    info(title = "Postroom", description = "An actor-based message broker for AI agents"),
    paths(
        chat_completions::create,
        responses::create,
        responses::retrieve,
        responses::cancel,
        responses::remove,
        responses::list_input,
        agents::list,
        agents::hire,
        agents::show,
        agents::remove,
        agents::start,
        agents::stop,
        agents::resume,
        turns::list,
        turns::show,
        turns::cancel,
        turns::events::follow,
        agent_reply::take,
        messages::receive::receive,
        messages::send::send,
        messages::list::list,
        messages::show::show,
        messages::cancel::cancel,
        keys::list,
        keys::make,
        keys::revoke,
        dead_letters::list,
        dead_letters::show,
        dead_letters::retry,
        dead_letters::discard,
        models::list,
        models::retrieve,
        health::health,
        health::live,
        health::ready,
        metrics::show,
    ),
    components(schemas(error::ErrorBody, error::ErrorDetail)),
    modifiers(&BearerKey),
    security(("bearer" = []))
)]
pub struct Document;

struct BearerKey;

impl utoipa::Modify for BearerKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", scheme);
    }
}

/// The document.
pub async fn show() -> HttpResponse {
    HttpResponse::Ok().json(Document::openapi())
}
