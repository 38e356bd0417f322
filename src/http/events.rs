//! `GET /events`: what happens in the whole broker, as it happens. For operators.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{Stream, StreamExt, stream};
use postroom_actors::{
    activity::{MOST_KEPT, Seen, Since, WatchError, WatchOrder, Watcher},
    domain::ids::AgentId,
};
use serde_json::json;

use super::{AppState, SharedState, auth, error::ApiError, incoming, sse};
use crate::settings::Role;

/// What happens in the broker as server-sent events, named by their `kind`. First comes
/// `watching`, with the number of the newest event. `Last-Event-ID` goes on after an event; `missed` tells that there was more. The mailbox
/// is told only while somebody watches it, and not with `agent`. Ends when the service stops.
///
/// # Errors
/// 400 for a query that cannot be understood, 403, 404 for an unknown agent, 503 where too many
/// watch or the service stops.
#[utoipa::path(get, path = "/events",
    params(
        ("agent" = Option<String>, Query, description = "only what concerns this agent"),
        ("lines" = Option<u32>, Query, description = "begin with so many of the kept events, 0 to 1000; default 0"),
        ("Last-Event-ID" = Option<String>, Header, description = "go on after this event")),
    responses(
        (status = 200, body = Object, content_type = "text/event-stream", description = "server-sent events"),
        (status = 400, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody),
        (status = 503, body = super::error::ErrorBody)))]
pub async fn follow(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let shared = &state.shared;
    let query = incoming::query(&request);
    let order = WatchOrder {
        since: since(&query, sse::last_event_id(&request), shared.activity.run())?,
        agent: agent(&query, shared)?,
    };
    let watcher = shared.activity.watch(order)?;
    let events = events(watcher, shared.activity.run(), shared.started_at);
    Ok(sse::head(StatusCode::OK).streaming(sse::kept_alive(events)))
}

/// An event that was seen counts for more than a number of lines.
fn since(
    query: &HashMap<String, String>,
    seen: Option<&str>,
    run: &str,
) -> Result<Since, ApiError> {
    let lines = query.get("lines").map_or(Some(0), |text| text.parse().ok());
    let lines = lines.filter(|lines| *lines <= MOST_KEPT).ok_or_else(|| {
        let message = format!("`lines` is a number from 0 to {MOST_KEPT}");
        ApiError::bad_request(message, Some("lines"))
    })?;
    let Some(seen) = seen.map(str::trim).filter(|seen| !seen.is_empty()) else {
        return Ok(Since::Last(lines));
    };
    let of_this_run = seen.split_once(':').filter(|(of, _)| *of == run);
    let number = of_this_run.and_then(|(_, number)| number.parse().ok());
    Ok(number.map_or(Since::AnotherRun, Since::Number))
}

fn agent(
    query: &HashMap<String, String>,
    shared: &SharedState,
) -> Result<Option<AgentId>, ApiError> {
    let Some(name) = query.get("agent") else {
        return Ok(None);
    };
    let id = AgentId::parse(name).ok();
    let known = id.filter(|id| shared.agents.find(id).is_some());
    known.map_or_else(|| Err(ApiError::unknown_agent(name)), |id| Ok(Some(id)))
}

fn events(
    watcher: Watcher,
    run: &str,
    started_at: DateTime<Utc>,
) -> impl Stream<Item = Bytes> + 'static + use<> {
    let run = run.to_owned();
    let greeting = json!({
        "run": run,
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": started_at,
        "last": watcher.began_at(),
    });
    let greeting = named("watching", &run, watcher.position(), &greeting.to_string());
    let told = stream::unfold((watcher, run), |(mut watcher, run)| async move {
        let seen = watcher.next().await?;
        let bytes = to_bytes(&seen, &run, watcher.position());
        Some((bytes, (watcher, run)))
    });
    stream::iter([greeting]).chain(told)
}

fn to_bytes(seen: &Seen, run: &str, position: u64) -> Bytes {
    match seen {
        Seen::Event(event) => {
            let data = serde_json::to_string(event).unwrap_or_default();
            named(event.fact.kind(), run, event.number, &data)
        }
        Seen::Missed { count } => {
            let data = json!({"kind": "missed", "count": count}).to_string();
            named("missed", run, position, &data)
        }
    }
}

fn named(name: &str, run: &str, number: u64, data: &str) -> Bytes {
    sse::event(name, Some(&format!("{run}:{number}")), data)
}

impl From<WatchError> for ApiError {
    fn from(error: WatchError) -> Self {
        match error {
            WatchError::TooMany => Self::too_many_watch(error.to_string()),
            WatchError::Closed => Self::stopping(),
        }
    }
}

#[cfg(test)]
mod tests {
    use postroom_actors::{domain::activity::Fact, testing};

    use super::*;

    #[tokio::test]
    async fn a_reader_that_lags_behind_is_told_how_much_it_missed() {
        let activity = testing::no_activity();
        let order = WatchOrder {
            since: Since::Last(0),
            agent: None,
        };
        let watcher = activity.watch(order).unwrap();
        let mut events = Box::pin(events(watcher, "run", testing::start_time()));
        let greeting = events.next().await.unwrap();
        assert!(
            greeting.starts_with(b"event: watching\nid: run:0\ndata: {"),
            "{greeting:?}"
        );
        for _ in 0..MOST_KEPT + 7 {
            activity.tell(Fact::ServiceStopping);
        }
        activity.close();
        let told: Vec<Bytes> = events.collect().await;
        assert_eq!(told.len(), 1 + MOST_KEPT);
        assert_eq!(
            told[0],
            "event: missed\nid: run:7\ndata: {\"count\":7,\"kind\":\"missed\"}\n\n"
        );
        assert!(
            told[1].starts_with(b"event: service_stopping\nid: run:8\n"),
            "{told:?}"
        );
    }

    fn read(lines: Option<&str>, seen: Option<&str>) -> Result<Since, ApiError> {
        let lines = lines.map(|lines| ("lines".to_owned(), lines.to_owned()));
        since(&lines.into_iter().collect(), seen, "r1")
    }

    #[test]
    fn a_client_goes_on_after_what_it_has_seen_of_this_run() {
        for (lines, seen, expected) in [
            (None, None, Since::Last(0)),
            (Some("12"), None, Since::Last(12)),
            (Some("12"), Some(" r1:7 "), Since::Number(7)),
            (None, Some("r0:7"), Since::AnotherRun),
            (None, Some("somebody's"), Since::AnotherRun),
            (None, Some("r1:x"), Since::AnotherRun),
            (None, Some(""), Since::Last(0)),
        ] {
            assert_eq!(read(lines, seen).unwrap(), expected, "{lines:?} {seen:?}");
        }
        for wrong in ["-1", "1001", "all"] {
            let error = read(Some(wrong), None).unwrap_err();
            assert_eq!(error.body().error.param.as_deref(), Some("lines"));
        }
    }
}
