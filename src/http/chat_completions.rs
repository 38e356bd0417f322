//! `POST /v1/chat/completions`: keeps the message, relays it where there is a backend, answers; or
//! gives it to an agent.

mod answer;

use std::{future::Future, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::{
    domain::{
        envelope::Envelope,
        request::{self, RequestFacts},
        routing::Route,
    },
    router::{Accept, AcceptError, Accepted},
};
use tokio::{sync::oneshot, time::Instant};

pub(super) use self::answer::{Acknowledgement, acknowledgement};
use super::{
    AppState, SharedState, agent_chat, auth, body,
    error::ApiError,
    incoming::{Incoming, asked_agent},
    metrics::note_request,
};
use crate::{
    forwarding::{RelayAnswer, RelayJob},
    settings::Role,
};

/// A message that has been read and is about to be accepted.
struct Message {
    facts: RequestFacts,
    envelope: Envelope,
    traceparent: Option<String>,
}

/// Takes a chat request in.
///
/// # Errors
/// 400 for what is not JSON, 404 for an unknown agent, 408 and 413 for the body, 503 with
/// `Retry-After` where there is no room or the store cannot write; from agents also 502 and 504.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    params(
        ("x-openclaw-agent-id" = Option<String>, Header, description = "the agent that gets it"),
        ("x-openclaw-agent" = Option<String>, Header, description = "the same"),
        ("x-openclaw-session-key" = Option<String>, Header, description = "an agent's session, before all other ways to tell it"),
        ("x-openclaw-message-channel" = Option<String>, Header, description = "the channel, where nothing better is known")),
    request_body(content = super::openapi::ChatBody, description = "Any JSON; an OpenAI chat request as a rule"),
    responses(
        (status = 200, description = "An OpenAI chat completion, or its events with `stream: true`",
            content((Object = "application/json"), (Object = "text/event-stream"))),
        (status = 400, body = super::error::ErrorBody),
        (status = 401, body = super::error::ErrorBody),
        (status = 403, body = super::error::ErrorBody),
        (status = 404, body = super::error::ErrorBody),
        (status = 408, body = super::error::ErrorBody),
        (status = 413, body = super::error::ErrorBody),
        (status = 415, body = super::error::ErrorBody),
        (status = 429, body = super::error::ErrorBody),
        (status = 502, body = super::error::ErrorBody, description = "the agent's turn failed"),
        (status = 504, body = super::error::ErrorBody, description = "the agent's turn timed out"),
        (status = 503, body = super::error::ErrorBody),
    )
)]
pub async fn create(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    fail::fail_point!("http::handler");
    let caller = auth::require(&request, Role::Client)?;
    let arrived = Instant::now();
    let shared = &state.shared;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let incoming = Incoming::read(&request, caller, body)?;
    if shared.stopping.has_begun() {
        return Err(ApiError::stopping());
    }
    let (route, outcome) = answer(&state, incoming).await;
    note_request(shared, route, &outcome, arrived);
    outcome
}

/// Finds who gets a request, and lets it have it.
async fn answer(
    state: &AppState,
    incoming: Incoming<'_>,
) -> (&'static str, Result<HttpResponse, ApiError>) {
    let shared = &state.shared;
    match incoming.route(&shared.agents.routing()) {
        Err(unknown) => ("mailbox", Err(unknown)),
        Ok(Route::Agent(id)) => {
            let answer = match asked_agent(shared, &id, incoming.facts.model.as_deref()) {
                Ok(agent) => agent_chat::answer(shared, &agent, &incoming).await,
                Err(unknown) => Err(unknown),
            };
            ("agent", answer)
        }
        Ok(Route::Mailbox) => {
            let message = Message::of(shared, incoming);
            let answer = match &state.forwarder {
                Some(forwarder) => relay(shared, forwarder, message).await,
                None => keep(shared, message).await,
            };
            ("mailbox", answer)
        }
    }
}

