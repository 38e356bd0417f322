//! `POST /v1/responses`: to an agent, or to the mailbox.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, ResponseError, http::StatusCode, web};
use postroom_actors::{
    agent_directory::Agent,
    domain::{
        agent::Delivery,
        agent_request,
        completion::MAILBOX_MODEL,
        ids::{AgentId, SessionKey},
        response::{ResponseEvents, ended_response, queued_response},
        routing::Route,
        task::{Answer, NewTask, TaskOrigin, TaskOutcome},
    },
};
use serde_json::{Map, Value};

use super::{
    json,
    previous::{self, Previous},
    stream,
};
use crate::http::{
    SharedState,
    agent_tasks::{self, TaskReader},
    chat_completions,
    error::ApiError,
    incoming::{Incoming, asked_agent},
    sse,
};

/// The longest that a client waits for its request to lie in an agent's inbox.
const DELIVERY_WAIT: Duration = Duration::from_secs(2);

/// Gives a request to whoever gets it.
///
/// # Errors
/// As [`super::create`].
pub(super) async fn answer(
    shared: &web::Data<SharedState>,
    incoming: &Incoming<'_>,
) -> Result<HttpResponse, ApiError> {
    let previous = previous::find(shared, incoming).await?;
    let table = shared.agents.routing();
    let route = match &previous {
        Previous::Known(known) => incoming.route(&known.first_choice(&table))?,
        _ => incoming.route(&table)?,
    };
    match (route, previous) {
        (Route::Mailbox, _) => by_mailbox(shared, incoming).await,
        (Route::Agent(_), Previous::Unknown(id)) => Err(ApiError::previous_response_not_found(&id)),
        (Route::Agent(id), previous) => {
            let agent = asked_agent(shared, &id, incoming.facts.model.as_deref())?;
            by_agent(shared, &agent, incoming, previous.session()).await
        }
    }
}

async fn by_agent(
    shared: &web::Data<SharedState>,
    agent: &Agent,
    incoming: &Incoming<'_>,
    session: Option<SessionKey>,
) -> Result<HttpResponse, ApiError> {
    let checked = agent_request::read_response(&incoming.body)?;
    let task = Arc::new(NewTask {
        origin: TaskOrigin::Response,
        ..incoming.task(shared, agent, &checked, session)
    });
    let mut reader = agent_tasks::queue(shared, agent, Arc::clone(&task)).await?;
    let is_inbox = agent.profile.delivery == Delivery::Inbox;
    let response = if is_inbox && !checked.background {
        delivered(&mut reader).await;
        completed(&task, checked.stream, String::new())
    } else if checked.stream {
        stream::live(&task, reader, None)
    } else if checked.background {
        json(queued_response(&task))
    } else {
        whole(&task, &reader.outcome().await)
    };
    Ok(agent_tasks::with_id(response, task.id))
}

fn whole(task: &NewTask, outcome: &TaskOutcome) -> HttpResponse {
    match outcome {
        TaskOutcome::Failed(failure) => ApiError::from(failure).error_response(),
        TaskOutcome::Cancelled | TaskOutcome::Expired => ApiError::cancelled().error_response(),
        answered => json(ended_response(task, answered)),
    }
}

/// The mailbox keeps the request like any other, and says so at once. It keeps no responses.
async fn by_mailbox(
    shared: &SharedState,
    incoming: &Incoming<'_>,
) -> Result<HttpResponse, ApiError> {
    let facts = &incoming.facts;
    let envelope = chat_completions::envelope(shared, facts, incoming.body.clone());
    let task = NewTask {
        id: envelope.id,
        agent: AgentId::parse(MAILBOX_MODEL).map_err(|_never| ApiError::internal())?,
        session: SessionKey::new(""),
        origin: TaskOrigin::Response,
        caller: None,
        received_at: envelope.received_at,
        body: without_model(&incoming.body).into(),
        is_background: false,
        is_streamed: facts.stream,
        is_kept: false,
        traceparent: None,
        envelope: None,
        is_handed_over: false,
    };
    chat_completions::accept(shared, facts, envelope, None).await?;
    let content = chat_completions::acknowledgement(shared, facts);
    Ok(agent_tasks::with_id(
        completed(&task, facts.stream, content),
        task.id,
    ))
}

/// The mailbox answers as the model that it is.
fn without_model(body: &[u8]) -> Vec<u8> {
    let mut fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    fields.remove("model");
    serde_json::to_vec(&fields).unwrap_or_default()
}

/// Waits a little until it lies in the agent's inbox, which is its end. An inbox that cannot be
/// written now gets it later: it is kept.
async fn delivered(reader: &mut TaskReader) {
    if tokio::time::timeout(DELIVERY_WAIT, reader.outcome())
        .await
        .is_err()
    {
        tracing::warn!("a response is answered before it lies in the inbox of its agent");
    }
}

/// A completed response, whole or as events.
fn completed(task: &NewTask, is_stream: bool, content: String) -> HttpResponse {
    let answer = TaskOutcome::Answered(Answer {
        text: content.into(),
        ..Answer::default()
    });
    if !is_stream {
        return json(ended_response(task, &answer));
    }
    let mut events = ResponseEvents::new(task, None);
    let text = events.begin() + &events.ended(&answer);
    sse::head(StatusCode::OK).body(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mailbox_hides_the_model_that_was_asked_for_and_nothing_else() {
        let body = without_model(br#"{"model":"gpt-x","user":"u"}"#);
        assert_eq!(body, br#"{"user":"u"}"#);
        assert_eq!(without_model(b"[1]"), b"{}");
    }
}
