//! Names for things: message ids, context ids, agent ids.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// Identifies one accepted message, for good: a UUID version 7 (RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Wraps an id that was made elsewhere (a generator or the store).
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Reads an id from outside, in any of the forms that UUIDs are written in.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    /// The inbox file of this message: `<UTC yyyymmddHHMMSS>-<32 hex>.json`.
    ///
    /// The name depends on nothing else, so writing a message again writes the same file.
    pub fn file_name(self, received_at: DateTime<Utc>) -> String {
        format!(
            "{}-{}.json",
            received_at.format("%Y%m%d%H%M%S"),
            self.0.as_simple()
        )
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Identifies one turn, for good: a UUID version 7 (RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TurnId(Uuid);

impl TurnId {
    /// Wraps an id that was made elsewhere (a generator or the store).
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as a UUID.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Reads an id from outside, in any of the forms that UUIDs are written in.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What belongs together for an agent: tasks of one session are worked on one after the other, by
/// the same session of its CLI. Made by `session::session_key`; free text, never a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionKey(Arc<str>);

impl SessionKey {
    /// Wraps the text of a key; any text is one.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One conversation: `channel:target`, or the channel alone. Free text, never a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContextId(String);

impl ContextId {
    /// Wraps the text of a context id; any text is one.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContextId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An agent's name: `[a-z0-9][a-z0-9_-]{0,63}`, so that it is safe in a path, a URL and a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct AgentId(String);

/// A name that is no agent's.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{}` is not an agent id; use 1 to 64 of a-z, 0-9, `_` and `-`, beginning with a letter or digit", shorten(.0))]
pub struct InvalidAgentId(String);

impl AgentId {
    /// The longest agent id, in bytes.
    pub const MAX_LENGTH: usize = 64;

    /// Checks a name that came from outside.
    ///
    /// # Errors
    /// [`InvalidAgentId`] where it does not match `[a-z0-9][a-z0-9_-]{0,63}`.
    pub fn parse(name: &str) -> Result<Self, InvalidAgentId> {
        let starts_well = name.bytes().next().is_some_and(is_lower_alphanumeric);
        let goes_on_well = name
            .bytes()
            .all(|byte| is_lower_alphanumeric(byte) || byte == b'_' || byte == b'-');
        if starts_well && goes_on_well && name.len() <= Self::MAX_LENGTH {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidAgentId(name.to_owned()))
        }
    }

    /// Makes an id of a role and a name: lower case, joined by `_`, what else is not allowed
    /// becomes `-`.
    ///
    /// # Errors
    /// [`InvalidAgentId`] where nothing usable is left, or too much.
    pub fn of_role(role: &str, name: Option<&str>) -> Result<Self, InvalidAgentId> {
        let clean = |text: &str| -> String {
            let text = text.trim().to_lowercase();
            let keep = |character: char| match character {
                'a'..='z' | '0'..='9' | '_' | '-' => character,
                _ => '-',
            };
            text.chars().map(keep).collect()
        };
        let name = name.map(clean).filter(|name| !name.is_empty());
        Self::parse(&match name {
            Some(name) => format!("{}_{name}", clean(role)),
            None => clean(role),
        })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A text from outside, made safe and short enough for an error message.
fn shorten(text: &str) -> String {
    text.escape_debug().take(80).collect()
}

const fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    #[test]
    fn a_file_is_named_after_time_and_id_alone() {
        let id = MessageId::new(Uuid::from_u128(0xabc));
        let at = Utc.with_ymd_and_hms(2026, 11, 21, 7, 5, 9).unwrap();
        assert_eq!(
            id.file_name(at),
            "20261121070509-00000000000000000000000000000abc.json"
        );
    }

    #[test]
    fn agent_ids_are_safe_names() {
        for good in ["a", "0", "engineer_alice", "a-b", &"x".repeat(64)] {
            assert!(AgentId::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "A",
            "-a",
            "_a",
            "a/b",
            "..",
            "a\0",
            "é",
            "a b",
            &"x".repeat(65),
        ] {
            assert!(AgentId::parse(bad).is_err(), "{bad}");
        }
    }
}
