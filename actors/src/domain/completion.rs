//! The answer of a mailbox: an OpenAI chat completion that says nothing, or thanks.
//!
//! The shapes are those of OpenAI's chat completions and of their stream
//! (`chat.completion.chunk`), which every client of the OpenAI surface reads.

use serde::Serialize;
use uuid::Uuid;

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
}

#[derive(Serialize)]
struct Whole<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [WholeChoice<'a>; 1],
    usage: Usage,
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

#[derive(Serialize, Default)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of OpenAI's answers"
)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<ChunkChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

impl Completion<'_> {
    /// The completion as one JSON object.
    pub fn to_json(&self) -> String {
        let message = Message {
            role: "assistant",
            content: self.content,
        };
        to_text(&Whole {
            id: self.response_id(),
            object: "chat.completion",
            created: self.created_s,
            model: self.model,
            choices: [WholeChoice {
                index: 0,
                message,
                finish_reason: "stop",
            }],
            usage: Usage::default(),
        })
    }

    /// The completion as server-sent events: text, `finish_reason`, usage where asked for, `[DONE]`.
    pub fn to_events(&self, include_usage: bool) -> String {
        let id = self.response_id();
        let said = Delta {
            role: Some("assistant"),
            content: Some(self.content),
        };
        let ended = Delta {
            role: None,
            content: None,
        };
        let mut events = self.event(&id, said, None) + &self.event(&id, ended, Some("stop"));
        if include_usage {
            let usage = self.chunk(&id, Vec::new(), Some(Usage::default()));
            events.push_str(&event(&to_text(&usage)));
        }
        events + &event("[DONE]")
    }

    fn event(&self, id: &str, delta: Delta<'_>, finish_reason: Option<&'static str>) -> String {
        let choice = ChunkChoice {
            index: 0,
            delta,
            finish_reason,
        };
        event(&to_text(&self.chunk(id, vec![choice], None)))
    }

    fn chunk<'c>(
        &'c self,
        id: &'c str,
        choices: Vec<ChunkChoice<'c>>,
        usage: Option<Usage>,
    ) -> Chunk<'c> {
        Chunk {
            id,
            object: "chat.completion.chunk",
            created: self.created_s,
            model: self.model,
            choices,
            usage,
        }
    }

    fn response_id(&self) -> String {
        format!("chatcmpl-{}", self.id.as_simple())
    }
}

fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// Plain structs of strings and numbers always have a JSON form.
fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn completion(content: &str) -> Completion<'_> {
        Completion {
            id: Uuid::from_u128(0xf),
            created_s: 7,
            model: MAILBOX_MODEL,
            content,
        }
    }

    fn chunks(events: &str) -> Vec<Value> {
        events
            .split_terminator("\n\n")
            .filter_map(|event| event.strip_prefix("data: "))
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    #[test]
    fn an_empty_completion_has_openais_shape() {
        let expected = json!({
            "id": "chatcmpl-0000000000000000000000000000000f",
            "object": "chat.completion",
            "created": 7,
            "model": "local-agent",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": ""},
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        });
        assert_eq!(
            serde_json::from_str::<Value>(&completion("").to_json()).unwrap(),
            expected
        );
    }

    #[test]
    fn a_stream_ends_with_finish_reason_and_done() {
        let events = completion("thanks").to_events(false);
        let chunks = chunks(&events);
        assert_eq!(chunks.len(), 2);
        assert_eq!(
            chunks[0]["choices"][0]["delta"],
            json!({"role": "assistant", "content": "thanks"})
        );
        assert_eq!(chunks[1]["choices"][0]["finish_reason"], "stop");
        assert!(events.ends_with("data: [DONE]\n\n"));
    }

    #[test]
    fn usage_comes_last_and_only_when_asked_for() {
        let with_usage = chunks(&completion("").to_events(true));
        assert_eq!(with_usage[2]["choices"], json!([]));
        assert_eq!(with_usage[2]["usage"]["total_tokens"], 0);
        assert!(
            chunks(&completion("").to_events(false))
                .iter()
                .all(|chunk| chunk.get("usage").is_none())
        );
    }
}
