//! What the broker reads out of a chat request: its conversation, the human's words, its shape.
//!
//! [`read_request`] is on the path of every answer: one pass checks the whole document, and only
//! the strings that matter are unescaped.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::{ids::ContextId, openclaw, predecessor};
use chat::{Chat, Role};
use document::Document;
use scanner::Fault;

pub(in crate::domain) mod chat;
pub(in crate::domain) mod document;
pub(in crate::domain) mod scanner;
#[cfg(test)]
mod tests;

/// What the request's headers say about its conversation.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeaderHints<'a> {
    /// `x-openclaw-message-channel`.
    pub channel: Option<&'a str>,
    /// `session_id`, the affinity header of OpenClaw.
    pub affinity: Option<&'a str>,
}

/// What is known of a request once its body has been read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, none a state"
)]
pub struct RequestFacts {
    /// Its conversation.
    pub context_id: Option<ContextId>,
    /// The human's words.
    pub prompt: Option<Arc<str>>,
    /// `model`, where it is a string.
    pub model: Option<String>,
    /// `stream: true`.
    pub stream: bool,
    /// `stream_options.include_usage: true`.
    pub include_usage: bool,
    /// It has the form that OpenClaw's present releases send.
    pub is_present_openclaw: bool,
    /// It is a further step of an agent's tool loop, not a new message.
    pub continues_tool_loop: bool,
}

/// A body that is not JSON. Tells where, and nothing of what stands there.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
#[error("invalid json at line {line} column {column}: {reason}")]
pub struct InvalidJson {
    /// The line, from 1.
    pub line: usize,
    /// The byte in the line, from 1.
    pub column: usize,
    /// What was expected there, or is wrong.
    pub reason: &'static str,
}

impl InvalidJson {
    pub(in crate::domain) fn new(body: &[u8], fault: Fault) -> Self {
        let before = body.get(..fault.at).unwrap_or(body);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        Self {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
            reason: fault.reason,
        }
    }
}

/// What a conversation and its newest words are, as a reader found them.
#[derive(Debug, Default)]
pub(in crate::domain) struct Reading {
    /// The id of the conversation.
    pub(in crate::domain) context_id: Option<String>,
    /// The human's words.
    pub(in crate::domain) prompt: Option<String>,
}

/// Reads a chat request. Any JSON value is one; what is no object has no facts.
///
/// The whole document is checked: whatever is accepted here can be rendered later.
///
/// # Errors
/// [`InvalidJson`]: not UTF-8, not JSON, a lone surrogate, more than 127 levels, or 4 GiB.
pub fn read_request(body: &[u8], hints: HeaderHints<'_>) -> Result<RequestFacts, InvalidJson> {
    let document = Document::parse(body).map_err(|fault| InvalidJson::new(body, fault))?;
    let chat = Chat::of(document.root());
    let is_present_openclaw = openclaw::is_present_form(&chat);
    let reading = if is_present_openclaw {
        openclaw::read(&chat, hints)
    } else {
        predecessor::read(&chat)
    };
    let model = chat.root.get("model").and_then(document::Item::text);
    let stream_options = chat.root.get("stream_options");
    Ok(RequestFacts {
        context_id: reading.context_id.map(ContextId::new),
        prompt: reading.prompt.map(Arc::from),
        model: model.map(std::borrow::Cow::into_owned),
        stream: chat.root.get("stream").is_some_and(document::Item::is_true),
        include_usage: stream_options
            .and_then(|options| options.get("include_usage"))
            .is_some_and(document::Item::is_true),
        is_present_openclaw,
        continues_tool_loop: is_present_openclaw && openclaw::continues_tool_loop(&chat),
    })
}

/// The messages after the last one of the assistant, as the text of a JSON array.
///
/// That is what a further request of a tool loop adds to the one before it. A body that is no
/// chat request has none: `[]`.
pub fn new_tool_messages(body: &[u8]) -> Bytes {
    let Ok(document) = Document::parse(body) else {
        return Bytes::from_static(b"[]");
    };
    let chat = Chat::of(document.root());
    let is_new = |message: &&chat::Message<'_, '_>| message.role != Role::Assistant;
    let new = chat.messages.iter().rev().take_while(is_new);
    let mut texts: Vec<&str> = new.map(|message| message.item.raw()).collect();
    texts.reverse();
    Bytes::from(format!("[{}]", texts.join(",")))
}
