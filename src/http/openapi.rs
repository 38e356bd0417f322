//! The OpenAPI document, generated from the handlers.

mod bodies;

use actix_web::{HttpResponse, web};
use utoipa::{
    OpenApi,
    openapi::{
        ContentBuilder, Object, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, ParameterIn},
    },
};

use super::{
    AppState, agent_reply, agents, chat_completions, dead_letters, embeddings, error, events,
    health, keys, messages, metrics, models, responses, turns,
};
use crate::settings::EndpointsSettings;

pub(super) use self::bodies::{ChatBody, EmbeddingsBody, ResponseBody};

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
        events::follow,
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
        embeddings::create,
        health::health,
        health::live,
        health::ready,
        metrics::show,
        show,
    ),
    components(schemas(error::ErrorBody, error::ErrorDetail)),
    modifiers(&BearerKey, &CommonAnswers),
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

/// Answers that every operation has, so that no handler need list them.
struct CommonAnswers;

impl utoipa::Modify for CommonAnswers {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for item in document.paths.paths.values_mut() {
            let operations = [
                &mut item.get,
                &mut item.post,
                &mut item.delete,
                &mut item.put,
                &mut item.patch,
            ];
            for operation in operations.into_iter().flatten() {
                describe_answers(operation);
            }
        }
    }
}

fn describe_answers(operation: &mut Operation) {
    let mut errors = vec![("500", "a bug of ours; the log has it")];
    // Whoever needs no key says so itself.
    if operation.security.is_none() {
        errors.extend([
            ("401", "no key, or a wrong one"),
            ("403", "the key may not do that"),
            ("429", "too many wrong keys from this address"),
            (
                "503",
                "no room, a disk is low (`disk_low`), or the service is stopping",
            ),
        ]);
    }
    if operation.request_body.is_some() || takes_a_query(operation) {
        errors.push(("400", "the request cannot be understood"));
    }
    if operation.request_body.is_some() {
        errors.extend([
            ("408", "the body stopped coming in"),
            ("413", "the body is over its limit"),
            ("415", "the body is compressed"),
        ]);
    }
    let answers = &mut operation.responses.responses;
    for (status, description) in errors {
        let answer = answers
            .entry(status.to_owned())
            .or_insert_with(|| error_answer(description).into());
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            description.clone_into(&mut answer.description);
        }
    }
    for (status, answer) in answers {
        if let RefOr::T(answer) = answer
            && matches!(status.as_str(), "200" | "201")
            && answer.content.is_empty()
        {
            let any = ContentBuilder::new().schema(Some(Object::new())).build();
            answer
                .content
                .insert("application/json".to_owned(), any.into());
        }
    }
}

fn takes_a_query(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters
        .any(|parameter| matches!(parameter, RefOr::T(it) if it.parameter_in == ParameterIn::Query))
}

fn error_answer(description: &str) -> Response {
    let body = Ref::from_schema_name("ErrorBody");
    ResponseBuilder::new()
        .description(description)
        .content(
            "application/json",
            ContentBuilder::new().schema(Some(body)).build(),
        )
        .build()
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
