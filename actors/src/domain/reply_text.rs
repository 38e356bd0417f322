//! What a backend's answer says, put together beside the stream.

mod events;
mod json;

use bytes::Bytes;

use self::{events::EventReader, json::JsonReader};

/// The longest text that is kept of a reply, in bytes. What is beyond is passed on, not kept.
pub const MAX_TEXT: usize = 4 * 1024 * 1024;

/// The largest JSON answer that is understood, in bytes.
pub const MAX_JSON: usize = 20 * 1024 * 1024;

/// What was understood of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectedReply {
    /// The assistant's text; `None` where there was none.
    pub text: Option<String>,
    /// The answer is whole: its JSON parses, or its stream told its end.
    pub is_complete: bool,
    /// It asks for tools to be called.
    pub has_tool_calls: bool,
    /// It holds an error instead of, or after, an answer.
    pub has_error: bool,
    /// What it says that it has cost.
    pub usage: Option<TokenUsage>,
}

/// Tokens of one answer, as the backend tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
}

/// Where in an event stream the last byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamPosition {
    /// After an event's blank line, or before the first byte: anything may follow.
    BetweenEvents,
    /// After a line of an unfinished event: a comment line may follow.
    BetweenLines,
    /// Inside a line: only the rest of it may follow.
    InsideLine,
}

/// Reads along while an answer passes by, and never changes it.
///
/// An event stream or one JSON document: its content type decides, else its first byte, because
/// backends answer a request for one with the other.
#[derive(Debug)]
pub struct ReplyCollector(Form);

#[derive(Debug)]
enum Form {
    Unknown,
    Events(Box<EventReader>),
    Json(JsonReader),
}

impl ReplyCollector {
    /// Starts with what the answer's head says of its content.
    pub fn new(content_type: Option<&str>) -> Self {
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        Self(if content_type.contains("event-stream") {
            Form::events()
        } else if content_type.contains("json") {
            Form::json()
        } else {
            Form::Unknown
        })
    }

    /// Takes in the next chunk. A JSON answer's chunks are held by reference, not copied.
    pub fn feed(&mut self, chunk: &Bytes) {
        if matches!(self.0, Form::Unknown) {
            match chunk.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return,
                Some(b'{' | b'[') => self.0 = Form::json(),
                Some(_) => self.0 = Form::events(),
            }
        }
        match &mut self.0 {
            Form::Unknown => {}
            Form::Events(reader) => reader.feed(chunk),
            Form::Json(reader) => reader.feed(chunk),
        }
    }

    /// It is an event stream, as far as is known.
    pub const fn is_event_stream(&self) -> bool {
        matches!(self.0, Form::Events(_))
    }

    /// Where the stream stands; a JSON document is inside a line all along.
    pub fn position(&self) -> StreamPosition {
        match &self.0 {
            Form::Unknown => StreamPosition::BetweenEvents,
            Form::Events(reader) => reader.position(),
            Form::Json(_) => StreamPosition::InsideLine,
        }
    }

    /// The stream has said `[DONE]`.
    pub fn is_done(&self) -> bool {
        matches!(&self.0, Form::Events(reader) if reader.is_done())
    }

    /// What the answer said, now that it has ended.
    pub fn finish(self) -> CollectedReply {
        match self.0 {
            Form::Unknown => CollectedReply::default(),
            Form::Events(reader) => reader.finish(),
            Form::Json(reader) => reader.finish(),
        }
    }
}

impl Form {
    fn events() -> Self {
        Self::Events(Box::default())
    }

    fn json() -> Self {
        Self::Json(JsonReader::default())
    }
}

/// Adds to a text as much as [`MAX_TEXT`] allows, whole characters only.
fn append_bounded(text: &mut String, more: &str) {
    let room = MAX_TEXT.saturating_sub(text.len());
    let end = more.floor_char_boundary(room);
    text.push_str(more.get(..end).unwrap_or_default());
}

#[cfg(test)]
mod tests;
