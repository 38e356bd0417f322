//! `POST /message`: somebody gives an agent something to do.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::HeaderMap,
    web::{self, Payload},
};
use bytes::Bytes;
use postroom_actors::{
    agent_directory::Agent,
    courier::Sent,
    domain::{
        agent_message::{Envelope, MessageFields, read_message},
        ids::AgentId,
        party::Party,
        peer::PeerProfile,
        routing::RoutingTable,
        task::{NewTask, TaskOrigin},
    },
};
use tokio::time::Instant;

use super::{
    Receipt,
    answered::{self, Answered},
    once, route,
};
use crate::{
    http::{
        AppState, SharedState, agent_tasks,
        auth::{self, Caller},
        body,
        error::ApiError,
        incoming,
        metrics::note_request,
    },
    post_address::read_reply_to,
};

/// Takes a message in; answers once it is kept, before the agent begins with it.
///
/// # Errors
/// 400 for a body that is none, 401, 403 for agents of ours (they send), 404 for an unknown agent, 408 and 413 for the body, 409 for
/// an id that was used with another body and for a loop, 422 for a `reply_to` that is not allowed,
/// 503 where there is no room.
#[utoipa::path(post, path = "/message",
    request_body(content = Object, description = "`{\"type\": …, \"payload\": …}` and, all optional, `id`, `to`, `from`, `context_id`, `in_reply_to`, `priority`, `expires_at`, `reply_to`, `hops`"),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = Receipt),
        (status = 400, body = crate::http::error::ErrorBody),
        (status = 401, body = crate::http::error::ErrorBody),
        (status = 403, body = crate::http::error::ErrorBody),
        (status = 404, body = crate::http::error::ErrorBody),
        (status = 409, body = crate::http::error::ErrorBody),
        (status = 413, body = crate::http::error::ErrorBody),
        (status = 422, body = crate::http::error::ErrorBody),
        (status = 503, body = crate::http::error::ErrorBody)))]
pub async fn receive(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::correspondent(&request)?;
    let arrived = Instant::now();
    let shared = &state.shared;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let caller = shared.door.prove(caller, request.headers(), &body)?;
    if caller.agent().is_some() {
        return Err(ApiError::agents_send());
    }
    let outcome = take(shared, &caller, request.headers(), &body).await;
    note_request(shared, "message", &outcome, arrived);
    let sent = outcome?;
    let receipt = HttpResponse::Ok().json(Receipt::new("received", sent));
    Ok(agent_tasks::with_id(receipt, sent.id))
}

