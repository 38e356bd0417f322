//! Answers of server-sent events.

use std::{convert::Infallible, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{StatusCode, header},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::ready, stream};

/// Silence after which a client gets a comment line, so that nobody on the way gives up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// An answer of server-sent events that no proxy on the way may hold back or change.
pub(super) fn head(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"));
    response
}

/// These events as they come, with comments where nothing comes for long. Empty ones are left out:
/// an empty chunk would end the body.
pub(super) fn kept_alive(
    events: impl Stream<Item = Bytes> + 'static,
) -> impl Stream<Item = Result<Bytes, Infallible>> + 'static {
    let events = events.filter(|bytes| ready(!bytes.is_empty()));
    stream::unfold(Box::pin(events), |mut events| async {
        let next = tokio::time::timeout(KEEP_ALIVE, events.next()).await;
        let bytes = next.unwrap_or(Some(COMMENT))?;
        Some((Ok(bytes), events))
    })
}

/// One event with a name, and an id to go on from where there is one. `data` holds no line break.
pub(super) fn event(name: &str, id: Option<&str>, data: &str) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {name}\n{id}data: {data}\n\n").into()
}

/// The id of the last event that the client has seen.
pub(super) fn last_event_id(request: &HttpRequest) -> Option<&str> {
    request.headers().get("last-event-id")?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_name_its_id_and_one_line_of_data() {
        assert_eq!(
            event("said", Some("3"), "{}"),
            "event: said\nid: 3\ndata: {}\n\n"
        );
        assert_eq!(event("said", None, "{}"), "event: said\ndata: {}\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_gets_a_comment_every_15_seconds_and_no_event_is_lost() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(2);
        let events = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        let mut body = Box::pin(kept_alive(events));
        assert_eq!(body.next().await, Some(Ok(COMMENT)));
        assert_eq!(body.next().await, Some(Ok(COMMENT)));
        sender.send(Bytes::new()).await.unwrap();
        sender.send(Bytes::from_static(b"x")).await.unwrap();
        assert_eq!(body.next().await, Some(Ok(Bytes::from_static(b"x"))));
        drop(sender);
        assert_eq!(body.next().await, None);
    }
}
