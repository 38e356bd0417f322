//! The events of a reply.

use serde_json::Value;

use super::text_at;

/// What an event brings.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Piece {
    /// More of the text.
    Text(String),
    /// Nothing to show.
    Nothing,
    /// There will be no more: why.
    Failed(String),
    /// The reply is complete.
    End,
}

/// Reads an event; notes the reply's id.
pub(in crate::cli) fn read(event: &str, id: &mut Option<String>) -> Piece {
    if event.trim() == "[DONE]" {
        return Piece::End;
    }
    let Ok(event) = serde_json::from_str::<Value>(event) else {
        return Piece::Nothing;
    };
    if let Some(error) = event.get("error") {
        let message = text_at(error, "/message").unwrap_or_else(|| error.to_string());
        return Piece::Failed(message);
    }
    if id.is_none() {
        *id = text_at(&event, "/id");
    }
    match text_at(&event, "/choices/0/delta/content") {
        Some(text) if !text.is_empty() => Piece::Text(text),
        _ => Piece::Nothing,
    }
}

/// Whether a task's id is that of a reply (`chatcmpl-<32 hex>`).
pub(super) fn same_id(task: &str, reply: &str) -> bool {
    let digits: String = task.chars().filter(char::is_ascii_hexdigit).collect();
    !digits.is_empty() && reply.ends_with(&digits)
}
