//! Server-sent events, put together from whatever pieces they arrive in.

use super::{CollectedReply, MAX_TEXT, StreamPosition, TokenUsage, json::Completion};

/// The longest line, and the longest event, that is understood. Longer ones are skipped.
const MAX_EVENT: usize = MAX_TEXT;

/// Reads a stream of chat completion chunks.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent fact about the stream"
)]
pub(super) struct EventReader {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The data of the event whose blank line has not come.
    data: Option<Vec<u8>>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// Some line of the present event has ended.
    inside_event: bool,
    /// The present line or event is too long to be understood.
    oversized: bool,
    has_begun: bool,
    text: String,
    done: bool,
    finished: bool,
    tool_calls: bool,
    error: bool,
    /// The last one told: some backends tell it with each chunk, as a running total.
    usage: Option<TokenUsage>,
}

impl EventReader {
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = rest.split_at(end);
            self.end_line(head);
            rest = match tail {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => tail,
            };
            self.after_return = tail == b"\r";
        }
        self.keep(rest);
    }

    pub(super) fn position(&self) -> StreamPosition {
        if !self.line.is_empty() || self.after_return {
            StreamPosition::InsideLine
        } else if self.inside_event {
            StreamPosition::BetweenLines
        } else {
            StreamPosition::BetweenEvents
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn finish(mut self) -> CollectedReply {
        // Some backends end without the last blank line.
        self.end_line(&[]);
        self.end_line(&[]);
        CollectedReply {
            text: (!self.text.is_empty()).then_some(self.text),
            is_complete: (self.done || self.finished) && !self.error,
            has_tool_calls: self.tool_calls,
            has_error: self.error,
            usage: self.usage,
        }
    }

    fn keep(&mut self, part: &[u8]) {
        if self.line.len() + part.len() <= MAX_EVENT {
            self.line.extend_from_slice(part);
        } else {
            self.oversized = true;
        }
    }

    fn end_line(&mut self, end: &[u8]) {
        if self.line.is_empty() {
            self.take_line(end);
        } else {
            self.keep(end);
            let line = std::mem::take(&mut self.line);
            self.take_line(&line);
            self.line = line;
            self.line.clear();
        }
    }

    fn take_line(&mut self, line: &[u8]) {
        let line = if self.has_begun {
            line
        } else {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        };
        self.has_begun = true;
        self.inside_event = !line.is_empty();
        if line.is_empty() {
            self.end_event();
        } else if let Some(value) = data_of(line) {
            self.add_data(value);
        }
    }

    fn add_data(&mut self, value: &[u8]) {
        let data = self.data.get_or_insert_default();
        if data.len() + value.len() >= MAX_EVENT {
            self.oversized = true;
            return;
        }
        if !data.is_empty() {
            data.push(b'\n');
        }
        data.extend_from_slice(value);
    }

    fn end_event(&mut self) {
        let data = self.data.take();
        let oversized = std::mem::take(&mut self.oversized);
        match data.as_deref().map(<[u8]>::trim_ascii) {
            None | Some([]) => {}
            Some(b"[DONE]") => self.done = true,
            Some(_) if oversized => {}
            Some(event) => self.take_event(event),
        }
    }

    fn take_event(&mut self, event: &[u8]) {
        let Ok(chunk) = serde_json::from_slice::<Completion<'_>>(event) else {
            return;
        };
        self.error |= chunk.error.is_some();
        self.usage = chunk.usage().or(self.usage);
        if let Some(choice) = chunk.first_choice() {
            choice.append_text(&mut self.text);
            self.finished |= choice.is_last();
            self.tool_calls |= choice.has_tool_calls();
        }
    }
}

/// The value of a `data` field; one space after the colon is not part of it.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    let value = match line.strip_prefix(b"data")? {
        [] => &[],
        [b':', b' ', value @ ..] | [b':', value @ ..] => value,
        _ => return None,
    };
    Some(value)
}