impl Message {
    fn of(shared: &SharedState, incoming: Incoming<'_>) -> Self {
        let traceparent = incoming.traceparent();
        let Incoming { facts, body, .. } = incoming;
        Self {
            envelope: envelope(shared, &facts, body),
            facts,
            traceparent,
        }
    }
}

/// A request as a message for the mailbox.
pub(super) fn envelope(shared: &SharedState, facts: &RequestFacts, body: Bytes) -> Envelope {
    let received_at = shared.clock.now();
    Envelope {
        id: shared.ids.message_id(received_at),
        received_at,
        context_id: facts.context_id.clone(),
        prompt: facts.prompt.clone(),
        body,
    }
}

/// Without a backend: accepted, and answered at once.
async fn keep(shared: &SharedState, message: Message) -> Result<HttpResponse, ApiError> {
    let Message {
        facts, envelope, ..
    } = message;
    let mailbox = Acknowledgement::of(shared, &facts, &envelope);
    accept(shared, &facts, envelope, None).await?;
    Ok(mailbox.answer())
}

/// With a backend: on its way upstream while it is being committed.
async fn relay(
    shared: &SharedState,
    forwarder: &crate::forwarding::Forwarder,
    message: Message,
) -> Result<HttpResponse, ApiError> {
    let Message {
        facts,
        envelope,
        traceparent,
    } = message;
    let mailbox = Acknowledgement::of(shared, &facts, &envelope);
    let (message, body) = (envelope.id, envelope.body.clone());
    let reply_due = reply_due(shared, envelope.received_at);
    let accepted = accept(shared, &facts, envelope, Some(reply_due));
    let job = RelayJob {
        message,
        body,
        context_id: facts.context_id,
        model: facts.model,
        continues_in_tool_loop: facts.is_present_openclaw,
        traceparent,
        empty_stream: facts.stream.then(|| mailbox.late_events()),
        accepted: Box::pin(accepted),
    };
    match forwarder.relay(job).await {
        RelayAnswer::NotAccepted(error) => Err(error),
        RelayAnswer::NoReply => Ok(mailbox.answer()),
        RelayAnswer::Reply {
            status,
            content_type,
            body,
        } => Ok(answer::reply(status, content_type, body)),
    }
}

/// Hands a message to the router. The message is on its way when this returns: dropping the
/// future takes nothing back.
pub(super) fn accept(
    shared: &SharedState,
    facts: &RequestFacts,
    envelope: Envelope,
    reply_due: Option<DateTime<Utc>>,
) -> impl Future<Output = Result<Accepted, ApiError>> + use<> {
    let handed_over = hand_over(shared, facts, envelope, reply_due);
    let began = Instant::now();
    async move {
        // A router that ends without an answer may or may not have kept it: not accepted.
        let accepted = handed_over?.await.map_err(|_gone| AcceptError::Busy)??;
        metrics::histogram!("postroom_accept_duration_seconds")
            .record(began.elapsed().as_secs_f64());
        Ok(accepted)
    }
}

fn hand_over(
    shared: &SharedState,
    facts: &RequestFacts,
    envelope: Envelope,
    reply_due: Option<DateTime<Utc>>,
) -> Result<oneshot::Receiver<Result<Accepted, AcceptError>>, ApiError> {
    let Ok(permit) = Arc::clone(&shared.permits).try_acquire_owned() else {
        metrics::counter!("postroom_requests_refused_total", "reason" => "busy").increment(1);
        return Err(ApiError::busy());
    };
    let continues = facts
        .continues_tool_loop
        .then(|| request::new_tool_messages(&envelope.body));
    let (reply, answer) = oneshot::channel();
    shared.router.try_deliver(Accept {
        envelope,
        reply_due,
        continues,
        reply,
        permit,
    })?;
    Ok(answer)
}

fn reply_due(shared: &SharedState, received_at: DateTime<Utc>) -> DateTime<Utc> {
    let wait = TimeDelta::from_std(shared.answers.reply_wait).unwrap_or(TimeDelta::MAX);
    received_at
        .checked_add_signed(wait)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
