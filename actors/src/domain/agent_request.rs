//! A request for an agent, checked at the door.
//!
//! What the mailbox takes as it is must be right here: an agent's turn costs minutes, and a field
//! of the wrong type would fail only after it. Unknown fields are fine.

use serde_json::{Map, Value};
use thiserror::Error;

use super::{prompt, task::TaskOrigin};
use fields::Fields;

pub mod embeddings;
mod fields;
mod messages;
#[cfg(test)]
mod tests;
mod tools;

/// What is known of a request that was found right.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, none a state"
)]
pub struct AgentRequest {
    /// `model`.
    pub model: Option<String>,
    /// `stream: true`.
    pub stream: bool,
    /// `stream_options.include_usage: true`.
    pub include_usage: bool,
    /// `user`.
    pub user: Option<String>,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<String>,
    /// `previous_response_id`; of responses alone.
    pub previous_response_id: Option<String>,
    /// `background: true`; of responses alone.
    pub background: bool,
    /// `store`; default true.
    pub store: bool,
    /// `metadata`; its values are strings.
    pub metadata: Map<String, Value>,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum RequestFault {
    /// The body is not JSON. Tells where, and nothing of what stands there.
    #[error("invalid json at line {line} column {column}")]
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// The body is JSON, but no object.
    #[error("the body must be a JSON object, got {0}")]
    NotAnObject(&'static str),
    /// A field must be there and is not.
    #[error("`{param}` is missing; it must be {expected}")]
    Missing {
        /// The field.
        param: String,
        /// What it would have to be.
        expected: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("`{param}` must be {expected}, got {came}")]
    Invalid {
        /// The field.
        param: String,
        /// Its type or its limits.
        expected: String,
        /// What came.
        came: String,
    },
    /// A field is right for OpenAI, but not to be had here.
    #[error("`{param}` {why}")]
    Unsupported {
        /// The field.
        param: String,
        /// Why not.
        why: &'static str,
    },
    /// There is nothing to work on.
    #[error("`{0}` says nothing; send at least one user message that is not blank")]
    Empty(&'static str),
}

impl RequestFault {
    /// The field at fault, as OpenAI's errors name it: `messages[0].role`.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::NotJson { .. } | Self::NotAnObject(_) => None,
            Self::Missing { param, .. }
            | Self::Invalid { param, .. }
            | Self::Unsupported { param, .. } => Some(param),
            Self::Empty(param) => Some(param),
        }
    }

    fn invalid(
        param: impl Into<String>,
        expected: impl Into<String>,
        came: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            param: param.into(),
            expected: expected.into(),
            came: came.into(),
        }
    }
}

/// Checks the body of a chat request for an agent.
///
/// # Errors
/// [`RequestFault`], the first that is found.
pub fn read_chat(body: &[u8]) -> Result<AgentRequest, RequestFault> {
    let document = parse(body)?;
    let fields = Fields::of_body(&document)?;
    messages::check_messages(fields)?;
    let request = common(fields)?;
    fields.number("frequency_penalty", -2, 2)?;
    fields.number("presence_penalty", -2, 2)?;
    fields.integer("seed", i64::MIN, i64::MAX)?;
    fields.integer("max_tokens", 1, i64::MAX)?;
    fields.integer("max_completion_tokens", 1, i64::MAX)?;
    fields.boolean("logprobs")?;
    fields.object("logit_bias")?;
    fields.string("reasoning_effort")?;
    fields.stop()?;
    if fields.integer("n", 1, 128)?.is_some_and(|n| n > 1) {
        return Err(RequestFault::Unsupported {
            param: "n".to_owned(),
            why: "over 1 is not supported: an agent gives one answer",
        });
    }
    if let Some(format) = fields.object("response_format")? {
        format.required_one_of("type", &["text", "json_object", "json_schema"])?;
    }
    tools::check(fields, tools::Form::Chat)?;
    has_input(TaskOrigin::Chat, body, "messages")?;
    Ok(request)
}

/// Checks the body of a response request for an agent.
///
/// # Errors
/// [`RequestFault`], the first that is found.
pub fn read_response(body: &[u8]) -> Result<AgentRequest, RequestFault> {
    let document = parse(body)?;
    let fields = Fields::of_body(&document)?;
    messages::check_input(fields)?;
    let request = AgentRequest {
        previous_response_id: fields.string("previous_response_id")?.map(str::to_owned),
        background: fields.boolean("background")?.unwrap_or(false),
        ..common(fields)?
    };
    fields.string("instructions")?;
    fields.integer("max_output_tokens", 1, i64::MAX)?;
    fields.integer("max_tool_calls", 1, i64::MAX)?;
    fields.array("include")?;
    fields.object("reasoning")?;
    fields.one_of("truncation", &["auto", "disabled"])?;
    if let Some(text) = fields.object("text")?
        && let Some(format) = text.object("format")?
    {
        format.required_one_of("type", &["text", "json_object", "json_schema"])?;
    }
    tools::check(fields, tools::Form::Response)?;
    if request.background && !request.store {
        return Err(RequestFault::Unsupported {
            param: "background".to_owned(),
            why: "needs `store`: a background response is read later, so it must be kept",
        });
    }
    has_input(TaskOrigin::Response, body, "input")?;
    Ok(request)
}

/// What both surfaces have.
fn common(fields: Fields<'_>) -> Result<AgentRequest, RequestFault> {
    fields.number("temperature", 0, 2)?;
    fields.number("top_p", 0, 1)?;
    fields.integer("top_logprobs", 0, 20)?;
    fields.boolean("parallel_tool_calls")?;
    let stream_options = fields.object("stream_options")?;
    let include_usage = match stream_options {
        Some(options) => options.boolean("include_usage")?,
        None => None,
    };
    Ok(AgentRequest {
        model: fields.string("model")?.map(str::to_owned),
        stream: fields.boolean("stream")?.unwrap_or(false),
        include_usage: include_usage.unwrap_or(false),
        user: fields.string("user")?.map(str::to_owned),
        prompt_cache_key: fields.string("prompt_cache_key")?.map(str::to_owned),
        previous_response_id: None,
        background: false,
        store: fields.boolean("store")?.unwrap_or(true),
        metadata: fields.metadata()?,
    })
}

fn parse(body: &[u8]) -> Result<Value, RequestFault> {
    serde_json::from_slice(body).map_err(|error| RequestFault::NotJson {
        line: error.line(),
        column: error.column(),
    })
}

fn has_input(origin: TaskOrigin, body: &[u8], param: &'static str) -> Result<(), RequestFault> {
    if prompt::has_input(origin, body) {
        Ok(())
    } else {
        Err(RequestFault::Empty(param))
    }
}
