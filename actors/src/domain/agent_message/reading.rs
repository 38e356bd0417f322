//! Reads the body of a message.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use chrono::{DateTime, Utc};
use thiserror::Error;

use super::Priority;
use crate::domain::{
    ids::ContextId,
    request::{
        InvalidJson,
        document::{Document, Item, Kind},
    },
    session,
};

#[cfg(test)]
mod tests;

/// The longest id, type or name of a recipient, in bytes.
pub const MAX_NAME: usize = 255;

/// The longest `reply_to`, in bytes.
const MAX_URL: usize = 2048;

/// How much of a wrong value is told, in characters.
const SHOWN: usize = 80;

/// What the body of a message says besides its payload's meaning. `null` counts as absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFields<'a> {
    /// `type`
    pub kind: Arc<str>,
    /// `payload`: its JSON as it came.
    pub payload: Option<&'a str>,
    /// `id`
    pub id: Option<Arc<str>>,
    /// `to`
    pub to: Option<String>,
    /// `from`
    pub from: Option<String>,
    /// `context_id`
    pub context_id: Option<ContextId>,
    /// `in_reply_to`
    pub in_reply_to: Option<Arc<str>>,
    /// `priority`
    pub priority: Priority,
    /// `expires_at`
    pub expires_at: Option<DateTime<Utc>>,
    /// `reply_to`; not checked to be a URL.
    pub reply_to: Option<Arc<str>>,
    /// `hops`
    pub hops: u32,
}

/// What is wrong with the body of a message.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum MessageFault {
    /// It is not JSON.
    #[error(transparent)]
    NotJson(#[from] InvalidJson),
    /// It is JSON, but no object.
    #[error(
        "the body must be a JSON object like `{{\"type\": \"TASK\", \"payload\": {{}}}}`, got {0}"
    )]
    NotAnObject(&'static str),
    /// It has no `type`. The words are the protocol's.
    #[error("missing type")]
    MissingType,
    /// A field is there more than once: nobody can say which one is meant.
    #[error("`{0}` is there more than once; send each field once")]
    Repeated(String),
    /// A field has a value that it cannot have.
    #[error("`{field}` must be {allowed}, got {came}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it may be.
        allowed: &'static str,
        /// What came: escaped, and cut.
        came: String,
    },
}

impl MessageFault {
    /// The field at fault.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::MissingType => Some("type"),
            Self::Invalid { field, .. } => Some(field),
            Self::NotJson(_) | Self::NotAnObject(_) | Self::Repeated(_) => None,
        }
    }
}

/// Reads the body of a message. Fields that are not known do not matter.
///
/// # Errors
/// [`MessageFault`], the first that is found.
pub fn read_message(body: &[u8]) -> Result<MessageFields<'_>, MessageFault> {
    let document = Document::parse(body).map_err(|fault| InvalidJson::new(body, fault))?;
    let fields = Fields::of(document.root())?;
    Ok(MessageFields {
        kind: fields.kind()?.into(),
        payload: fields.get("payload").map(Item::raw),
        id: fields.name("id", NAME, MAX_NAME)?.map(Arc::from),
        to: fields.text("to", NAME, MAX_NAME)?.map(Cow::into_owned),
        from: fields.text("from", NAME, MAX_NAME)?.map(Cow::into_owned),
        context_id: fields
            .name("context_id", CONTEXT, session::MAX_VALUE)?
            .map(ContextId::new),
        in_reply_to: fields.name("in_reply_to", NAME, MAX_NAME)?.map(Arc::from),
        priority: fields.priority()?,
        expires_at: fields.time("expires_at")?,
        reply_to: fields.text("reply_to", URL, MAX_URL)?.map(Arc::from),
        hops: fields.hops()?,
    })
}

/// Whether a text may name something: it says something, in 1 to [`MAX_NAME`] printable bytes.
pub fn is_name(text: &str) -> bool {
    is_printable(text, MAX_NAME)
}

fn is_printable(text: &str, longest: usize) -> bool {
    text.len() <= longest && !text.trim().is_empty() && !text.chars().any(char::is_control)
}

const KIND: &str = "a string of up to 255 bytes without control characters";
const NAME: &str = "a string of 1 to 255 bytes without control characters";
const CONTEXT: &str = "a string of 1 to 512 bytes without control characters";
const URL: &str = "a URL of at most 2048 bytes";
const PRIORITY: &str = "`low`, `normal`, `high` or an integer from 0 to 9";
const TIME: &str = "a time like `2030-01-31T12:00:00Z` (RFC 3339)";
const HOPS: &str = "an integer of at least 0";

