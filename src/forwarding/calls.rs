//! The spans of calls to backends. The backend is told their ids, so that its part hangs on them.

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        envelope::RelayOutcome,
        ids::MessageId,
        retry::AttemptFailure,
        trace_context::{SpanId, TraceContext},
    },
    ports::traces::{Span, SpanKind, Traces},
};

/// Begins a call for a request, by its number; `None` where it is not recorded.
pub(super) fn begin(
    traces: &Traces,
    kept: Option<TraceContext>,
    (request, number): (MessageId, u64),
    describe: impl FnOnce(Span) -> Span,
) -> Option<Span> {
    let id = || SpanId::of_call(request, number);
    traces.span(kept, id, SpanKind::Client).map(describe)
}

/// What is known of a call before it is made. `model`: the configured one, or the client's.
pub(super) fn described(
    span: Span,
    operation: &'static str,
    backend: &str,
    model: Option<&str>,
    now: DateTime<Utc>,
) -> Span {
    let span = span
        .begun(format!("{operation} {backend}"), now)
        .with("gen_ai.operation.name", operation)
        .with("postroom.backend", backend.to_owned());
    match model.filter(|model| is_name(model)) {
        Some(model) => span.with("gen_ai.request.model", model.to_owned()),
        None => span,
    }
}

/// Whether a model that a client names can be one. All else may be anything.
fn is_name(model: &str) -> bool {
    let is_usual =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-');
    (1..=Span::LONGEST_TEXT).contains(&model.len()) && model.bytes().all(is_usual)
}

/// Notes why a call failed.
pub(super) fn note_failure(span: &mut Span, failure: AttemptFailure) {
    if let AttemptFailure::Status { status, .. } = failure {
        span.note("http.response.status_code", status);
    }
    span.fail(failure.reason());
}

/// Notes how a call ended that gave an answer, or that was cut off.
pub(super) fn note_outcome(span: &mut Span, outcome: RelayOutcome) {
    match outcome {
        RelayOutcome::Complete | RelayOutcome::ToolCalls => {}
        RelayOutcome::Partial => span.fail("broke_off"),
        RelayOutcome::Failed => span.fail("failed"),
        // The client has gone: that is no fault of the backend's.
        RelayOutcome::Cancelled => span.note("postroom.outcome", "cancelled"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_model_s_name_is_told() {
        for good in ["gpt-5.1", "meta/llama-3:70b", "a", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "write me a poem", "é", "a\n", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
