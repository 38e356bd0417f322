//! Chat completions: whole ones and the chunks of a stream, read leniently.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{CollectedReply, MAX_JSON, TokenUsage, append_bounded};

/// Collects one JSON document and understands it at its end.
#[derive(Debug, Default)]
pub(super) struct JsonReader {
    chunks: Vec<Bytes>,
    size: usize,
}

impl JsonReader {
    pub(super) fn feed(&mut self, chunk: &Bytes) {
        self.size = self.size.saturating_add(chunk.len());
        if self.size > MAX_JSON {
            self.chunks.clear();
        } else {
            self.chunks.push(chunk.clone());
        }
    }

    pub(super) fn finish(self) -> CollectedReply {
        match self.chunks.as_slice() {
            [] => CollectedReply::default(),
            [whole] => understand(whole),
            chunks => {
                let mut whole = BytesMut::with_capacity(self.size);
                for chunk in chunks {
                    whole.extend_from_slice(chunk);
                }
                understand(&whole)
            }
        }
    }
}

fn understand(document: &[u8]) -> CollectedReply {
    let Ok(completion) = serde_json::from_slice::<Completion<'_>>(document) else {
        return CollectedReply {
            // Another shape than expected is still a whole document.
            is_complete: serde_json::from_slice::<IgnoredAny>(document).is_ok(),
            ..CollectedReply::default()
        };
    };
    let mut text = String::new();
    let mut reply = CollectedReply {
        is_complete: true,
        has_error: completion.error.is_some(),
        usage: completion.usage(),
        ..CollectedReply::default()
    };
    if let Some(choice) = completion.first_choice() {
        reply.has_tool_calls = choice.has_tool_calls();
        choice.append_text(&mut text);
    }
    reply.text = (!text.is_empty()).then_some(text);
    reply
}

/// A completion, or a chunk of one: only what is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Completion<'a> {
    #[serde(borrow, default, deserialize_with = "lenient")]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<ToldUsage>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct ToldUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

impl<'a> Completion<'a> {
    /// What it says that it has cost; nothing where it says neither number.
    pub(super) fn usage(&self) -> Option<TokenUsage> {
        let told = self.usage?;
        (told.prompt_tokens.is_some() || told.completion_tokens.is_some()).then(|| TokenUsage {
            input: told.prompt_tokens.unwrap_or_default(),
            output: told.completion_tokens.unwrap_or_default(),
        })
    }

    /// The choice of index 0: where several were asked for, the first is the reply.
    pub(super) fn first_choice(&self) -> Option<&Choice<'a>> {
        let choices = self.choices.as_ref()?;
        choices
            .iter()
            .find(|choice| choice.index.unwrap_or_default() == 0)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default, deserialize_with = "lenient")]
    index: Option<u64>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    delta: Option<Message<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    message: Option<Message<'a>>,
    #[serde(default, deserialize_with = "lenient")]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(default, deserialize_with = "lenient")]
    content: Option<String>,
    #[serde(borrow, default, deserialize_with = "lenient")]
    tool_calls: Option<Vec<&'a RawValue>>,
}

impl<'a> Choice<'a> {
    fn message(&self) -> Option<&Message<'a>> {
        self.delta.as_ref().or(self.message.as_ref())
    }

    pub(super) fn append_text(&self, text: &mut String) {
        let content = self.message().and_then(|message| message.content.as_ref());
        append_bounded(text, content.map_or("", String::as_str));
    }

    pub(super) const fn is_last(&self) -> bool {
        self.finish_reason.is_some()
    }

    pub(super) fn has_tool_calls(&self) -> bool {
        let calls = self
            .message()
            .and_then(|message| message.tool_calls.as_ref());
        calls.is_some_and(|calls| !calls.is_empty())
            || matches!(
                self.finish_reason.as_deref(),
                Some("tool_calls" | "function_call")
            )
    }
}

/// What does not have the type that we look for counts as absent: backends vary.
fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let raw = <&'de RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok().flatten())
}
