//! A request as the beginning of a message's span: whose trace it belongs to, when it came, how it
//! was answered. Without a collector nothing is measured and nothing is made.

use std::cell::OnceCell;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{ids::MessageId, trace_context::TraceContext},
    ports::traces::{Span, Traces},
};

use super::{SharedState, error::ApiError};

const HEADER: &str = "traceparent";

/// A request that may become a message. One that does not has no span.
pub(super) struct Arrival {
    name: &'static str,
    route: &'static str,
    sender: Option<TraceContext>,
    /// `None` where nothing is recorded.
    at: Option<DateTime<Utc>>,
    span: OnceCell<Span>,
}

impl Arrival {
    /// A request that has just come in. `name`: its method and route.
    pub(super) fn of(shared: &SharedState, request: &HttpRequest, name: &'static str) -> Self {
        Self {
            name,
            route: name.split_once(' ').map_or(name, |(_, route)| route),
            sender: sender(request),
            at: shared.traces.is_on().then(|| shared.clock.now()),
            span: OnceCell::new(),
        }
    }

    /// The context that came with the request; an invalid one is none.
    pub(super) const fn sender(&self) -> Option<TraceContext> {
        self.sender
    }

    /// What is kept with a message for an agent or a peer: they are always told of a trace.
    pub(super) fn message(&self, traces: &Traces, id: MessageId) -> TraceContext {
        self.message_within(traces, id, None)
    }

    /// The same where the message goes on with work of ours, unless its sender says otherwise.
    pub(super) fn message_within(
        &self,
        traces: &Traces,
        id: MessageId,
        work: Option<TraceContext>,
    ) -> TraceContext {
        let placed = traces.message(self.sender.or(work), id);
        if let (Some(mut span), Some(at)) = (placed.span, self.at) {
            span.has_remote_parent = self.sender.is_some();
            let span = span
                .begun(self.name, at)
                .with("http.request.method", "POST")
                .with("http.route", self.route)
                .with("postroom.message.id", id.to_string());
            // A request is one message.
            drop(self.span.set(span));
        }
        placed.kept
    }

    /// What is kept with a message for the mailbox, whose trace nobody is told of unless its sender
    /// has one or it is recorded.
    pub(super) fn mailbox_message(&self, traces: &Traces, id: MessageId) -> Option<TraceContext> {
        let is_traced = traces.is_on() || self.sender.is_some();
        is_traced.then(|| self.message(traces, id))
    }

    /// The request is answered.
    pub(super) fn end(self, shared: &SharedState, outcome: &Result<HttpResponse, ApiError>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => actix_web::ResponseError::status_code(error),
        };
        self.end_with(shared, status);
    }

    /// The same by its status alone.
    pub(super) fn end_with(mut self, shared: &SharedState, status: StatusCode) {
        let Some(mut span) = self.span.take() else {
            return;
        };
        span.note("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.fail("server_error");
        }
        shared.traces.end(span, shared.clock.now());
    }
}

/// The sender's context. Where it is said twice, nobody knows which one holds.
fn sender(request: &HttpRequest) -> Option<TraceContext> {
    let mut values = request.headers().get_all(HEADER);
    let value = values.next()?.to_str().ok()?;
    match values.next() {
        None => TraceContext::parse(value),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const ONE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(values: &[&str]) -> Option<String> {
        let request = values
            .iter()
            .fold(TestRequest::default(), |request, value| {
                request.append_header((HEADER, *value))
            });
        sender(&request.to_http_request()).map(|context| context.to_string())
    }

    #[test]
    fn one_valid_header_counts_and_all_else_is_as_good_as_none() {
        assert_eq!(read(&[ONE]).as_deref(), Some(ONE));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[ONE, ONE]), None);
        assert_eq!(read(&["00-1-2-01"]), None);
    }
}
