//! What the agent is heard to say and do: each message once, however the CLI prints it.

use postroom_actors::domain::turn::TurnEvent;

use super::outcome::shortened;

/// Longest answer that is put together from pieces, in bytes; the rest is streamed only.
const LONGEST: usize = 4 << 20;

/// Longest text of a tool call, in bytes.
const LONGEST_CALL: usize = 300;

/// Says each message once, whether it comes in pieces, whole, or both ways.
#[derive(Debug, Default)]
pub(super) struct Speech {
    said: String,
    is_cut: bool,
    is_open: bool,
}

impl Speech {
    /// Says a piece of a message.
    pub(super) fn piece(&mut self, text: &str, events: &mut Vec<TurnEvent>) {
        if text.is_empty() {
            return;
        }
        self.is_open = true;
        self.is_cut |= !append_bounded(&mut self.said, text);
        events.push(TurnEvent::Said(text.into()));
    }

    /// Says what was not said yet of a message that now came whole, and ends it.
    pub(super) fn whole(&mut self, text: &str, events: &mut Vec<TurnEvent>) {
        match text.strip_prefix(self.said.as_str()) {
            _ if self.is_cut => {}
            Some(rest) => self.piece(rest, events),
            // What was begun is not what came of it: a second try of the CLI.
            None => {
                self.end(events);
                self.piece(text, events);
            }
        }
        self.end(events);
    }

    /// Ends the message, if one was begun.
    pub(super) fn end(&mut self, events: &mut Vec<TurnEvent>) {
        if self.is_open {
            events.push(TurnEvent::MessageEnded);
        }
        *self = Self::default();
    }
}

/// Appends what there is room for; answers whether that was all.
pub(super) fn append_bounded(answer: &mut String, text: &str) -> bool {
    let room = LONGEST.saturating_sub(answer.len());
    let fitting = text.get(..text.floor_char_boundary(room)).unwrap_or(text);
    answer.push_str(fitting);
    fitting.len() == text.len()
}

/// Tells of a tool call, by its command where it has one, else by its name.
pub(super) fn tool(command: Option<&str>, name: Option<&str>, events: &mut Vec<TurnEvent>) {
    let call = command.or(name).unwrap_or("tool");
    events.push(TurnEvent::Tool(shortened(call, LONGEST_CALL).into()));
}

/// Tells the CLI's session, once.
#[derive(Debug, Default)]
pub(super) struct SessionNote {
    is_told: bool,
}

impl SessionNote {
    /// Tells the session unless it was told.
    pub(super) fn note(&mut self, id: Option<&str>, events: &mut Vec<TurnEvent>) {
        let Some(id) = id.filter(|id| !id.is_empty() && !self.is_told) else {
            return;
        };
        self.is_told = true;
        events.push(TurnEvent::Session(id.to_owned()));
    }
}
