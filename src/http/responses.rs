//! `/v1/responses`: what was asked of an agent or the mailbox, as OpenAI's Responses.

mod create;
mod previous;
mod stream;

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use postroom_actors::domain::{
    response::{
        InputItemsQuery, ItemOrder, deleted_response, input_items, parse_response_id,
        stored_response,
    },
    task::{TaskOrigin, TaskRecord},
};
use tokio::time::Instant;

use self::stream::Wanted;
use super::{
    AppState, SharedState, agent_tasks,
    auth::{self, Caller},
    body,
    error::ApiError,
    incoming::{self, Incoming},
    metrics::note_request,
};
use crate::settings::Role;

/// Takes a request in; answers when it is done, as it goes (`stream`), or at once (`background`).
///
/// # Errors
/// 400 for a request that cannot be understood, 404 for an unknown agent, 408 and 413 for the
/// body, 502 and 504 for turns that failed, 503 where there is no room.
#[utoipa::path(post, path = "/v1/responses",
    params(
        ("x-openclaw-agent-id" = Option<String>, Header, description = "the agent that gets it"),
        ("x-openclaw-agent" = Option<String>, Header, description = "the same"),
        ("x-openclaw-session-key" = Option<String>, Header, description = "an agent's session, before all other ways to tell it"),
        ("x-openclaw-message-channel" = Option<String>, Header, description = "the channel, where nothing better is known")),
    request_body(content = super::openapi::ResponseBody, description = "An OpenAI response request"),
    responses(
        (status = 200, description = "An OpenAI response, or its events with `stream: true`",
            content((Object = "application/json"), (Object = "text/event-stream"))),
        (status = 400, body = super::error::ErrorBody),
        (status = 401, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody),
        (status = 413, body = super::error::ErrorBody),
        (status = 502, body = super::error::ErrorBody),
        (status = 503, body = super::error::ErrorBody),
        (status = 504, body = super::error::ErrorBody)))]
pub async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::require(&request, Role::Client)?;
    let arrived = Instant::now();
    let shared = &state.shared;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let incoming = Incoming::read(&request, caller, body)?;
    if shared.stopping.has_begun() {
        return Err(ApiError::stopping());
    }
    let outcome = create::answer(shared, &incoming).await;
    note_request(shared, "responses", &outcome, arrived);
    outcome
}

/// A response as it stands; with `stream=true` its events, after the one of the number
/// `starting_after` where that is given.
///
/// # Errors
/// 400 for a query that cannot be understood, 404 for an unknown response or another caller's.
#[utoipa::path(get, path = "/v1/responses/{id}",
    params(
        ("id" = String, Path),
        ("stream" = Option<bool>, Query),
        ("starting_after" = Option<u64>, Query)),
    responses(
        (status = 200, description = "the response, or its events",
            content((Object = "application/json"), (Object = "text/event-stream"))),
        (status = 400, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody)))]
pub async fn retrieve(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::require(&request, Role::Client)?;
    let record = find(&state.shared, &request, &caller).await?;
    match stream::wanted(&incoming::query(&request))? {
        Wanted::Events(starting_after) => {
            let id = record.task.id;
            let answer = stream::again(&state.shared, record, starting_after).await?;
            Ok(agent_tasks::with_id(answer, id))
        }
        Wanted::Object => Ok(json(stored_response(&record))),
    }
}

/// Takes a response back: one that waits is never begun, one that is worked on is ended. One that
/// has ended stays as it is.
///
/// # Errors
/// 404 for an unknown response or another caller's, 503 where it does not end in time.
#[utoipa::path(post, path = "/v1/responses/{id}/cancel", params(("id" = String, Path)), responses(
    (status = 200, description = "the response as it stands now"),
    (status = 404, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn cancel(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::require(&request, Role::Client)?;
    let shared = &state.shared;
    let record = find(shared, &request, &caller).await?;
    agent_tasks::cancel(shared, &record).await?;
    let now = shared.tasks.tasks(vec![record.task.id]).await?.pop();
    Ok(json(stored_response(&now.unwrap_or(record))))
}

/// Makes a response unreadable. One that has not ended is taken back first.
///
/// # Errors
/// As [`cancel`].
#[utoipa::path(delete, path = "/v1/responses/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "that it is gone"),
    (status = 404, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn remove(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::require(&request, Role::Client)?;
    let shared = &state.shared;
    let record = find(shared, &request, &caller).await?;
    agent_tasks::cancel(shared, &record).await?;
    shared.tasks.forget_task(record.task.id).await?;
    Ok(json(deleted_response(record.task.id)))
}

/// What a response was given.
///
/// # Errors
/// 400 for a query that cannot be understood, 404 for an unknown response or another caller's.
#[utoipa::path(get, path = "/v1/responses/{id}/input_items",
    params(
        ("id" = String, Path),
        ("after" = Option<String>, Query),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100),
        ("order" = Option<String>, Query)),
    responses(
        (status = 200, description = "OpenAI's list of input items"),
        (status = 400, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody)))]
pub async fn list_input(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::require(&request, Role::Client)?;
    let record = find(&state.shared, &request, &caller).await?;
    let query = incoming::query(&request);
    let defaults = InputItemsQuery::default();
    let limit = match query.get("limit") {
        None => defaults.limit,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| {
                ApiError::bad_request("`limit` is a number from 1 to 100", Some("limit"))
            })?,
    };
    let order = match query.get("order").map(String::as_str) {
        None => defaults.order,
        Some("asc") => ItemOrder::Ascending,
        Some("desc") => ItemOrder::Descending,
        Some(_) => {
            return Err(ApiError::bad_request(
                "`order` is `asc` or `desc`",
                Some("order"),
            ));
        }
    };
    let after = query.get("after").map(String::as_str);
    let query = InputItemsQuery {
        after,
        limit,
        order,
    };
    Ok(json(input_items(&record.task, query)))
}

/// The response that the path names, where the caller may see it.
async fn find(
    shared: &SharedState,
    request: &HttpRequest,
    caller: &Caller,
) -> Result<TaskRecord, ApiError> {
    let name = request.match_info().query("id");
    let unknown = || ApiError::unknown_response(name);
    let id = parse_response_id(name).ok_or_else(unknown)?;
    let found = shared.tasks.tasks(vec![id]).await?.pop();
    found
        .filter(|record| is_readable(record, caller))
        .ok_or_else(unknown)
}

/// Whether a task is a response that this caller may see. One that is not to be stored is there
/// until it ends.
fn is_readable(record: &TaskRecord, caller: &Caller) -> bool {
    let task = &record.task;
    task.origin == TaskOrigin::Response
        && caller.may_see(task.caller.as_ref())
        && (task.is_kept || !record.state.is_ended())
}

fn json(document: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(document)
}
