//! Answers in the shape of OpenAI's chat completions, whole and as a stream
//! (`chat.completion.chunk`), which every client of the OpenAI surface reads.

use serde::Serialize;
use uuid::Uuid;

use super::turn::Usage;
use chunk::{Chunk, event, to_text};
use usage::UsageCounts;

pub use stream::CompletionStream;

mod chunk;
mod stream;
#[cfg(test)]
mod tests;
mod usage;

/// What a mailbox calls itself as a model.
pub const MAILBOX_MODEL: &str = "local-agent";

/// A completion with a text that is known at once.
#[derive(Debug, Clone)]
pub struct Completion<'a> {
    /// Makes the id `chatcmpl-<32 hex>`.
    pub id: Uuid,
    /// When it was made, in seconds since 1970.
    pub created_s: i64,
    /// The model it says it comes from.
    pub model: &'a str,
    /// The assistant's text; may be empty.
    pub content: &'a str,
    /// What it took; zeros are told where that is not known.
    pub usage: Option<Usage>,
}

#[derive(Serialize)]
struct Whole<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [WholeChoice<'a>; 1],
    usage: UsageCounts,
}

#[derive(Serialize)]
struct WholeChoice<'a> {
    index: u32,
    message: Message<'a>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl Completion<'_> {
    /// The completion as one JSON object.
    pub fn to_json(&self) -> String {
        let message = Message {
            role: "assistant",
            content: self.content,
        };
        to_text(&Whole {
            id: completion_id(self.id),
            object: "chat.completion",
            created: self.created_s,
            model: self.model,
            choices: [WholeChoice {
                index: 0,
                message,
                finish_reason: "stop",
            }],
            usage: UsageCounts::of(self.usage),
        })
    }

    /// The completion as server-sent events: text, `finish_reason`, usage where asked for, `[DONE]`.
    pub fn to_events(&self, include_usage: bool) -> String {
        let chunk = Chunk::new(completion_id(self.id), self.created_s, self.model);
        let mut events = chunk.said(true, self.content) + &chunk.stopped();
        if include_usage {
            events.push_str(&chunk.used(UsageCounts::of(self.usage)));
        }
        events + &event("[DONE]")
    }
}

/// The id that clients see: `chatcmpl-<32 hex>`.
pub fn completion_id(id: Uuid) -> String {
    format!("chatcmpl-{}", id.as_simple())
}
