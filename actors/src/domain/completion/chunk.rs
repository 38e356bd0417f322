//! One event of a streamed completion.

use std::borrow::Cow;

use serde::Serialize;

use super::usage::UsageCounts;

/// What all chunks of one stream share.
#[derive(Debug, Clone)]
pub(super) struct Chunk<'a> {
    id: String,
    created: i64,
    model: Cow<'a, str>,
}

#[derive(Serialize)]
struct Wire<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageCounts>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize, Default)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

impl<'a> Chunk<'a> {
    pub(super) fn new(id: String, created: i64, model: impl Into<Cow<'a, str>>) -> Self {
        Self {
            id,
            created,
            model: model.into(),
        }
    }

    /// The assistant says something; the first chunk of a stream also tells its role.
    pub(super) fn said(&self, is_first: bool, content: &str) -> String {
        let delta = Delta {
            role: is_first.then_some("assistant"),
            content: Some(content),
        };
        self.choice(delta, None)
    }

    /// A chunk that says nothing.
    pub(super) fn silent(&self) -> String {
        self.choice(Delta::default(), None)
    }

    /// The assistant has said all.
    pub(super) fn stopped(&self) -> String {
        self.choice(Delta::default(), Some("stop"))
    }

    /// The token counts.
    pub(super) fn used(&self, usage: UsageCounts) -> String {
        self.wire(&[], Some(usage))
    }

    fn choice(&self, delta: Delta<'_>, finish_reason: Option<&'static str>) -> String {
        let choice = Choice {
            index: 0,
            delta,
            finish_reason,
        };
        self.wire(&[choice], None)
    }

    fn wire(&self, choices: &[Choice<'_>], usage: Option<UsageCounts>) -> String {
        event(&to_text(&Wire {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        }))
    }
}

/// A server-sent event without a name.
pub(super) fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// Plain structs of strings and numbers always have a JSON form.
pub(super) fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
