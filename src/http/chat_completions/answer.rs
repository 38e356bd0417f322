//! What the client of a mailbox is told.

use std::borrow::Cow;

use actix_web::{HttpResponse, body::SizedStream, http::StatusCode};
use bytes::Bytes;
use postroom_actors::domain::{
    completion::{Completion, MAILBOX_MODEL},
    envelope::Envelope,
    request::RequestFacts,
};
use uuid::Uuid;

use crate::{
    forwarding::RelayBody,
    http::{SharedState, sse},
    settings::Acknowledge,
};

/// The answer of a mailbox to one request: that it has been taken in.
#[derive(Clone)]
pub(in crate::http) struct Acknowledgement {
    pub(in crate::http) id: Uuid,
    pub(in crate::http) created_s: i64,
    pub(in crate::http) model: Cow<'static, str>,
    pub(in crate::http) content: String,
    pub(in crate::http) stream: bool,
    pub(in crate::http) include_usage: bool,
}

/// What a mailbox says: nothing, or thanks.
pub(in crate::http) fn acknowledgement(shared: &SharedState, facts: &RequestFacts) -> String {
    let acknowledges = match shared.answers.acknowledge {
        Acknowledge::Always => true,
        Acknowledge::OpenClaw => facts.is_present_openclaw,
        Acknowledge::Never => false,
    };
    if acknowledges {
        shared.answers.acknowledgement.clone()
    } else {
        String::new()
    }
}

impl Acknowledgement {
    /// The answer to this request.
    pub(super) fn of(shared: &SharedState, facts: &RequestFacts, envelope: &Envelope) -> Self {
        Self {
            id: envelope.id.as_uuid(),
            created_s: envelope.received_at.timestamp(),
            model: MAILBOX_MODEL.into(),
            content: acknowledgement(shared, facts),
            stream: facts.stream,
            include_usage: facts.include_usage,
        }
    }

    /// A completion that says nothing, or thanks.
    pub(in crate::http) fn answer(&self) -> HttpResponse {
        let completion = self.completion();
        if self.stream {
            return sse::head(StatusCode::OK).body(completion.to_events(self.include_usage));
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
            model: &self.model,
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
        return sse::head(status).streaming(body);
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
