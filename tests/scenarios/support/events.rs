//! Server-sent events, read as they come.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde_json::Value;

use super::{broker::Broker, wait::DEADLINE};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `event:`
    pub name: Option<String>,
    /// `id:`
    pub id: Option<String>,
    /// `data:`
    pub data: String,
}

impl Event {
    /// Its data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The number of an event of a response.
    pub fn number(&self) -> u64 {
        self.json()["sequence_number"].as_u64().unwrap()
    }

    fn parse(block: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut values = block.lines().filter_map(|line| line.strip_prefix(name));
            values.next().map(|value| value.trim_start().to_owned())
        };
        Some(Self {
            name: field("event:"),
            id: field("id:"),
            data: field("data:")?,
        })
    }
}

/// The events in a text.
pub fn parse_events(text: &str) -> Vec<Event> {
    text.split("\n\n").filter_map(Event::parse).collect()
}

/// The names of events.
pub fn names(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event.name.as_deref())
        .collect()
}

/// What the deltas among the events of a response say.
pub fn told(events: &[Event]) -> String {
    let deltas = events
        .iter()
        .filter(|event| event.name.as_deref() == Some("response.output_text.delta"));
    deltas
        .map(|event| event.json()["delta"].as_str().unwrap().to_owned())
        .collect()
}

/// An answer that is still being read. Dropped before its end, the connection is closed.
pub struct EventReader {
    body: Pin<Box<dyn Stream<Item = Bytes>>>,
    text: String,
}

impl EventReader {
    /// The next event; `None` at the end.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (Event::parse(block), rest.to_owned());
                self.text = rest;
                if event.is_some() {
                    return event;
                }
                continue;
            }
            let bytes = tokio::time::timeout(DEADLINE, self.body.next()).await;
            let bytes = bytes.unwrap_or_else(|_| panic!("silence after {:?}", self.text))?;
            self.text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
    }

    /// All up to the first of this name, and that one.
    pub async fn until(&mut self, name: &str) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            let is_it = event.name.as_deref() == Some(name);
            events.push(event);
            if is_it {
                return events;
            }
        }
        panic!("no `{name}` in {events:?}")
    }

    /// All that is left.
    pub async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

impl Broker {
    /// Asks with the operator key for events.
    pub async fn follow(
        &self,
        method: &str,
        path: &str,
        body: impl Into<String>,
        headers: &[(&str, &str)],
    ) -> EventReader {
        let client = awc::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_default_headers()
            .finish();
        let url = format!("{}{path}", self.url());
        let mut request = client
            .request(method.parse().unwrap(), url)
            .insert_header(("authorization", format!("Bearer {}", self.key())))
            .insert_header(("content-type", "application/json"));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        let response = request.send_body(body.into()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let is_stream = response.headers().get("content-type").unwrap();
        assert_eq!(is_stream, "text/event-stream");
        // A broker that is killed ends what it says.
        let body = response.filter_map(async |bytes| bytes.ok());
        EventReader {
            body: Box::pin(body),
            text: String::new(),
        }
    }

    /// Reads the events of a response from the beginning, or after a number.
    pub async fn follow_response(&self, id: &str, starting_after: Option<u64>) -> EventReader {
        let after = starting_after.map(|number| format!("&starting_after={number}"));
        let path = format!(
            "/v1/responses/{id}?stream=true{}",
            after.unwrap_or_default()
        );
        self.follow("GET", &path, "", &[]).await
    }
}