async fn take(
    shared: &SharedState,
    caller: &Caller,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Sent, ApiError> {
    let fields = read_message(body)?;
    let sender = caller.party();
    let agent = agent(shared, caller, fields.to.as_deref())?;
    let once = once::key(&sender, fields.id.as_ref(), headers, body)?;
    if let Some(url) = &fields.reply_to {
        read_reply_to(url, &shared.post.reply_hosts)?;
    }
    let answered = match fields.in_reply_to.as_deref() {
        None => None,
        Some(id) => answered::sent_to(shared, &sender, id).await?,
    };
    let recipient = &agent.profile.id;
    let envelope = Envelope {
        sender_id: once.as_ref().map(|once| Arc::clone(&once.key)),
        hops: fields.hops.max(hops_after(answered.as_ref())),
        ..envelope(sender, recipient, &fields, answered.as_ref())
    };
    stop_loop(&envelope, shared.post.hops)?;
    let context = envelope.context_id.as_ref();
    let session = answered::session(
        shared,
        recipient,
        &envelope.sender,
        context,
        answered.as_ref(),
    )
    .await?;
    let received_at = shared.clock.now();
    let task = NewTask {
        id: shared.ids.message_id(received_at),
        agent: recipient.clone(),
        session,
        origin: TaskOrigin::Message,
        caller: Some(envelope.sender.to_string().into()),
        received_at,
        body: body.clone(),
        is_background: true,
        is_streamed: false,
        is_kept: true,
        traceparent: incoming::text(headers, "traceparent").map(str::to_owned),
        envelope: Some(Arc::new(envelope)),
    };
    let taken = agent_tasks::queue_message(shared, &agent, Arc::new(task), once.clone()).await;
    match (taken, once) {
        // An agent that takes nothing now has what it took before.
        (Err(refused), Some(once)) => once::repeated(shared, &once).await?.ok_or(refused),
        (taken, _) => taken,
    }
}

/// The agent that a message goes to.
fn agent(shared: &SharedState, caller: &Caller, named: Option<&str>) -> Result<Agent, ApiError> {
    let peer = caller.peer().and_then(|peer| shared.peers.find(peer));
    let table = shared.agents.routing();
    let id = recipient(
        named,
        peer.map(AsRef::as_ref),
        &table,
        &shared.post.default_agent,
    );
    let id = id.map_err(|unknown| ApiError::unknown_agent(&unknown))?;
    let agent = shared.agents.find(&id);
    agent.ok_or_else(|| ApiError::unknown_agent(id.as_str()))
}

/// Whom a message is for: whom it names, else whom its peer's messages go to, else the default. A
/// name that is no agent's is given back.
fn recipient(
    named: Option<&str>,
    peer: Option<&PeerProfile>,
    table: &RoutingTable,
    default: &AgentId,
) -> Result<AgentId, String> {
    if let Some(name) = named {
        let bare = name.trim();
        let bare = bare.strip_prefix("agent:").unwrap_or(bare);
        return route::agent(bare, table).ok_or_else(|| name.to_owned());
    }
    Ok(peer
        .and_then(|peer| peer.to.clone())
        .unwrap_or_else(|| route::default_agent(table, default)))
}

fn envelope(
    sender: Party,
    recipient: &AgentId,
    fields: &MessageFields<'_>,
    answered: Option<&Answered>,
) -> Envelope {
    let before = answered.map(|answered| &answered.envelope);
    // Its own word, and about its own agents alone.
    let remote_agent = sender.peer().and(fields.from.as_deref());
    Envelope {
        recipient: Party::Agent(recipient.clone()),
        kind: Arc::clone(&fields.kind),
        sender_id: None,
        remote_agent: remote_agent.and_then(|name| AgentId::parse(name.trim()).ok()),
        context_id: fields
            .context_id
            .clone()
            .or_else(|| before?.context_id.clone()),
        in_reply_to: fields.in_reply_to.clone(),
        answers: answered.map(|answered| answered.id),
        turn: None,
        reply_to: fields.reply_to.clone(),
        hops: fields.hops,
        priority: fields.priority,
        expires_at: fields.expires_at,
        sender,
    }
}

/// One more than led to what it answers.
fn hops_after(answered: Option<&Answered>) -> u32 {
    answered.map_or(0, |answered| answered.envelope.hops.saturating_add(1))
}

/// Refuses a message that too many others led to.
fn stop_loop(envelope: &Envelope, limit: u32) -> Result<(), ApiError> {
    let hops = envelope.hops;
    if hops <= limit {
        return Ok(());
    }
    tracing::warn!(
        from = %envelope.sender,
        to = %envelope.recipient,
        hops,
        limit,
        "message refused: too many messages led to it"
    );
    metrics::counter!("postroom_messages_refused_total", "reason" => "loop_limit").increment(1);
    Err(ApiError::loop_limit(hops, limit))
}

#[cfg(test)]
mod tests {
    use postroom_actors::domain::ids::{ContextId, MessageId};
    use uuid::Uuid;

    use super::*;
    use crate::http::messages::{
        route::tests::{peer, table},
        view::tests as view,
    };

    fn id(name: &str) -> AgentId {
        AgentId::parse(name).unwrap()
    }

    #[test]
    fn who_is_named_goes_before_who_is_configured() {
        let bobs = PeerProfile {
            to: Some(id("engineer")),
            ..peer("bob")
        };
        let undecided = peer("bob");
        let find = |named, peer| recipient(named, peer, &table(), &id("fallback"));
        assert_eq!(find(Some("manager"), Some(&bobs)), Ok(id("manager")));
        assert_eq!(find(Some(" agent:Manager "), None), Ok(id("manager")));
        assert_eq!(find(None, Some(&bobs)), Ok(id("engineer")));
        assert_eq!(find(None, Some(&undecided)), Ok(id("manager")));
        assert_eq!(find(None, None), Ok(id("manager")));
        for unknown in ["nobody", "peer:bob", "agent:", "../x", "manager\0"] {
            assert_eq!(find(Some(unknown), None), Err(unknown.to_owned()));
        }
        let no_default = RoutingTable {
            default: None,
            ..table()
        };
        assert_eq!(
            recipient(None, None, &no_default, &id("fallback")),
            Ok(id("fallback"))
        );
    }

    #[test]
    fn an_answer_goes_on_with_what_it_answers() {
        let answered = Answered {
            id: MessageId::new(Uuid::from_u128(7)),
            envelope: Arc::new(Envelope {
                context_id: Some(ContextId::new("issue/7")),
                ..view::envelope()
            }),
        };
        let bob = Party::parse("peer:bob").unwrap();
        let fields = read_message(br#"{"type":"T","from":"carol","hops":1}"#).unwrap();
        let made = envelope(bob.clone(), &id("manager"), &fields, Some(&answered));
        assert_eq!(made.context_id, Some(ContextId::new("issue/7")));
        assert_eq!(made.answers, Some(answered.id));
        assert_eq!(made.remote_agent, Some(id("carol")));
        let fields = read_message(br#"{"type":"T","from":"A b","hops":6,"context_id":"c"}"#);
        let fields = fields.unwrap();
        let made = envelope(bob, &id("manager"), &fields, Some(&answered));
        assert_eq!(made.context_id, Some(ContextId::new("c")));
        assert_eq!(made.hops, 6);
        assert_eq!(made.remote_agent, None);
    }

    #[test]
    fn only_a_peer_may_say_which_of_its_agents_wrote() {
        let fields = read_message(br#"{"type":"T","from":"manager"}"#).unwrap();
        for sender in ["key:ops", "agent:engineer", "anyone"] {
            let sender = Party::parse(sender).unwrap();
            let made = envelope(sender.clone(), &id("manager"), &fields, None);
            assert_eq!(made.remote_agent, None, "{sender}");
            assert_eq!(made.sender, sender);
        }
    }

    #[test]
    fn a_message_that_too_many_led_to_is_refused() {
        let after = |hops| Envelope {
            hops,
            ..view::envelope()
        };
        assert_eq!(stop_loop(&after(8), 8), Ok(()));
        let refused = stop_loop(&after(9), 8).unwrap_err();
        assert_eq!(refused.body().error.code, "loop_limit");
    }
}
