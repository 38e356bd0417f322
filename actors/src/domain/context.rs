//! Which conversation a request belongs to: what all forms of requests have in common.

use super::request::document::Item;

/// The body's fields that name a channel, in order of precedence.
const CHANNEL_KEYS: [&str; 6] = [
    "channel",
    "context_id",
    "thread_id",
    "thread",
    "conversation_id",
    "chat_id",
];

/// The body's fields that name a target, in order of precedence.
const TARGET_KEYS: [&str; 4] = ["target", "user_id", "recipient", "to"];

/// The channel that a request's own fields name.
pub(in crate::domain) fn channel_field(root: Item<'_, '_>) -> Option<String> {
    first_string(root, &CHANNEL_KEYS)
}

/// The target that a request's own fields name.
pub(in crate::domain) fn target_field(root: Item<'_, '_>) -> Option<String> {
    first_string(root, &TARGET_KEYS)
}

/// The first of an object's fields that is a string and not blank, trimmed.
pub(in crate::domain) fn first_string(object: Item<'_, '_>, keys: &[&str]) -> Option<String> {
    keys.iter()
        .find_map(|key| non_blank(&object.get(key)?.text()?))
}

/// A text trimmed, unless nothing is left of it.
pub(in crate::domain) fn non_blank(text: &str) -> Option<String> {
    let text = text.trim_matches(is_space);
    (!text.is_empty()).then(|| text.to_owned())
}

/// The id of a conversation that has both parts.
pub(in crate::domain) fn joined(channel: &str, target: &str) -> String {
    format!("{channel}:{target}")
}

/// Whether Python counts a character as white space; four separators more than Unicode does.
pub(in crate::domain) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// What stands before the first white space or bar; none where that is nothing.
pub(in crate::domain) fn value_up_to_bar(text: &str) -> Option<&str> {
    let value = text.split(|next| next == '|' || is_space(next)).next()?;
    (!value.is_empty()).then_some(value)
}
