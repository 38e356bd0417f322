//! `GET /metrics`, in Prometheus' text form.

pub mod scrape;

use actix_web::{HttpRequest, HttpResponse, web};
use postroom_actors::domain::metric::Metric;
use tokio::time::Instant;

use super::{AppState, SharedState, auth, error::ApiError};
use crate::{settings::Role, telemetry};

const REQUESTS: &str = "postroom_requests_total";
const REQUEST_DURATION: &str = "postroom_request_duration_seconds";
pub(super) const REQUESTS_REFUSED: &str = "postroom_requests_refused_total";
pub(super) const ACCEPT_DURATION: &str = "postroom_accept_duration_seconds";
pub(super) const PANICS: &str = "postroom_http_panics_total";

/// What is counted about requests.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        REQUESTS,
        &["route", "outcome"],
        "Requests that were read: accepted, refused",
    ),
    Metric::counter(
        REQUESTS_REFUSED,
        &["reason"],
        "Requests refused for lack of room at the door: busy",
    ),
    Metric::seconds(
        REQUEST_DURATION,
        &["route"],
        "From the head of a request to its answer's",
    ),
    Metric::seconds(
        ACCEPT_DURATION,
        &[],
        "From the door to the commit of a mailbox message",
    ),
    Metric::counter(PANICS, &[], "Panics in handlers, answered with 500"),
];

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
    answer(&state.shared).await
}

/// The metrics on a listener of their own: whoever reaches it may read them.
///
/// # Errors
/// 500 where they cannot be put together.
pub async fn show_alone(state: web::Data<SharedState>) -> Result<HttpResponse, ApiError> {
    answer(&state).await
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
    metrics::counter!(REQUESTS, "route" => route, "outcome" => label).increment(1);
    metrics::histogram!(REQUEST_DURATION, "route" => route).record(took.as_secs_f64());
}

/// Asks everybody how they are, then writes it down, away from the thread that serves requests.
async fn answer(shared: &SharedState) -> Result<HttpResponse, ApiError> {
    scrape::look(shared).await;
    let metrics = shared.metrics.clone();
    let text = web::block(move || telemetry::render(&metrics))
        .await
        .map_err(|_no_thread| ApiError::internal())?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}
