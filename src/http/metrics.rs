//! `GET /metrics`, in Prometheus' text form.

use actix_web::{HttpRequest, HttpResponse, web};

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
