//! `DELETE /messages/{id}`: taking a message back.

use actix_web::{HttpRequest, HttpResponse, web};
use postroom_actors::{
    courier::CancelDelivery,
    domain::{
        ids::MessageId,
        post::{DeliveryRecord, DeliveryState, MessageRecord},
    },
};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    access::{self, Reader},
    show::{id_of, look},
};
use crate::http::{AppState, SharedState, agent_tasks, auth, error::ApiError, waiting};

/// Takes a message back: what has not begun never does, a turn that works on it alone is ended,
/// what is on its way is not tried again. For its sender and for operators.
///
/// # Errors
/// 401, 403 for who did not send it, 404 for an unknown message, 503 where it does not end in time.
#[utoipa::path(delete, path = "/messages/{id}",
    params(("id" = String, Path), ("sender" = Option<String>, Query)),
    responses(
        (status = 200, description = "`{\"ok\": true, \"cancelled\": …, \"state\": …}`: false where it had ended"),
        (status = 401, body = crate::http::error::ErrorBody),
        (status = 403, body = crate::http::error::ErrorBody),
        (status = 404, body = crate::http::error::ErrorBody),
        (status = 503, body = crate::http::error::ErrorBody)))]
pub async fn cancel(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::correspondent(&request)?;
    let reader = Reader::from(&caller);
    let shared = &state.shared;
    let record = access::find(shared, &request, &reader).await?;
    if !reader.may_end(&record) {
        let sender = access::envelope(&record).map(|envelope| &envelope.sender);
        return Err(ApiError::other_sender(sender));
    }
    let id = id_of(&record);
    let cancelled = match &record {
        MessageRecord::Task(record) => agent_tasks::cancel(shared, record).await?,
        MessageRecord::Delivery(record) => take_back(shared, id, record).await?,
    };
    let now = shared.book.message(id).await?;
    let view = look(shared, now.unwrap_or(record), false).await?;
    let answer = json!({ "ok": true, "cancelled": cancelled, "state": view.state() });
    Ok(HttpResponse::Ok().json(answer))
}

async fn take_back(
    shared: &SharedState,
    id: MessageId,
    record: &DeliveryRecord,
) -> Result<bool, ApiError> {
    if !matches!(record.state, DeliveryState::Waiting | DeliveryState::Held) {
        return Ok(false);
    }
    let (reply, ended) = oneshot::channel();
    shared.courier.try_deliver(CancelDelivery { id, reply })?;
    Ok(waiting::answer(ended, shared.courier.name()).await??)
}
