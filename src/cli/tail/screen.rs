//! Where lines are printed: for people or for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{
    line,
    voices::{Voice, What},
};
use crate::cli::{agent_view::Paint, client::events::Event};

pub(super) struct Screen<'a> {
    pub(super) output: &'a mut dyn Write,
    pub(super) is_json: bool,
    pub(super) paint: Paint,
}

impl Screen<'_> {
    /// One event of the feed, a line.
    pub(super) fn event(&mut self, event: &Event, data: &Value) -> io::Result<()> {
        if self.is_json {
            return self.print(&harmless(data));
        }
        let line = line::of(&event.name, data, self.paint);
        self.print(&line)
    }

    /// What a turn says, below what it began with.
    pub(super) fn voice(&mut self, voice: &Voice) -> io::Result<()> {
        if self.is_json {
            return self.print(&harmless(&as_json(voice)));
        }
        let line = match &voice.what {
            What::Said(text) => line::below("|", text, self.paint),
            What::Tool(name) => line::below("> calls", name, self.paint),
            What::Trouble(text) => line::below("! trouble:", text, self.paint),
            What::Over { .. } => return Ok(()),
        };
        self.print(&line)
    }

    fn print(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.output, "{line}")?;
        self.output.flush()
    }
}

fn as_json(voice: &Voice) -> Value {
    let (kind, text) = match &voice.what {
        What::Said(text) => ("turn_said", text.as_str()),
        What::Tool(name) => ("turn_tool", name.as_str()),
        What::Trouble(text) => ("turn_trouble", text.as_str()),
        What::Over { .. } => ("turn_over", ""),
    };
    json!({ "kind": kind, "turn": voice.turn, "text": text })
}

/// JSON in which every control character is escaped; not all that a terminal obeys are by default.
fn harmless(value: &Value) -> String {
    let text = value.to_string();
    let pieces = text.chars().map(|character| {
        if character.is_control() {
            format!("\\u{:04x}", u32::from(character))
        } else {
            character.to_string()
        }
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_holds_no_control_character_and_says_the_same() {
        let value = json!({"text": "a\u{9b}2J\u{7f}\u{1b}[2Jb\n"});
        let text = harmless(&value);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
