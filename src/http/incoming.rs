//! A request on its way in: what its headers and its body say, whoever gets it.

use std::{borrow::Cow, collections::HashMap};

use actix_web::{HttpRequest, http::header::HeaderMap, web::Query};
use bytes::Bytes;
use postroom_actors::{
    agent_directory::Agent,
    domain::{
        agent_request::AgentRequest,
        ids::{AgentId, SessionKey},
        request::{self, HeaderHints, RequestFacts},
        routing::{Route, RoutingTable},
        session::{self, AFFINITY_HEADERS, SessionHints},
        task::{NewTask, TaskOrigin},
    },
};

use super::{SharedState, auth::Caller, error::ApiError};

/// A request that has been read and goes to the mailbox or to an agent.
pub(super) struct Incoming<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) caller: Caller,
    pub(super) facts: RequestFacts,
    pub(super) body: Bytes,
}

impl<'a> Incoming<'a> {
    /// Understands a request.
    ///
    /// # Errors
    /// 400 for what is not JSON.
    pub(super) fn read(
        request: &'a HttpRequest,
        caller: Caller,
        body: Bytes,
    ) -> Result<Self, ApiError> {
        let headers = request.headers();
        let hints = HeaderHints {
            channel: text(headers, "x-openclaw-message-channel"),
            affinity: text(headers, "session_id"),
        };
        let facts = request::read_request(&body, hints).inspect_err(|error| {
            tracing::warn!(path = request.path(), %error, "invalid_json");
        })?;
        Ok(Self {
            headers,
            caller,
            facts,
            body,
        })
    }

    /// Who gets it.
    ///
    /// # Errors
    /// 404 where an agent is named that is not known.
    pub(super) fn route(&self, table: &RoutingTable) -> Result<Route, ApiError> {
        let agent = named_agent(self.headers);
        Ok(table.route(agent.as_deref(), self.facts.model.as_deref())?)
    }

    /// It as a task of an agent; `session` overrules what the request says.
    pub(super) fn task(
        &self,
        shared: &SharedState,
        agent: &Agent,
        checked: &AgentRequest,
        session: Option<SessionKey>,
    ) -> NewTask {
        let received_at = shared.clock.now();
        let id = shared.ids.message_id(received_at);
        let session = session.unwrap_or_else(|| {
            session::session_key(&SessionHints {
                caller: self.caller.name().map(AsRef::as_ref),
                session_key: text(self.headers, "x-openclaw-session-key"),
                user: checked.user.as_deref(),
                affinity: AFFINITY_HEADERS
                    .iter()
                    .find_map(|name| text(self.headers, name)),
                prompt_cache_key: checked.prompt_cache_key.as_deref(),
                context_id: self.facts.context_id.as_ref(),
                message: id,
            })
        });
        NewTask {
            id,
            agent: agent.profile.id.clone(),
            session,
            origin: TaskOrigin::Chat,
            caller: self.caller.name().cloned(),
            received_at,
            body: self.body.clone(),
            is_background: checked.background,
            is_streamed: checked.stream,
            is_kept: checked.store,
            traceparent: self.traceparent(),
            envelope: None,
        }
    }

    /// W3C trace context of the request.
    pub(super) fn traceparent(&self) -> Option<String> {
        text(self.headers, "traceparent").map(str::to_owned)
    }
}

/// The agent that a route leads to.
///
/// # Errors
/// 404 where it was removed a moment ago.
pub(super) fn routed_agent(shared: &SharedState, id: &AgentId) -> Result<Agent, ApiError> {
    let agent = shared.agents.find(id);
    agent.ok_or_else(|| ApiError::unknown_model(id.as_str()))
}

/// The same, for a request that asks it for a model.
///
/// # Errors
/// 404 also where the agent may not be asked for that.
pub(super) fn asked_agent(
    shared: &SharedState,
    id: &AgentId,
    model: Option<&str>,
) -> Result<Agent, ApiError> {
    let agent = routed_agent(shared, id)?;
    match model.filter(|_| !agent.profile.may_be_asked_for(model)) {
        Some(model) => Err(ApiError::model_not_allowed(model, &agent.profile)),
        None => Ok(agent),
    }
}

/// Whom the headers name. A name that is no text names nobody we know, which is not the same as
/// naming nobody.
pub(super) fn named_agent(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let named = ["x-openclaw-agent-id", "x-openclaw-agent"];
    let value = named.iter().find_map(|name| headers.get(*name))?;
    Some(String::from_utf8_lossy(value.as_bytes()))
}

/// A header, where it is there and a text.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The parameters of a query; of one that is there twice, the last.
pub(super) fn query(request: &HttpRequest) -> HashMap<String, String> {
    parameters(request.query_string())
}

/// The parameters of what follows a `?`.
pub(super) fn parameters(query: &str) -> HashMap<String, String> {
    Query::from_query(query)
        .map(Query::into_inner)
        .unwrap_or_default()
}
