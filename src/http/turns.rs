//! `/agents/{id}/turns` and `/turns/{id}`: what agents did and do. For operators.

pub mod events;

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use postroom_actors::{
    agent_supervisor::CancelTurn,
    domain::{
        ids::{AgentId, TurnId},
        turn::TurnRecord,
    },
};
use serde::Serialize;
use tokio::sync::oneshot;

pub use self::events::follow;
use super::{
    AppState, SharedState, auth,
    error::{ApiError, turn_id},
    incoming, waiting,
};
use crate::settings::Role;

/// Turns in a list where nothing is said.
const DEFAULT_LIMIT: usize = 20;

/// Turns in a list at most.
const MAX_LIMIT: usize = 200;

/// `GET /turns/{id}`
#[derive(Debug, Serialize)]
struct TurnDetail {
    #[serde(flatten)]
    turn: TurnRecord,
    /// The end of its transcript, at most 16 KiB.
    transcript_tail: Option<String>,
}

/// An agent's turns, newest first.
///
/// # Errors
/// 400 for a query that cannot be understood, 403, 404 for an unknown agent.
#[utoipa::path(get, path = "/agents/{id}/turns",
    params(("id" = String, Path), ("limit" = Option<u32>, Query), ("before" = Option<String>, Query)),
    responses(
        (status = 200, description = "`{\"turns\": […], \"has_more\": …}`"),
        (status = 400, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody)))]
pub async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let name = request.match_info().query("id");
    let unknown = || ApiError::unknown_agent(name);
    let agent = AgentId::parse(name).map_err(|_invalid| unknown())?;
    let (limit, before) = page(&incoming::query(&request))?;
    let shared = &state.shared;
    let mut turns = shared
        .tasks
        .turns_of(agent.clone(), before, limit + 1)
        .await?;
    // The turns of an agent that was removed can still be read.
    if turns.is_empty() && shared.agents.find(&agent).is_none() {
        return Err(unknown());
    }
    let has_more = turns.len() > limit;
    turns.truncate(limit);
    Ok(HttpResponse::Ok().json(serde_json::json!({ "turns": turns, "has_more": has_more })))
}

/// How many turns, 1 to 200, and those older than which.
fn page(query: &HashMap<String, String>) -> Result<(usize, Option<TurnId>), ApiError> {
    let limit = query
        .get("limit")
        .map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok())
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| {
            let message = format!("`limit` is a number from 1 to {MAX_LIMIT}");
            ApiError::bad_request(message, Some("limit"))
        })?;
    let before = query.get("before").map(|text| {
        let wrong = || ApiError::bad_request("`before` is the id of a turn", Some("before"));
        TurnId::parse(text).ok_or_else(wrong)
    });
    Ok((limit, before.transpose()?))
}

/// One turn, with the end of its transcript.
///
/// # Errors
/// 403, and 404 for an unknown turn.
#[utoipa::path(get, path = "/turns/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "the turn, and `transcript_tail`"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody)))]
pub async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let turn = find(&state.shared, &request).await?;
    let transcript_tail = match &turn.transcript {
        Some(path) => state.shared.transcripts.tail(path.clone()).await,
        None => None,
    };
    Ok(HttpResponse::Ok().json(TurnDetail {
        turn,
        transcript_tail,
    }))
}

/// Ends a turn; its tasks are cancelled. Answers when its processes are gone.
///
/// # Errors
/// 403, 404 for an unknown turn, 503 where it does not end in time.
#[utoipa::path(delete, path = "/turns/{id}", params(("id" = String, Path)), responses(
    (status = 200, description = "`{\"ok\": true, \"cancelled\": …}`: false where it had ended"),
    (status = 403, body = super::error::ErrorBody),
    (status = 404, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn cancel(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let turn = find(&state.shared, &request).await?;
    let cancelled = end(&state.shared, &turn).await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({ "ok": true, "cancelled": cancelled })))
}

/// Ends a turn; answers whether it had not ended before.
///
/// # Errors
/// 503 where it does not end in time.
pub(super) async fn end(shared: &SharedState, turn: &TurnRecord) -> Result<bool, ApiError> {
    let agent = shared.agents.find(&turn.agent);
    let Some(agent) = agent.filter(|_| !turn.state.is_ended()) else {
        return Ok(false);
    };
    let (reply, ended) = oneshot::channel();
    agent.supervisor.try_deliver(CancelTurn {
        turn: turn.id,
        reply,
    })?;
    waiting::answer(ended, agent.supervisor.name()).await
}

/// The turn that the path names.
pub(super) async fn find(
    shared: &SharedState,
    request: &HttpRequest,
) -> Result<TurnRecord, ApiError> {
    let name = request.match_info().query("id");
    let turn = shared.tasks.turn(turn_id(name)?).await?;
    turn.ok_or_else(|| ApiError::unknown_turn(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn read(query: &[(&str, &str)]) -> Result<(usize, Option<TurnId>), ApiError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        page(&query.iter().map(owned).collect())
    }

    #[test]
    fn a_page_has_bounds_and_a_default() {
        assert_eq!(read(&[]).unwrap(), (20, None));
        let before = TurnId::parse(TURN);
        assert_eq!(
            read(&[("limit", "200"), ("before", TURN)]).unwrap(),
            (200, before)
        );
        for (name, value) in [
            ("limit", "0"),
            ("limit", "201"),
            ("limit", "many"),
            ("before", "yesterday"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert_eq!(error.body().error.param.as_deref(), Some(name));
        }
    }
}
