//! A human's message, taken out of what OpenClaw wraps around it.

use crate::domain::request::chat::Text;

use super::{conversation_info::ConversationInfo, runtime_line::RuntimeLine};

const QUEUED: &str = "[Queued user message from a previous active turn;";
const QUEUED_TAIL: &str = "\n\nContinue the current task from the existing transcript";

/// A user message that is not the internal context.
#[derive(Debug)]
pub(super) struct HumanMessage<'t> {
    /// What the human said.
    pub(super) words: &'t str,
    /// What OpenClaw says about the sender.
    pub(super) info: Option<ConversationInfo>,
    /// The line about OpenClaw's own state; only the first user message has one.
    pub(super) runtime: Option<RuntimeLine<'t>>,
}

impl<'t> HumanMessage<'t> {
    /// Reads the first user message of a request.
    pub(super) fn read_first(text: &'t Text<'_>) -> Self {
        let (before, runtime) = RuntimeLine::split_off(text);
        Self {
            runtime,
            ..Self::read(before)
        }
    }

    /// Reads any other user message.
    pub(super) fn read(text: &'t str) -> Self {
        let (words, info) = unwrap_sender(text);
        Self {
            words: unwrap_queued(words),
            info,
            runtime: None,
        }
    }
}

/// Takes off the time prefix and, directly after it, the facts about the sender.
fn unwrap_sender(text: &str) -> (&str, Option<ConversationInfo>) {
    let Some(rest) = without_time_prefix(text) else {
        return (text, None);
    };
    match ConversationInfo::at_start(rest) {
        Some((info, words)) => (words, Some(info)),
        None => (rest, None),
    }
}

/// Takes a message that waited out of the words that OpenClaw puts around it.
///
/// Facts about a sender in there are not believed: a human can write all of that.
fn unwrap_queued(text: &str) -> &str {
    let Some((_, inside)) = text
        .strip_prefix(QUEUED)
        .and_then(|wrapped| wrapped.split_once("]\n"))
    else {
        return text;
    };
    let words = match inside.rfind(QUEUED_TAIL) {
        Some(tail) => inside.get(..tail).unwrap_or(inside),
        None => inside,
    };
    unwrap_sender(words).0
}

/// What follows `[<weekday date time> <zone>] `.
fn without_time_prefix(text: &str) -> Option<&str> {
    let (stamp, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let mut parts = stamp.splitn(4, ' ');
    let weekday = has_shape(parts.next()?, "aaa");
    let date = has_shape(parts.next()?, "0000-00-00");
    let time = parts.next()?;
    let time = has_shape(time, "00:00") || has_shape(time, "00:00:00");
    let zone = parts.next()?;
    let zone = !zone.is_empty() && zone.len() <= 40 && !zone.contains(char::is_control);
    (weekday && date && time && zone).then_some(rest)
}

/// Compares a text with a pattern: `a` is a letter, `0` a digit, others stand for themselves.
fn has_shape(text: &str, pattern: &str) -> bool {
    let matches = |(byte, shape): (u8, u8)| match shape {
        b'a' => byte.is_ascii_alphabetic(),
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(matches)
}
