//! `GET /messages/{id}`: what became of one message.

use actix_web::{HttpRequest, HttpResponse, web};
use postroom_actors::domain::{ids::MessageId, post::MessageRecord};

use super::{
    access::{self, Reader},
    view::{MessageView, Surroundings},
};
use crate::http::{AppState, SharedState, auth, error::ApiError, incoming};

/// A message, its turns, the messages that answer it and its delivery. Seen by its sender, its
/// recipient and operators.
///
/// # Errors
/// 400 for a query that cannot be understood, 401, 404 for an unknown message or one of others.
#[utoipa::path(get, path = "/messages/{id}",
    params(
        ("id" = String, Path, description = "our id, or the one that the caller gave its message"),
        ("sender" = Option<String>, Query, description = "whose id it is, for operators: `peer:bob`"),
        ("body" = Option<bool>, Query, description = "`false` leaves the body out")),
    responses(
        (status = 200, description = "the message"),
        (status = 400, body = crate::http::error::ErrorBody),
        (status = 401, body = crate::http::error::ErrorBody),
        (status = 404, body = crate::http::error::ErrorBody)))]
pub async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::correspondent(&request)?;
    let with_body = wants_body(&request)?;
    let shared = &state.shared;
    let record = access::find(shared, &request, &Reader::from(&caller)).await?;
    Ok(HttpResponse::Ok().json(look(shared, record, with_body).await?))
}

/// Whether the query asks for the body, which it does unless it says otherwise.
pub(in crate::http) fn wants_body(request: &HttpRequest) -> Result<bool, ApiError> {
    match incoming::query(request).get("body").map(String::as_str) {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(ApiError::bad_request(
            "`body` is `true` or `false`",
            Some("body"),
        )),
    }
}

/// Reads all that is shown of a message.
///
/// # Errors
/// 503 where the store cannot be read.
pub(in crate::http) async fn look(
    shared: &SharedState,
    record: MessageRecord,
    with_body: bool,
) -> Result<MessageView, ApiError> {
    let id = id_of(&record);
    let around = Surroundings {
        turns: shared.book.turns_of_message(id).await?,
        callbacks: shared.book.callbacks(id).await?,
        with_body,
    };
    Ok(MessageView::new(record, around))
}

/// The id of a message.
pub(in crate::http) fn id_of(record: &MessageRecord) -> MessageId {
    match record {
        MessageRecord::Task(record) => record.task.id,
        MessageRecord::Delivery(record) => record.delivery.id,
    }
}
