//! `/dead-letters`: messages that got nowhere. For operators.

use actix_web::{HttpRequest, HttpResponse, web};
use postroom_actors::{
    agent_supervisor::RetryTask,
    courier::RetryDelivery,
    domain::{
        ids::MessageId,
        post::{DeliveryState, MessageFilter, MessageRecord},
        task::{TaskRecord, TaskState},
    },
};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    AppState, SharedState, auth,
    error::ApiError,
    incoming,
    messages::{
        access::{self, Reader},
        list::{self, Page},
        show::{id_of, look, wants_body},
        view::SummaryView,
    },
    waiting,
};
use crate::settings::Role;

/// One page of dead letters.
#[derive(serde::Serialize)]
struct DeadLetters {
    #[serde(rename = "dead_letters")]
    messages: Vec<SummaryView>,
    has_more: bool,
    /// All there are, whatever was asked for.
    total: u64,
}

/// Dead letters, newest first.
///
/// # Errors
/// 400 for a query that cannot be understood, 403.
#[utoipa::path(get, path = "/dead-letters",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200; default 20"),
        ("before" = Option<String>, Query, description = "older than this message"),
        ("agent" = Option<String>, Query),
        ("peer" = Option<String>, Query)),
    responses(
        (status = 200, description = "`{\"dead_letters\": […], \"has_more\": …, \"total\": …}`"),
        (status = 400, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody)))]
pub async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::require(&request, Role::Operator)?;
    let asked = list::filter(&incoming::query(&request), &Reader::from(&caller))?;
    let filter = MessageFilter {
        dead: true,
        ..asked
    };
    let shared = &state.shared;
    let Page { messages, has_more } = list::page(shared, filter).await?;
    Ok(HttpResponse::Ok().json(DeadLetters {
        messages,
        has_more,
        total: shared.book.dead_letters().await?,
    }))
}

/// One dead letter, as `GET /messages/{id}` shows it.
///
/// # Errors
/// 403, and 404 for what is none.
#[utoipa::path(get, path = "/dead-letters/{id}",
    params(("id" = String, Path), ("body" = Option<bool>, Query)),
    responses(
        (status = 200, description = "the message"),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody)))]
pub async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let with_body = wants_body(&request)?;
    let record = find(&state.shared, &request).await?;
    Ok(HttpResponse::Ok().json(look(&state.shared, record, with_body).await?))
}

/// Lets a dead letter try again, as if it had just come.
///
/// # Errors
/// 403, 404 for what is none or whose agent is gone, 503 where it cannot be kept.
#[utoipa::path(post, path = "/dead-letters/{id}/retry", params(("id" = String, Path)), responses(
    (status = 200, description = "`{\"ok\": true, \"id\": …}`"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn retry(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let shared = &state.shared;
    let record = find(shared, &request).await?;
    Ok(answer(try_again(shared, &record).await?))
}

/// Lets a dead letter try again; answers its id.
///
/// # Errors
/// 404 for what is none any more or whose agent is gone, 503 where it cannot be kept.
pub(super) async fn try_again(
    shared: &SharedState,
    record: &MessageRecord,
) -> Result<MessageId, ApiError> {
    let id = id_of(record);
    let is_retried = match record {
        MessageRecord::Task(record) => retry_task(shared, record).await?,
        MessageRecord::Delivery(_) => retry_delivery(shared, id).await?,
    };
    done(is_retried, id)
}

/// Drops a dead letter: it is not listed any more. The message stays in the book.
///
/// # Errors
/// 403, 404 for what is none, 503 where it cannot be kept.
#[utoipa::path(delete, path = "/dead-letters/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "`{\"ok\": true, \"id\": …}`"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn discard(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let shared = &state.shared;
    let record = find(shared, &request).await?;
    Ok(answer(take_off(shared, &record).await?))
}

/// Drops a dead letter; answers its id.
///
/// # Errors
/// 404 for what is none any more, 503 where it cannot be kept.
pub(super) async fn take_off(
    shared: &SharedState,
    record: &MessageRecord,
) -> Result<MessageId, ApiError> {
    let id = id_of(record);
    done(shared.deliveries.drop_dead_letter(id).await?, id)
}

/// The dead letter that the path names.
pub(super) async fn find(
    shared: &SharedState,
    request: &HttpRequest,
) -> Result<MessageRecord, ApiError> {
    let name = access::path_id(request);
    let unknown = || ApiError::unknown_dead_letter(&name);
    let id = MessageId::parse(&name).ok_or_else(unknown)?;
    let found = shared.book.message(id).await?;
    found.filter(is_dead).ok_or_else(unknown)
}

fn is_dead(record: &MessageRecord) -> bool {
    match record {
        MessageRecord::Task(record) => {
            record.state == TaskState::Failed && record.task.envelope.is_some()
        }
        MessageRecord::Delivery(record) => record.state == DeliveryState::Dead,
    }
}

async fn retry_task(shared: &SharedState, record: &TaskRecord) -> Result<bool, ApiError> {
    let task = &record.task;
    let agent = shared.agents.find(&task.agent);
    let agent = agent.ok_or_else(|| ApiError::unknown_agent(task.agent.as_str()))?;
    let (reply, retried) = oneshot::channel();
    let task = task.id;
    agent.supervisor.try_deliver(RetryTask { task, reply })?;
    Ok(waiting::answer(retried, agent.supervisor.name()).await??)
}

async fn retry_delivery(shared: &SharedState, id: MessageId) -> Result<bool, ApiError> {
    let (reply, retried) = oneshot::channel();
    shared.courier.try_deliver(RetryDelivery { id, reply })?;
    Ok(waiting::answer(retried, shared.courier.name()).await??)
}

fn answer(id: MessageId) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "ok": true, "id": id }))
}

/// What was a dead letter a moment ago may have been retried or dropped meanwhile.
fn done(was_one: bool, id: MessageId) -> Result<MessageId, ApiError> {
    if was_one {
        Ok(id)
    } else {
        Err(ApiError::unknown_dead_letter(&id.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::{post::DeliveryRecord, task::TaskOrigin};

    use super::*;
    use crate::http::messages::view::tests::{chat, delivery, task};

    #[test]
    fn what_got_nowhere_is_a_dead_letter_and_nothing_else() {
        let message = |state| is_dead(&MessageRecord::Task(TaskRecord { state, ..task() }));
        assert!(message(TaskState::Failed));
        for state in [
            TaskState::Queued,
            TaskState::Running,
            TaskState::Done,
            TaskState::Cancelled,
            TaskState::Expired,
        ] {
            assert!(!message(state), "{state:?}");
        }
        let failed_chat = TaskRecord {
            state: TaskState::Failed,
            ..chat(TaskOrigin::Chat, None)
        };
        assert!(!is_dead(&MessageRecord::Task(failed_chat)));
        let sent = |state| {
            let record = DeliveryRecord {
                state,
                ..delivery()
            };
            is_dead(&MessageRecord::Delivery(record))
        };
        assert!(sent(DeliveryState::Dead));
        for state in [
            DeliveryState::Waiting,
            DeliveryState::Held,
            DeliveryState::Dropped,
        ] {
            assert!(!sent(state), "{state:?}");
        }
    }
}
