//! The events of a response: live, from any of them on, or as they are kept.

use std::collections::HashMap;

use actix_web::{HttpResponse, http::StatusCode, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::ready, stream};
use postroom_actors::{
    domain::{
        response::ResponseEvents,
        task::{NewTask, TaskRecord},
    },
    feed::TaskEvent,
};

use crate::http::{SharedState, agent_tasks::TaskReader, error::ApiError, sse};

/// What of a response is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The object, as it stands.
    Object,
    /// The events, those after this number.
    Events(Option<u64>),
}

/// Whether the events are asked for (`stream=true`), and after which number.
///
/// # Errors
/// 400 where the query says neither yes nor no, or no number.
pub(super) fn wanted(query: &HashMap<String, String>) -> Result<Wanted, ApiError> {
    let starting_after = query.get("starting_after").map(|text| {
        text.parse().map_err(|_invalid| {
            let message = "`starting_after` is the `sequence_number` of an event";
            ApiError::bad_request(message, Some("starting_after"))
        })
    });
    let starting_after = starting_after.transpose()?;
    match query.get("stream").map(String::as_str) {
        Some("true" | "True" | "1") => Ok(Wanted::Events(starting_after)),
        None | Some("false" | "False" | "0" | "") => Ok(Wanted::Object),
        Some(_) => {
            let message = "`stream` is `true` or `false`";
            Err(ApiError::bad_request(message, Some("stream")))
        }
    }
}

/// What happens to a task, as it happens.
pub(super) fn live(
    task: &NewTask,
    reader: TaskReader,
    starting_after: Option<u64>,
) -> HttpResponse {
    let events = ResponseEvents::new(task, starting_after);
    sse::head(StatusCode::OK).streaming(sse::kept_alive(texts_of(reader, events)))
}

/// The events of a response that was begun before.
///
/// # Errors
/// 503 where the store cannot be read.
pub(super) async fn again(
    shared: &web::Data<SharedState>,
    record: TaskRecord,
    starting_after: Option<u64>,
) -> Result<HttpResponse, ApiError> {
    let id = record.task.id;
    let feed = match shared.task_feeds.find(&id) {
        Some(feed) => feed,
        None if record.state.is_ended() => return Ok(kept(&record, starting_after)),
        None => {
            // Nobody writes a log of it now, but somebody may begin to. It may also have ended
            // since the record was read.
            let feed = shared.task_feeds.open(id);
            let now = shared.tasks.tasks(vec![id]).await?.pop();
            if let Some(now) = now.filter(|now| now.state.is_ended() && feed.is_empty()) {
                return Ok(kept(&now, starting_after));
            }
            feed
        }
    };
    let reader = TaskReader::new(shared.clone(), id, feed);
    Ok(live(&record.task, reader, starting_after))
}

fn kept(record: &TaskRecord, starting_after: Option<u64>) -> HttpResponse {
    sse::head(StatusCode::OK).body(ResponseEvents::replay(record, starting_after))
}

fn texts_of(reader: TaskReader, mut events: ResponseEvents) -> impl Stream<Item = Bytes> + 'static {
    let begin = Bytes::from(events.begin());
    let rest = stream::unfold((reader, events), |(mut reader, mut events)| async move {
        let text = match reader.next().await? {
            TaskEvent::Started(_) => events.started(),
            TaskEvent::Said(piece) => events.said(&piece),
            TaskEvent::Ended(outcome) => events.ended(&outcome),
        };
        Some((Bytes::from(text), (reader, events)))
    });
    stream::once(ready(begin)).chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&str, &str)]) -> Result<Wanted, ApiError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        wanted(&query.iter().map(owned).collect())
    }

    #[test]
    fn events_are_given_to_whoever_asks_for_them() {
        assert_eq!(read(&[]), Ok(Wanted::Object));
        assert_eq!(read(&[("stream", "false")]), Ok(Wanted::Object));
        assert_eq!(read(&[("stream", "true")]), Ok(Wanted::Events(None)));
        let resumed = [("stream", "true"), ("starting_after", "41")];
        assert_eq!(read(&resumed), Ok(Wanted::Events(Some(41))));
        // Without the stream there is nothing to start after.
        assert_eq!(read(&[("starting_after", "41")]), Ok(Wanted::Object));
    }

    #[test]
    fn a_query_that_makes_no_sense_is_refused_with_its_name() {
        for (query, param) in [
            (("stream", "maybe"), "stream"),
            (("starting_after", "-1"), "starting_after"),
            (("starting_after", "x"), "starting_after"),
        ] {
            let error = read(&[query]).unwrap_err();
            assert_eq!(error.body().error.param.as_deref(), Some(param));
        }
    }
}
