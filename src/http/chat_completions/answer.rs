//! What the client of a mailbox is told.

use actix_web::{
    HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{StatusCode, header},
};
use bytes::Bytes;
use postroom_actors::domain::{
    completion::{Completion, MAILBOX_MODEL},
    envelope::Envelope,
    request::RequestFacts,
};
use uuid::Uuid;

use crate::{forwarding::RelayBody, http::SharedState, settings::Acknowledge};

/// The mailbox's own answer to one request.
#[derive(Clone)]
pub(super) struct Mailbox {
    id: Uuid,
    created_s: i64,
    content: String,
    stream: bool,
    include_usage: bool,
}

impl Mailbox {
    /// The answer to this request.
    pub(super) fn of(shared: &SharedState, facts: &RequestFacts, envelope: &Envelope) -> Self {
        let acknowledges = match shared.answers.acknowledge {
            Acknowledge::Always => true,
            Acknowledge::OpenClaw => facts.is_present_openclaw,
            Acknowledge::Never => false,
        };
        let content = if acknowledges {
            shared.answers.acknowledgement.clone()
        } else {
            String::new()
        };
        Self {
            id: envelope.id.as_uuid(),
            created_s: envelope.received_at.timestamp(),
            content,
            stream: facts.stream,
            include_usage: facts.include_usage,
        }
    }

    /// A completion that says nothing, or thanks.
    pub(super) fn answer(&self) -> HttpResponse {
        let completion = self.completion();
        if self.stream {
            return events(StatusCode::OK).body(completion.to_events(self.include_usage));
        }
        HttpResponse::Ok()
            .content_type("application/json")
            .body(completion.to_json())
    }

    /// The same as events, for a stream that was begun before its relay failed.
    pub(super) fn late_events(&self) -> Box<dyn FnOnce() -> Bytes> {
        let (answer, include_usage) = (self.clone(), self.include_usage);
        Box::new(move || answer.completion().to_events(include_usage).into())
    }

    fn completion(&self) -> Completion<'_> {
        Completion {
            id: self.id,
            created_s: self.created_s,
            model: MAILBOX_MODEL,
            content: &self.content,
            usage: None,
        }
    }
}

/// The backend's answer, as it comes.
pub(super) fn reply(status: u16, content_type: Option<String>, body: RelayBody) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    if content_type.starts_with("text/event-stream") {
        return events(status).streaming(body);
    }
    let length = body
        .known_length()
        .and_then(|length| u64::try_from(length).ok());
    let mut response = HttpResponse::build(status);
    response.content_type(content_type);
    match length {
        Some(length) => response.body(SizedStream::new(length, body)),
        None => response.streaming(body),
    }
}

/// An answer of server-sent events that no proxy on the way may hold back or change.
fn events(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-cache, no-transform"))
        .insert_header(("X-Accel-Buffering", "no"));
    response
}
