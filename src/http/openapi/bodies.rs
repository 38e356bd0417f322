//! The bodies of OpenAI's requests as the document shows them. What is taken is checked elsewhere:
//! unknown fields are kept and passed on, so nothing is read into these.

#![expect(dead_code, reason = "only their shape is used")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// OpenAI's chat request. The mailbox takes any JSON and passes it on as it is; agents check it.
#[derive(ToSchema)]
pub(crate) struct ChatBody {
    /// Who answers: `openclaw/<agent>`, `agent:<agent>`, an agent's name, or a model.
    model: Option<String>,
    /// The conversation; the newest user message is what is asked.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Value>,
    /// Whether the answer comes as events.
    stream: Option<bool>,
    #[schema(value_type = Option<Object>)]
    stream_options: Option<Value>,
    /// 0 to 2.
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    presence_penalty: Option<f64>,
    seed: Option<i64>,
    #[schema(minimum = 1)]
    max_tokens: Option<i64>,
    #[schema(minimum = 1)]
    max_completion_tokens: Option<i64>,
    /// A string, or up to 4 of them.
    #[schema(value_type = Option<Value>)]
    stop: Option<Value>,
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Value>>,
    /// `none`, `auto`, `required`, or the tool.
    #[schema(value_type = Option<Value>)]
    tool_choice: Option<Value>,
    #[schema(value_type = Option<Object>)]
    response_format: Option<Value>,
    /// The session, where no header names one.
    user: Option<String>,
    /// Up to 16 strings by name.
    metadata: Option<BTreeMap<String, String>>,
}

/// OpenAI's response request.
#[derive(ToSchema)]
pub(crate) struct ResponseBody {
    /// Who answers, as for chats.
    model: Option<String>,
    /// A text, or an array of items.
    input: Value,
    /// What stands above the conversation.
    instructions: Option<String>,
    /// The response to go on from.
    previous_response_id: Option<String>,
    /// Whether the answer comes as events.
    stream: Option<bool>,
    /// Whether the answer comes at once and the work is done later.
    background: Option<bool>,
    /// Whether the response can be read later; default true.
    store: Option<bool>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    #[schema(minimum = 1)]
    max_output_tokens: Option<i64>,
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    /// The session, where nothing better is known.
    user: Option<String>,
    /// Up to 16 strings by name.
    metadata: Option<BTreeMap<String, String>>,
}

/// OpenAI's embeddings request.
#[derive(ToSchema)]
pub(crate) struct EmbeddingsBody {
    /// A string, an array of strings, or tokens; 128 inputs, 8192 characters or tokens each, 65,536
    /// in all.
    input: Value,
    /// The model to ask for, where none is configured.
    model: Option<String>,
    /// `float` or `base64`: little-endian 32-bit floats; default `float`.
    encoding_format: Option<String>,
    /// How long the vectors are to be.
    #[schema(minimum = 1)]
    dimensions: Option<i64>,
    user: Option<String>,
}
