//! `GET /metrics`, in Prometheus' text form.

use actix_web::{HttpRequest, HttpResponse, web};
use tokio::time::Instant;

use super::{AppState, SharedState, auth, error::ApiError};
use crate::settings::Role;

/// The metrics, for operators.
///
/// # Errors
/// 403 for other keys; 404 where the metrics have a listener of their own.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String)))]
pub async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    if state.shared.metrics_elsewhere {
        return Err(ApiError::unknown_path(request.path()));
    }
    Ok(render(&state.shared))
}

/// The metrics on a listener of their own: whoever reaches it may read them.
pub async fn show_alone(state: web::Data<SharedState>) -> HttpResponse {
    render(&state)
}

/// Counts a request and how long it took.
pub(super) fn note_request<T, E>(
    shared: &SharedState,
    route: &'static str,
    outcome: &Result<T, E>,
    arrived: Instant,
) {
    let took = arrived.elapsed();
    shared.traffic.note(outcome.is_ok(), took);
    let label = if outcome.is_ok() {
        "accepted"
    } else {
        "refused"
    };
    metrics::counter!("postroom_requests_total", "route" => route, "outcome" => label).increment(1);
    metrics::histogram!("postroom_request_duration_seconds", "route" => route)
        .record(took.as_secs_f64());
}

/// Says what the metrics of intake, inbox and actors mean. Call it once at the start.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("postroom_requests_total", "Requests by route and outcome");
    describe_counter!(
        "postroom_requests_refused_total",
        "Requests refused for lack of room"
    );
    describe_counter!(
        "postroom_http_panics_total",
        "Panics in handlers, answered with 500"
    );
    describe_counter!(
        "postroom_actor_refused_total",
        "Messages that did not reach an actor"
    );
    describe_counter!(
        "postroom_actor_restarts_total",
        "Actors started anew after a panic"
    );
    describe_counter!(
        "postroom_inbox_files_written_total",
        "Inbox files written and synced"
    );
    describe_counter!(
        "postroom_inbox_write_failures_total",
        "Inbox writes to be tried again"
    );
    describe_gauge!(
        "postroom_actor_mailbox_depth",
        "Messages that wait in an actor's mailbox"
    );
    describe_gauge!(
        "postroom_inbox_pending",
        "Accepted messages whose file is not written yet"
    );
    describe_gauge!(
        "postroom_store_messages",
        "Messages in the store, done ones included"
    );
    describe_gauge!(
        "postroom_store_pending_inbox",
        "Messages in the store that wait for their file"
    );
    describe_gauge!(
        "postroom_store_bytes",
        Unit::Bytes,
        "Size of the store on disk"
    );
    describe_histogram!("postroom_inbox_batch_size", "Messages in one inbox file");
    describe_histogram!(
        "postroom_accept_duration_seconds",
        Unit::Seconds,
        "From the door to the commit"
    );
    describe_histogram!(
        "postroom_request_duration_seconds",
        Unit::Seconds,
        "From the head of a request to its answer's"
    );
    describe_refusals_and_failures();
}

fn describe_refusals_and_failures() {
    metrics::describe_counter!(
        "postroom_embeddings_failures_total",
        "Tries of the embeddings backend that failed, by reason"
    );
    metrics::describe_counter!(
        "postroom_messages_refused_total",
        "Messages between agents that were refused, by reason"
    );
}

fn render(shared: &SharedState) -> HttpResponse {
    for (actor, depth) in [
        (shared.router.name(), shared.router.depth()),
        (shared.inbox_writer.name(), shared.inbox_writer.depth()),
        (shared.backend_relay.name(), shared.backend_relay.depth()),
    ] {
        let waiting = f64::from(u32::try_from(depth.now()).unwrap_or(u32::MAX));
        metrics::gauge!("postroom_actor_mailbox_depth", "actor" => actor).set(waiting);
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(shared.metrics.render())
}
