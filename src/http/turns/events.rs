//! `GET /turns/{id}/events`: what a turn does, as it does it.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use bytes::Bytes;
use futures_util::{Stream, stream};
use postroom_actors::{
    domain::turn::{Failure, TurnEvent, TurnExit, TurnRecord, TurnResult, TurnState, Usage},
    feed::Feed,
};
use serde::Serialize;
use serde_json::json;

use super::find;
use crate::{
    http::{AppState, auth, error::ApiError, sse},
    settings::Role,
};

/// The id of the last event: whoever has seen it needs nothing more.
const END: &str = "end";

/// Where a client goes on reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// At the event of this number.
    Event(usize),
    /// It has seen the end.
    Nowhere,
}

/// How a turn ended, live or as it is kept.
#[derive(Debug, Serialize)]
struct Exited<'a> {
    state: TurnState,
    exit_code: Option<i32>,
    signal: Option<i32>,
    usage: Option<Usage>,
    failure: Option<&'a Failure>,
}

/// A turn's events as server-sent events: `started`, `session`, `said`, `message_ended`, `tool`,
/// `trouble`, and last `exited`. `Last-Event-ID` goes on after an event. A turn that ended a while
/// ago has `exited` alone; after that, 204.
///
/// # Errors
/// 403, and 404 for an unknown turn.
#[utoipa::path(get, path = "/turns/{id}/events", params(("id" = String, Path)), responses(
    (status = 200, body = Object, content_type = "text/event-stream", description = "server-sent events"),
    (status = 204, description = "the client has seen the last event"),
    (status = 403, body = crate::http::error::ErrorBody),
    (status = 404, body = crate::http::error::ErrorBody)))]
pub async fn follow(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    auth::require(&request, Role::Operator)?;
    let From::Event(next) = starting_point(sse::last_event_id(&request)) else {
        return Ok(HttpResponse::NoContent().finish());
    };
    let feeds = &state.shared.turn_feeds;
    let turn = find(&state.shared, &request).await?;
    let feed = match feeds.find(&turn.id) {
        Some(feed) => feed,
        None if turn.state.is_ended() => {
            return Ok(sse::head(StatusCode::OK).body(exited(&Exited::kept(&turn))));
        }
        None => {
            // It may have ended since the record was read.
            let feed = feeds.open(turn.id);
            let now = state.shared.tasks.turn(turn.id).await?;
            if let Some(now) = now.filter(|now| now.state.is_ended() && feed.is_empty()) {
                return Ok(sse::head(StatusCode::OK).body(exited(&Exited::kept(&now))));
            }
            feed
        }
    };
    Ok(sse::head(StatusCode::OK).streaming(sse::kept_alive(events(feed, next))))
}

fn starting_point(last_event_id: Option<&str>) -> From {
    match last_event_id.map(str::trim) {
        Some(END) => From::Nowhere,
        // An id that is none of ours: all of it.
        seen => {
            let seen = seen.and_then(|id| id.parse::<usize>().ok());
            From::Event(seen.map_or(0, |seen| seen.saturating_add(1)))
        }
    }
}

fn events(feed: Feed<TurnEvent>, next: usize) -> impl Stream<Item = Bytes> + 'static {
    stream::unfold((feed, Some(next)), |(feed, next)| async move {
        let index = next?;
        let event = feed.event(index).await?;
        let next = (!matches!(event, TurnEvent::Exited(_))).then(|| index + 1);
        Some((to_bytes(index, &event), (feed, next)))
    })
}

fn to_bytes(index: usize, event: &TurnEvent) -> Bytes {
    let (name, data) = match event {
        TurnEvent::Started { pid } => ("started", json!({ "pid": pid })),
        TurnEvent::Session(id) => ("session", json!({ "cli_session": id })),
        TurnEvent::Said(text) => ("said", json!({ "text": text })),
        TurnEvent::MessageEnded => ("message_ended", json!({})),
        TurnEvent::Tool(name) => ("tool", json!({ "name": name })),
        TurnEvent::Trouble(text) => ("trouble", json!({ "text": text })),
        TurnEvent::CalledBack { message, kind, to } => (
            "called_back",
            json!({ "message": message, "type": kind, "to": to }),
        ),
        TurnEvent::Exited(exit) => return exited(&Exited::live(exit)),
    };
    sse::event(name, Some(&index.to_string()), &data.to_string())
}

fn exited(exited: &Exited<'_>) -> Bytes {
    let data = serde_json::to_string(exited).unwrap_or_default();
    sse::event("exited", Some(END), &data)
}

impl<'a> Exited<'a> {
    fn live(exit: &'a TurnExit) -> Self {
        let (state, failure) = match &exit.result {
            TurnResult::Done(_) => (TurnState::Done, None),
            TurnResult::Failed(failure) => (TurnState::Failed, Some(failure)),
            TurnResult::TimedOut(failure) => (TurnState::TimedOut, Some(failure)),
            TurnResult::Stopped => (TurnState::Cancelled, None),
        };
        Self {
            state,
            exit_code: exit.exit_code,
            signal: exit.signal,
            usage: exit.usage,
            failure,
        }
    }

    const fn kept(turn: &'a TurnRecord) -> Self {
        Self {
            state: turn.state,
            exit_code: turn.exit_code,
            signal: turn.signal,
            usage: turn.usage,
            failure: turn.failure.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[test]
    fn a_client_goes_on_after_the_last_event_it_has_seen() {
        for (seen, from) in [
            (None, From::Event(0)),
            (Some("0"), From::Event(1)),
            (Some(" 41 "), From::Event(42)),
            (Some("end"), From::Nowhere),
            (Some("somebody's"), From::Event(0)),
            (Some("-1"), From::Event(0)),
        ] {
            assert_eq!(starting_point(seen), from, "{seen:?}");
        }
    }

    #[tokio::test]
    async fn a_turn_is_told_from_any_event_on_until_it_exits() {
        let feed = Feed::default();
        feed.publish(TurnEvent::Started { pid: 7 });
        feed.publish(TurnEvent::Said("two\nlines".into()));
        feed.publish(TurnEvent::Exited(Box::new(TurnExit {
            result: TurnResult::Stopped,
            exit_code: None,
            signal: Some(15),
            usage: None,
            usage_total: None,
            killed: 0,
            transcript: None,
        })));
        let told: Vec<Bytes> = events(feed, 1).collect().await;
        let exit =
            r#"{"state":"cancelled","exit_code":null,"signal":15,"usage":null,"failure":null}"#;
        assert_eq!(
            told,
            [
                "event: said\nid: 1\ndata: {\"text\":\"two\\nlines\"}\n\n".to_owned(),
                format!("event: exited\nid: end\ndata: {exit}\n\n"),
            ]
        );
    }
}
