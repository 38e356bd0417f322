//! The OpenAPI document, generated from the handlers.

use actix_web::{HttpResponse, web};
use utoipa::OpenApi;

use super::{
    AppState, agent_reply, agents, chat_completions, dead_letters, embeddings, error, health,
    messages, metrics, models, responses, turns,
};
use crate::settings::EndpointsSettings;

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
        dead_letters::list,
        dead_letters::show,
        dead_letters::retry,
        dead_letters::discard,
        models::list,
        models::retrieve,
        embeddings::create,
        health::health,
        health::live,
        health::ready,
        metrics::show,
        show,
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

/// The document, without what is switched off.
#[utoipa::path(get, path = "/openapi.json", responses(
    (status = 200, body = Object, description = "this document"),
    (status = 401, body = error::ErrorBody)))]
pub async fn show(state: web::Data<AppState>) -> HttpResponse {
    let mut document = Document::openapi();
    let endpoints = state.shared.endpoints;
    document
        .paths
        .paths
        .retain(|path, _| is_served(path, endpoints));
    HttpResponse::Ok().json(document)
}

fn is_served(path: &str, endpoints: EndpointsSettings) -> bool {
    let switches = [
        ("/v1/chat/completions", endpoints.chat_completions),
        ("/v1/responses", endpoints.responses),
        ("/v1/models", endpoints.models),
        ("/v1/embeddings", endpoints.embeddings),
        ("/message", endpoints.messages),
        ("/send", endpoints.messages),
        ("/dead-letters", endpoints.messages),
    ];
    let mut switches = switches.iter();
    switches.all(|(start, is_on)| *is_on || !path.starts_with(start))
}
