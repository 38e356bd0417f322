//! What an operator does: each by a form with the token of its page.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use postroom_actors::agent_supervisor::SetRunState;

use super::{
    answer::{self, PageError},
    form,
    form::Fields,
    gate,
};
use crate::http::{AppState, SharedState, agents, dead_letters, turns};

/// Ends a turn.
///
/// # Errors
/// 403, 404 for an unknown turn, 503 where it does not end in time.
pub(super) async fn cancel_turn(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, PageError> {
    let shared = &state.shared;
    let fields = allowed(shared, &request, payload).await?;
    let turn = turns::find(shared, &request).await?;
    let is_ended = turns::end(shared, &turn).await?;
    let done = if is_ended {
        "cancelled"
    } else {
        "ended-before"
    };
    Ok(back(&fields, done))
}

/// Lets a dead letter try again, or drops it.
///
/// # Errors
/// 403, 404 for what is none, 503 where it cannot be kept.
pub(super) async fn dead_letter(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, PageError> {
    let shared = &state.shared;
    let fields = allowed(shared, &request, payload).await?;
    let what = request.match_info().query("what");
    if !matches!(what, "retry" | "drop") {
        return Err(PageError::unknown("Dead letters are retried or dropped."));
    }
    let record = dead_letters::find(shared, &request).await?;
    if what == "retry" {
        dead_letters::try_again(shared, &record).await?;
        Ok(back(&fields, "retried"))
    } else {
        dead_letters::take_off(shared, &record).await?;
        Ok(back(&fields, "dropped"))
    }
}

/// Lets an agent take turns, or none.
///
/// # Errors
/// 403, 404 for an unknown agent, 503 where it does not answer.
pub(super) async fn agent(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, PageError> {
    let shared = &state.shared;
    let fields = allowed(shared, &request, payload).await?;
    let (run_state, done) = match request.match_info().query("what") {
        "start" => (SetRunState::Start, "started"),
        "resume" => (SetRunState::Start, "resumed"),
        "stop" => (SetRunState::Stop, "stopped"),
        _ => {
            return Err(PageError::unknown(
                "Agents are started, stopped or resumed.",
            ));
        }
    };
    let agent = agents::named(shared, &request)?;
    agents::tell(shared, &agent, run_state).await?;
    tracing::info!(
        agent = agent.profile.id.as_str(),
        done,
        "told by the dashboard"
    );
    Ok(back(&fields, done))
}

/// The form of whoever may act, with the right token.
async fn allowed(
    shared: &SharedState,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Fields, PageError> {
    let visitor = gate::actor(request)?;
    let fields = form::read(shared, request, payload).await?;
    gate::check_token(&visitor, fields.get("csrf"))?;
    Ok(fields)
}

/// To the page that the form was on, which tells what was done.
fn back(fields: &Fields, done: &str) -> HttpResponse {
    let page = form::next(fields.get("next"));
    let sign = if page.contains('?') { '&' } else { '?' };
    answer::see_other(&format!("{page}{sign}done={done}"))
}
