//! The spans of tries to deliver. What they go to is told their ids, so that its part hangs on them.

use chrono::{DateTime, Utc};

use super::{CourierParts, recipients};
use crate::{
    domain::{
        after_attempt::TryOutcome,
        post::{NewDelivery, WaitingDelivery},
        trace_context::SpanId,
    },
    ports::traces::{Span, SpanKind},
};

/// The span of a try that begins.
pub(super) fn of_try(
    parts: &CourierParts,
    delivery: &WaitingDelivery,
    message: &NewDelivery,
    began: DateTime<Utc>,
) -> Option<Span> {
    let when = u64::try_from(began.timestamp_micros()).unwrap_or_default();
    let id = || SpanId::of_delivery(message.id, when);
    let span = parts
        .traces
        .span(message.traceparent, id, SpanKind::Client)?;
    let recipient = recipients::label(parts, &delivery.to);
    let attempt = delivery.attempts.saturating_add(1);
    let span = span
        .begun(format!("deliver {recipient}"), began)
        .with("postroom.message.id", message.id.to_string())
        .with("postroom.recipient", recipient)
        .with("postroom.attempt", attempt);
    Some(span)
}

/// Records how a try went.
pub(super) fn record(
    parts: &CourierParts,
    span: Option<Span>,
    outcome: &TryOutcome,
    ended_at: DateTime<Utc>,
) {
    let Some(mut span) = span else { return };
    span.note("postroom.outcome", outcome.word());
    if let Some(status) = outcome.status() {
        span.note("http.response.status_code", status);
    }
    if outcome.error().is_some() {
        span.fail(outcome.word());
    }
    parts.traces.end(span, ended_at);
}
