//! The line in which OpenClaw states what it runs as.

use memchr::memmem;

use crate::domain::{context::value_up_to_bar, request::chat::Text};

use super::system_prompt;

const PREFIX: &str = "Runtime: ";
const USER_PREFIX: &str = "Runtime: agent=";
const PARAGRAPH: &str = "\n\n";

/// `Runtime: agent=… | session=… | sessionId=… | … | channel=… | capabilities=…`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RuntimeLine<'t>(&'t str);

impl<'t> RuntimeLine<'t> {
    /// The last such line of a system prompt, where it is in its generated part.
    pub(super) fn in_system_prompt(prompt: &'t str) -> Option<Self> {
        let generated = system_prompt::generated_part(prompt);
        memmem::find_iter(generated.as_bytes(), "\nRuntime: ")
            .filter_map(|newline| generated.get(newline + 1..)?.lines().next())
            .filter(|line| line.starts_with(PREFIX) && line.contains('|'))
            .last()
            .map(Self)
    }

    /// Takes the line off the first user message, where it is the last paragraph or part.
    pub(super) fn split_off<'m>(text: &'m Text<'_>) -> (&'m str, Option<RuntimeLine<'m>>) {
        let all = text.all.as_ref();
        let (before_part, part) = all.split_at_checked(text.last_part).unwrap_or(("", all));
        let paragraph = part.trim_end().rfind(PARAGRAPH);
        let (before, last) = match paragraph {
            Some(at) => all
                .split_at_checked(text.last_part + at)
                .unwrap_or((before_part, part)),
            None => (before_part, part),
        };
        let line = last.trim_start_matches('\n');
        if line.starts_with(USER_PREFIX) {
            let before = before.strip_suffix('\n').filter(|_| paragraph.is_none());
            let untouched = all.get(..all.len() - last.len()).unwrap_or_default();
            (before.unwrap_or(untouched), Some(RuntimeLine(line)))
        } else {
            (all, None)
        }
    }

    /// The channel of the turn. The last one counts: earlier fields hold texts of callers.
    pub(super) fn channel(self) -> Option<&'t str> {
        let (_, value) = self.line().rsplit_once("| channel=")?;
        value_up_to_bar(value)
    }

    /// The session of the turn, which may hold anything that a caller chose, bars too.
    pub(super) fn session(self) -> Option<&'t str> {
        let (_, value) = self.line().split_once("| session=")?;
        let value = match value.rsplit_once(" | sessionId=") {
            Some((session, _)) => session,
            None => value.split(" | ").next()?,
        };
        let value = value.trim();
        (!value.is_empty()).then_some(value)
    }

    fn line(self) -> &'t str {
        self.0.lines().next().unwrap_or_default()
    }
}
