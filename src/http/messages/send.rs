//! `POST /send`: an agent says something, to a peer, to another agent, or to whoever asked.

mod draft;
mod speaker;

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::HeaderMap,
    web::{self, Payload},
};
use bytes::Bytes;
use postroom_actors::{
    courier::{OutgoingMessage, SendMessage, Sent},
    domain::{
        agent_message::{MessageFields, read_message},
        ids::ContextId,
    },
};
use serde::Serialize;
use tokio::{sync::oneshot, time::Instant};
use utoipa::ToSchema;

use self::{draft::Draft, speaker::Speaker};
use super::{
    Receipt,
    answered::{self, Answered, Work},
    once,
    route::{self, Target},
    wait::{self, Delivered},
};
use crate::{
    http::{
        AppState, SharedState, agent_tasks, auth, body, error::ApiError, incoming,
        metrics::note_request, waiting,
    },
    post_address::read_reply_to,
};

/// The answer to `POST /send`.
#[derive(Debug, Serialize, ToSchema)]
pub struct SendReceipt {
    /// What every sender gets.
    #[serde(flatten)]
    receipt: Receipt,
    /// With `?wait=delivered`.
    #[serde(flatten)]
    delivery: Option<Delivered>,
}

/// Sends a message; answers once it is kept, or with `wait=delivered` once it has arrived, was
/// given up, or `timeout` seconds (1 to 120) have passed.
///
/// # Errors
/// 400 for a body that is none, or where nobody is named and nothing is answered; 401; 403 for
/// keys of clients and for peers; 404 for an unknown recipient; 409 for an id that was used with
/// another body and for a loop; 422 for a recipient that does not take it; 429 and 503 where there
/// is no room.
#[utoipa::path(post, path = "/send",
    request_body(content = Object, description = "`{\"type\": …, \"payload\": …}` and, all optional, `id`, `to`, `context_id`, `in_reply_to`, `priority`, `expires_at`, `reply_to`"),
    params(
        ("Idempotency-Key" = Option<String>, Header),
        ("wait" = Option<String>, Query, description = "`delivered`"),
        ("timeout" = Option<u32>, Query)),
    responses(
        (status = 200, body = SendReceipt),
        (status = 400, body = crate::http::error::ErrorBody),
        (status = 401, body = crate::http::error::ErrorBody),
        (status = 403, body = crate::http::error::ErrorBody),
        (status = 404, body = crate::http::error::ErrorBody),
        (status = 409, body = crate::http::error::ErrorBody),
        (status = 413, body = crate::http::error::ErrorBody),
        (status = 422, body = crate::http::error::ErrorBody),
        (status = 429, body = crate::http::error::ErrorBody),
        (status = 503, body = crate::http::error::ErrorBody)))]
pub async fn send(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::correspondent(&request)?;
    let arrived = Instant::now();
    let shared = &state.shared;
    let speaker = Speaker::of(shared, &caller)?;
    let wait = wait::wanted(&incoming::query(&request))?;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let outcome = post(shared, &speaker, request.headers(), &body).await;
    note_request(shared, "send", &outcome, arrived);
    let sent = outcome?;
    let delivery = match wait {
        Some(longest) => Some(wait::delivered(shared, sent.id, longest).await),
        None => None,
    };
    let receipt = HttpResponse::Ok().json(SendReceipt {
        receipt: Receipt::new("sent", sent),
        delivery,
    });
    Ok(agent_tasks::with_id(receipt, sent.id))
}

async fn post(
    shared: &SharedState,
    speaker: &Speaker,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Sent, ApiError> {
    let fields = read_message(body)?;
    let named = named(shared, speaker, fields.to.as_deref())?;
    let work = Work::of(shared, speaker.turn).await?;
    let answered = answered(shared, speaker, &work, named.as_ref(), &fields).await?;
    let back = answered.as_ref().map(|answered| &*answered.envelope);
    let target = speaker.target(named, back);
    let target = target.ok_or_else(ApiError::no_recipient)?;
    let table = shared.agents.routing();
    route::check(&target.recipient, &fields.kind, &table, &shared.peers)?;
    let once = once::key(&speaker.sender, fields.id.as_ref(), headers, body)?;
    let draft = Draft::new(speaker, &work, answered, target, &fields);
    if let Some(url) = draft.reply_to() {
        read_reply_to(url, &shared.post.reply_hosts)?;
    }
    let received_at = shared.clock.now();
    let message = OutgoingMessage {
        id: shared.ids.message_id(received_at),
        envelope: draft.envelope(once.as_ref()),
        conversation: conversation(shared, speaker, &work, &draft).await?,
        received_at,
        body: Bytes::new(),
        said: once::said(&fields.kind, fields.payload),
        traceparent: incoming::text(headers, "traceparent").map(str::to_owned),
        once,
    };
    let body = draft.body(message.id, body);
    hand_over(shared, OutgoingMessage { body, ..message }, speaker).await
}

/// Whom the message names; with a peer's secret always that peer.
fn named(
    shared: &SharedState,
    speaker: &Speaker,
    to: Option<&str>,
) -> Result<Option<Target>, ApiError> {
    let Some(to) = to else {
        return Ok(None);
    };
    if let Some(peer) = &speaker.only {
        let own = route::named_by_peer(to, peer);
        return own.map(Some).ok_or_else(|| ApiError::other_recipient(peer));
    }
    let known = route::named(to, &shared.agents.routing(), &shared.peers);
    known
        .map(Some)
        .ok_or_else(|| ApiError::unknown_recipient(to))
}

async fn answered(
    shared: &SharedState,
    speaker: &Speaker,
    work: &Work,
    named: Option<&Target>,
    fields: &MessageFields<'_>,
) -> Result<Option<Answered>, ApiError> {
    let only = speaker.only_party();
    let recipient = named.map(|target| &target.recipient).or(only.as_ref());
    let in_reply_to = fields.in_reply_to.as_deref();
    let answered = work.answered(shared, &speaker.sender, recipient, in_reply_to);
    // With a peer's secret, what others wrote is none of its business.
    let is_theirs = |answered: &Answered| match &only {
        Some(peer) => answered.envelope.sender == *peer,
        None => true,
    };
    Ok(answered.await?.filter(is_theirs))
}

/// What the message is delivered in order with; for an agent of ours, its session.
async fn conversation(
    shared: &SharedState,
    speaker: &Speaker,
    work: &Work,
    draft: &Draft<'_>,
) -> Result<Arc<str>, ApiError> {
    let context = draft.context();
    if let Some(agent) = draft.recipient().agent() {
        let answered = draft.answered();
        let session = answered::session(shared, agent, &speaker.sender, context, answered);
        return Ok(session.await?.as_str().into());
    }
    let session = work.turn.as_ref().map(|turn| turn.session.as_str());
    let context = context.map(ContextId::as_str);
    Ok(context.or(session).unwrap_or_default().into())
}

async fn hand_over(
    shared: &SharedState,
    message: OutgoingMessage,
    speaker: &Speaker,
) -> Result<Sent, ApiError> {
    let _permit = match speaker.turn {
        Some(_) => agent_tasks::permit(shared)?,
        None => agent_tasks::admit(shared)?,
    };
    let (reply, kept) = oneshot::channel();
    shared.courier.try_deliver(SendMessage { message, reply })?;
    Ok(waiting::answer(kept, shared.courier.name()).await??)
}