/// The fields of the body by name.
struct Fields<'d, 'a>(BTreeMap<Cow<'a, str>, Item<'d, 'a>>);

impl<'d, 'a> Fields<'d, 'a> {
    fn of(root: Item<'d, 'a>) -> Result<Self, MessageFault> {
        if root.kind() != Kind::Object {
            return Err(MessageFault::NotAnObject(kind_name(root)));
        }
        let mut fields = BTreeMap::new();
        for (key, value) in root.entries() {
            let name = key.text().unwrap_or_default();
            if fields.insert(name.clone(), value).is_some() {
                return Err(MessageFault::Repeated(shown(&name)));
            }
        }
        Ok(Self(fields))
    }

    /// A field that is there and not null.
    fn get(&self, field: &str) -> Option<Item<'d, 'a>> {
        let value = self.0.get(field).copied();
        value.filter(|value| value.raw() != "null")
    }

    fn kind(&self) -> Result<Cow<'a, str>, MessageFault> {
        let value = self.get("type").ok_or(MessageFault::MissingType)?;
        let text = value.text().filter(|text| !text.trim().is_empty());
        let text = text.ok_or(MessageFault::MissingType)?;
        if is_printable(&text, MAX_NAME) {
            Ok(text)
        } else {
            Err(wrong("type", KIND, value))
        }
    }

    fn text(
        &self,
        field: &'static str,
        allowed: &'static str,
        longest: usize,
    ) -> Result<Option<Cow<'a, str>>, MessageFault> {
        let read = |value: Item<'d, 'a>| value.text().filter(|text| is_printable(text, longest));
        self.read(field, allowed, read)
    }

    /// A text, or a number as it is written: some senders count their messages.
    fn name(
        &self,
        field: &'static str,
        allowed: &'static str,
        longest: usize,
    ) -> Result<Option<String>, MessageFault> {
        let read = |value: Item<'d, 'a>| {
            let number = || (value.kind() == Kind::Number).then(|| Cow::Borrowed(value.raw()));
            let text = value.text().or_else(number)?;
            is_printable(&text, longest).then(|| text.into_owned())
        };
        self.read(field, allowed, read)
    }

    fn priority(&self) -> Result<Priority, MessageFault> {
        let read = |value: Item<'d, 'a>| match value.kind() {
            Kind::Number => Priority::new(value.raw().parse().ok()?),
            _ => match value.text()?.as_ref() {
                "low" => Some(Priority::LOW),
                "normal" => Some(Priority::NORMAL),
                "high" => Some(Priority::HIGH),
                _ => None,
            },
        };
        Ok(self.read("priority", PRIORITY, read)?.unwrap_or_default())
    }

    fn time(&self, field: &'static str) -> Result<Option<DateTime<Utc>>, MessageFault> {
        let read = |value: Item<'d, 'a>| {
            let time = DateTime::parse_from_rfc3339(&value.text()?).ok()?;
            Some(time.with_timezone(&Utc))
        };
        self.read(field, TIME, read)
    }

    /// A number over all limits stays over all limits.
    fn hops(&self) -> Result<u32, MessageFault> {
        let read = |value: Item<'d, 'a>| {
            let digits = value.raw();
            let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
            is_whole.then(|| digits.parse().unwrap_or(u32::MAX))
        };
        Ok(self.read("hops", HOPS, read)?.unwrap_or_default())
    }

    fn read<T>(
        &self,
        field: &'static str,
        allowed: &'static str,
        read: impl Fn(Item<'d, 'a>) -> Option<T>,
    ) -> Result<Option<T>, MessageFault> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(wrong(field, allowed, value)),
        }
    }
}

fn wrong(field: &'static str, allowed: &'static str, value: Item<'_, '_>) -> MessageFault {
    MessageFault::Invalid {
        field,
        allowed,
        came: format!("`{}`", shown(value.raw())),
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    // It is JSON: quotes and backslashes are its own, and easier to read as they are.
    let escape = |character: char| match character {
        '"' | '\'' | '\\' => character.to_string(),
        other => other.escape_debug().to_string(),
    };
    shown.chars().map(escape).collect()
}

fn kind_name(item: Item<'_, '_>) -> &'static str {
    match item.kind() {
        Kind::Array => "an array",
        Kind::Number => "a number",
        Kind::PlainText | Kind::EscapedText => "a string",
        Kind::Literal if item.raw() == "null" => "null",
        Kind::Literal => "a boolean",
        Kind::Object | Kind::End => "an object",
    }
}
