//! Server-sent events, as they come.

use std::{collections::VecDeque, time::Duration};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::ClientError;

/// The longest silence; a healthy service says something every 15 s.
const IDLE: Duration = Duration::from_secs(90);

/// The longest line of a stream, in bytes.
const LONGEST_LINE: usize = 8 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Event {
    /// What kind it is; empty where that is not told.
    pub(in crate::cli) name: String,
    /// From where one can go on after it, where that is told.
    pub(in crate::cli) id: Option<String>,
    /// What it says.
    pub(in crate::cli) data: String,
}

/// A stream of events. Dropping it closes its connection.
pub(in crate::cli) struct Events {
    body: Incoming,
    endpoint: String,
    lines: Lines,
}

impl Events {
    pub(super) fn of(body: Incoming, endpoint: &str) -> Self {
        Self {
            body,
            endpoint: endpoint.to_owned(),
            lines: Lines::default(),
        }
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// [`ClientError::NoAnswer`] where the stream breaks or falls silent.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped before it is done.
    pub(in crate::cli) async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.lines.complete.pop_front() {
                return Ok(Some(event));
            }
            let frame = match timeout(IDLE, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(self.broken(error.to_string())),
                Err(_elapsed) => {
                    return Err(self.broken(format!("silent for {} s", IDLE.as_secs())));
                }
            };
            if let Ok(data) = frame.into_data()
                && !self.lines.take(&data)
            {
                return Err(self.broken("a line without an end".to_owned()));
            }
        }
    }

    fn broken(&self, problem: String) -> ClientError {
        ClientError::NoAnswer {
            endpoint: self.endpoint.clone(),
            problem,
        }
    }
}

/// Puts events together from pieces of any length.
#[derive(Default)]
struct Lines {
    unfinished: Vec<u8>,
    name: String,
    id: Option<String>,
    data: Option<String>,
    complete: VecDeque<Event>,
}

impl Lines {
    /// Takes a piece; `false` where a line gets too long.
    fn take(&mut self, piece: &[u8]) -> bool {
        let mut lines = piece.split(|byte| *byte == b'\n');
        let last = lines.next_back().unwrap_or_default();
        for end in lines {
            let mut line = std::mem::take(&mut self.unfinished);
            line.extend_from_slice(end);
            self.line(String::from_utf8_lossy(&line).trim_end_matches('\r'));
        }
        self.unfinished.extend_from_slice(last);
        self.unfinished.len() <= LONGEST_LINE
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let (id, data) = (self.id.take(), self.data.take());
            self.complete
                .extend(data.map(|data| Event { name, id, data }));
        } else if let Some(name) = line.strip_prefix("event:") {
            name.trim().clone_into(&mut self.name);
        } else if let Some(id) = line.strip_prefix("id:") {
            self.id = Some(id.trim().to_owned());
        } else if let Some(data) = line.strip_prefix("data:") {
            let data = data.strip_prefix(' ').unwrap_or(data);
            match &mut self.data {
                Some(whole) => {
                    whole.push('\n');
                    whole.push_str(data);
                }
                None => self.data = Some(data.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn events_are_the_same_however_they_are_cut() {
        let stream = ": still here\n\ndata: {\"a\":\"ö\"}\n\nevent: x\nid: 7\ndata:1\r\ndata: 2\r\n\r\ndata: [DONE]\n\ndata: cut";
        for length in 1..stream.len() {
            let mut lines = Lines::default();
            for piece in stream.as_bytes().chunks(length) {
                assert!(lines.take(piece));
            }
            let ids: Vec<_> = lines
                .complete
                .iter()
                .map(|event| event.id.as_deref())
                .collect();
            assert_eq!(ids, [None, Some("7"), None], "{length}");
            let complete = lines.complete.iter();
            let complete: Vec<_> = complete
                .map(|event| (event.name.as_str(), event.data.as_str()))
                .collect();
            assert_eq!(
                complete,
                [("", "{\"a\":\"ö\"}"), ("x", "1\n2"), ("", "[DONE]")],
                "{length}"
            );
        }
    }
}
