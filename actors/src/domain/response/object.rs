//! The response object.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ResponseStatus, Standing, echo, response_id, to_text};
use crate::domain::{
    task::{Answer, NewTask},
    turn::{Failure, FailureCode, Usage},
};

/// What all objects of one response share.
#[derive(Debug)]
pub(super) struct Response {
    id: String,
    /// The id of its one output item.
    pub(super) item_id: String,
    created_at: i64,
    pub(super) is_background: bool,
    model: String,
    echo: Map<String, Value>,
}

/// A response object as it goes out.
#[derive(Serialize)]
pub(super) struct Wire<'a> {
    id: &'a str,
    object: &'static str,
    created_at: i64,
    status: ResponseStatus,
    background: bool,
    error: Option<ErrorDetail<'a>>,
    incomplete_details: Option<()>,
    model: &'a str,
    output: Vec<OutputItem<'a>>,
    usage: Option<UsageCounts>,
    #[serde(flatten)]
    echo: &'a Map<String, Value>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    /// One of OpenAI's own, because typed clients know no others.
    code: &'static str,
    message: &'a str,
    /// Our code, which says more.
    reason: FailureCode,
}

/// The assistant's message.
#[derive(Serialize)]
pub(super) struct OutputItem<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    status: ResponseStatus,
    role: &'static str,
    content: Vec<TextPart<'a>>,
}

/// Its text.
#[derive(Serialize)]
pub(super) struct TextPart<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    annotations: [(); 0],
    logprobs: [(); 0],
    text: &'a str,
}

#[derive(Serialize)]
struct UsageCounts {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    /// No CLI tells them; typed clients need them.
    cache_write_tokens: u64,
    cached_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl Response {
    /// The response of a task. Its model is the one that was asked for, else the agent.
    pub(super) fn of(task: &NewTask) -> Self {
        let body = echo::body_of(&task.body);
        let model = body.get("model").and_then(Value::as_str);
        Self {
            id: response_id(task.id),
            item_id: format!("msg_{}", task.id.as_uuid().as_simple()),
            created_at: task.received_at.timestamp(),
            is_background: task.is_background,
            model: model.unwrap_or_else(|| task.agent.as_str()).to_owned(),
            echo: echo::of(body),
        }
    }

    pub(super) fn to_json(&self, standing: Standing<'_>) -> String {
        to_text(&self.wire(standing))
    }

    pub(super) fn wire<'a>(&'a self, standing: Standing<'a>) -> Wire<'a> {
        let is_completed = standing.status == ResponseStatus::Completed;
        let answer = standing.answer.filter(|_| is_completed);
        let usage = answer.and_then(|answer| answer.usage);
        Wire {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            status: standing.status,
            background: self.is_background,
            error: standing.failure.map(ErrorDetail::of),
            incomplete_details: None,
            model: &self.model,
            output: answer.map(|answer| self.said(answer)).into_iter().collect(),
            // Clients that count read it without asking whether it is there.
            usage: is_completed.then(|| UsageCounts::of(usage.unwrap_or_default())),
            echo: &self.echo,
        }
    }

    /// The output item of an answer.
    pub(super) fn said<'a>(&'a self, answer: &'a Answer) -> OutputItem<'a> {
        OutputItem {
            status: ResponseStatus::Completed,
            content: vec![TextPart::new(&answer.text)],
            ..self.empty_item()
        }
    }

    /// The output item before anything was said.
    pub(super) fn empty_item(&self) -> OutputItem<'_> {
        OutputItem {
            id: &self.item_id,
            kind: "message",
            status: ResponseStatus::InProgress,
            role: "assistant",
            content: Vec::new(),
        }
    }
}

impl<'a> ErrorDetail<'a> {
    fn of(failure: &'a Failure) -> Self {
        Self {
            code: match failure.code {
                FailureCode::PromptTooLong => "invalid_prompt",
                _ => "server_error",
            },
            message: &failure.message,
            reason: failure.code,
        }
    }
}

impl<'a> TextPart<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            kind: "output_text",
            annotations: [],
            logprobs: [],
            text,
        }
    }
}

impl UsageCounts {
    const fn of(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: InputDetails {
                cache_write_tokens: 0,
                cached_tokens: usage.cached_input_tokens,
            },
            output_tokens: usage.output_tokens,
            output_tokens_details: OutputDetails {
                reasoning_tokens: usage.reasoning_tokens,
            },
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
        }
    }
}
