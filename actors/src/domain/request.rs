//! What the broker reads out of a chat request: its conversation, the human's words, its shape.

use std::sync::Arc;

use super::ids::ContextId;

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
