//! Where finished spans go: one span a message, a turn, a try.
//!
//! A span is made when it ends. It may have begun in another actor, or before a restart: its ids
//! are derived (see [`crate::domain::trace_context`]), its begin is kept with what it tells of.

use std::{borrow::Cow, fmt, sync::Arc};

use chrono::{DateTime, Utc};

use crate::domain::{
    ids::{MessageId, TurnId},
    trace_context::{Sampling, SpanId, TraceContext},
};

/// Takes finished spans.
pub trait SpanSink: Send + Sync + 'static {
    /// Takes a span, or drops it where there is no room. Never waits.
    fn take(&self, span: Span);
}

/// Which side of a call a span shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that came in.
    Server,
    /// A request that went out.
    Client,
    /// Something is taken up that had waited.
    Consumer,
    /// Nothing of the kind.
    Internal,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A short text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for AttributeValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for AttributeValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for AttributeValue {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for AttributeValue {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for AttributeValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// What happened in some stretch of time. Never holds what somebody wrote: no body, no prompt, no
/// answer, no key.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its trace and its own id.
    pub context: TraceContext,
    /// The span that it hangs on; `None` for the first of a trace.
    pub parent: Option<SpanId>,
    /// Whether that span is somebody else's.
    pub has_remote_parent: bool,
    /// What it shows: a route, or an operation and a configured name.
    pub name: Cow<'static, str>,
    /// Which side of a call.
    pub kind: SpanKind,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub ended_at: DateTime<Utc>,
    /// What is known of it.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// Further spans that led to it.
    pub links: Vec<TraceContext>,
    /// Why it had no success: a word of ours, never a text from outside.
    pub failure: Option<&'static str>,
}

impl Span {
    /// The longest text of an attribute, in characters; the rest is cut off.
    pub const LONGEST_TEXT: usize = 64;

    fn new(context: TraceContext, parent: Option<SpanId>, kind: SpanKind) -> Self {
        Self {
            context,
            parent,
            has_remote_parent: false,
            name: Cow::Borrowed(""),
            kind,
            started_at: DateTime::UNIX_EPOCH,
            ended_at: DateTime::UNIX_EPOCH,
            attributes: Vec::new(),
            links: Vec::new(),
            failure: None,
        }
    }

    /// The same with its name and its begin.
    #[must_use]
    pub fn begun(mut self, name: impl Into<Cow<'static, str>>, at: DateTime<Utc>) -> Self {
        self.name = name.into();
        self.started_at = at;
        self
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<AttributeValue>) -> Self {
        self.note(key, value);
        self
    }

    /// Adds an attribute.
    pub fn note(&mut self, key: &'static str, value: impl Into<AttributeValue>) {
        let value = match value.into() {
            AttributeValue::Text(text) => AttributeValue::Text(shortened(text)),
            other => other,
        };
        self.attributes.push((key, value));
    }

    /// Notes why it had no success.
    pub fn fail(&mut self, why: &'static str) {
        self.failure = Some(why);
        self.note("error.type", why);
    }
}

fn shortened(text: Cow<'static, str>) -> Cow<'static, str> {
    match text.char_indices().nth(Span::LONGEST_TEXT) {
        Some((end, _)) => Cow::Owned(text.get(..end).unwrap_or_default().to_owned()),
        None => text,
    }
}

/// Whether and which spans are recorded. The default records none, and costs nothing.
#[derive(Clone, Default)]
pub struct Traces {
    sink: Option<Arc<dyn SpanSink>>,
    sampling: Sampling,
}

/// A message's place in its trace.
#[derive(Debug, Clone)]
pub struct TracedMessage {
    /// What is kept with the message: whatever is done with it hangs on that.
    pub kept: TraceContext,
    /// The message's own span, where it is recorded.
    pub span: Option<Span>,
}

impl Traces {
    /// Records into a sink, if there is one.
    pub const fn new(sink: Option<Arc<dyn SpanSink>>, sampling: Sampling) -> Self {
        Self { sink, sampling }
    }

    /// Whether any spans are recorded.
    pub const fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    fn records(&self, context: TraceContext) -> bool {
        self.is_on() && context.is_sampled()
    }

    /// Places a message that has come in: in its sender's trace, or in a new one.
    pub fn message(&self, sender: Option<TraceContext>, id: MessageId) -> TracedMessage {
        let origin = sender.unwrap_or_else(|| TraceContext::begun_by(id, self.sampling));
        if !self.records(origin) {
            let kept = origin;
            return TracedMessage { kept, span: None };
        }
        let kept = origin.child(SpanId::of_message(id));
        let mut span = Span::new(kept, sender.map(TraceContext::span), SpanKind::Server);
        span.has_remote_parent = sender.is_some();
        TracedMessage {
            kept,
            span: Some(span),
        }
    }

    /// A span that hangs on what is kept; `None` where it is not recorded.
    pub fn span(
        &self,
        kept: Option<TraceContext>,
        id: impl FnOnce() -> SpanId,
        kind: SpanKind,
    ) -> Option<Span> {
        let parent = kept.filter(|kept| self.records(*kept))?;
        let context = parent.child(id());
        Some(Span::new(context, Some(parent.span()), kind))
    }

    /// What a turn passes on, where it works on a message with this context.
    pub fn turn(&self, kept: Option<TraceContext>, turn: TurnId) -> Option<TraceContext> {
        let kept = kept?;
        // A span that nobody is shown must not be a parent.
        Some(if self.records(kept) {
            kept.child(SpanId::of_turn(turn))
        } else {
            kept
        })
    }

    /// Records a span.
    pub fn end(&self, mut span: Span, at: DateTime<Utc>) {
        // Clocks are set back now and then.
        span.ended_at = at.max(span.started_at);
        if let Some(sink) = &self.sink {
            sink.take(span);
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Traces")
            .field("is_on", &self.is_on())
            .finish_non_exhaustive()
    }
}

/// What goes out with a call: the call's own span where it is recorded, else what is kept.
pub fn passed_on(call: Option<&Span>, kept: Option<TraceContext>) -> Option<TraceContext> {
    call.map(|call| call.context).or(kept)
}

#[cfg(test)]
mod tests;
