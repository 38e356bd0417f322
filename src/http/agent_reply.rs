//! `POST /agent-reply`: an agent says what came of a task.

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Payload},
};
use chrono::{DateTime, Utc};
use postroom_actors::{
    agent_supervisor::AnswerTask,
    domain::{
        ids::{AgentId, MessageId},
        task::{Answer, TaskOutcome, TaskRecord},
    },
    ports::turns::{KeptReply, TurnNote},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::{
    AppState, SharedState,
    auth::{self, Caller},
    body,
    error::ApiError,
    waiting,
};
use crate::settings::Role;

/// `POST /agent-reply`
#[derive(Debug, Deserialize, ToSchema)]
pub struct AgentReply {
    /// The id of a message, request or response that waits; any other text is a label.
    #[serde(default)]
    pub task_id: String,
    /// Who says it; left out: whose key it is.
    pub agent: Option<String>,
    /// `final` (the default) ends the task; anything else is kept alone.
    pub event: Option<String>,
    /// What it says: a text, or an object with a `text`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Value,
    /// Whatever goes with it.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: Value,
}

/// The answer to `POST /agent-reply`
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplyKept {
    /// Always `true`.
    pub ok: bool,
    /// The reply's id, which names its file.
    pub id: String,
    /// Whether it was the answer that somebody waited for.
    pub answered: bool,
}

/// A reply as its file holds it.
#[derive(Serialize)]
struct Kept<'a> {
    id: String,
    task_id: &'a str,
    agent: Option<&'a str>,
    event: &'a str,
    data: &'a Value,
    metadata: &'a Value,
    received_at: DateTime<Utc>,
}

/// The event that ends a task.
const FINAL: &str = "final";

/// Keeps a reply; where its `task_id` waits, it is that one's answer.
///
/// # Errors
/// 400 for a body that is none, 403 where an agent speaks for another, 503 where it cannot be kept.
#[utoipa::path(post, path = "/agent-reply", request_body = AgentReply, responses(
    (status = 200, body = ReplyKept),
    (status = 400, body = super::error::ErrorBody),
    (status = 403, body = super::error::ErrorBody),
    (status = 503, body = super::error::ErrorBody)))]
pub async fn take(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::require(&request, Role::Agent)?;
    let shared = &state.shared;
    let body = body::read(&request, payload, shared.body_limits).await?;
    let reply: AgentReply = body::parse(&body)?;
    let agent = speaker(&caller, reply.agent.as_deref())?;
    let task = waiting_task(shared, &reply).await?;
    if let (Some(own), Some(task)) = (caller.agent(), &task)
        && *own != task.task.agent
    {
        return Err(ApiError::other_agent(own.as_str()));
    }
    let id = keep(shared, &reply, agent.as_ref()).await?;
    if let Some(turn) = caller.turn() {
        shared.tasks.note_turn(turn, TurnNote::Callback).await?;
    }
    let answered = match task {
        Some(task) => answer(shared, &task, &reply.data).await?,
        None => false,
    };
    Ok(HttpResponse::Ok().json(ReplyKept {
        ok: true,
        id: id.to_string(),
        answered,
    }))
}

/// Who speaks: an agent's key speaks for that agent alone.
fn speaker(caller: &Caller, named: Option<&str>) -> Result<Option<AgentId>, ApiError> {
    let named = named.map(str::trim).filter(|name| !name.is_empty());
    let named = named
        .map(|name| AgentId::parse(&name.to_ascii_lowercase()))
        .transpose()
        .map_err(|invalid| ApiError::bad_request(invalid.to_string(), Some("agent")))?;
    match (caller.agent(), named) {
        (Some(own), Some(named)) if *own != named => Err(ApiError::other_agent(own.as_str())),
        (Some(own), _) => Ok(Some(own.clone())),
        (None, named) => Ok(named),
    }
}

/// The task that this reply ends, where it has not ended.
async fn waiting_task(
    shared: &SharedState,
    reply: &AgentReply,
) -> Result<Option<TaskRecord>, ApiError> {
    let is_final = reply.event.as_deref().is_none_or(|event| event == FINAL);
    let Some(id) = task_id(&reply.task_id).filter(|_| is_final) else {
        return Ok(None);
    };
    let found = shared.tasks.tasks(vec![id]).await?.pop();
    Ok(found.filter(|task| !task.state.is_ended()))
}

async fn keep(
    shared: &SharedState,
    reply: &AgentReply,
    agent: Option<&AgentId>,
) -> Result<MessageId, ApiError> {
    let received_at = shared.clock.now();
    let id = shared.ids.message_id(received_at);
    let kept = Kept {
        id: id.to_string(),
        task_id: &reply.task_id,
        agent: agent.map(AgentId::as_str),
        event: reply.event.as_deref().unwrap_or(FINAL),
        data: &reply.data,
        metadata: &reply.metadata,
        received_at,
    };
    let json = serde_json::to_vec(&kept).unwrap_or_default().into();
    shared.replies.keep(KeptReply { id, json }).await?;
    Ok(id)
}

async fn answer(shared: &SharedState, task: &TaskRecord, data: &Value) -> Result<bool, ApiError> {
    let Some(agent) = shared.agents.find(&task.task.agent) else {
        return Ok(false);
    };
    let (reply, answered) = oneshot::channel();
    agent.supervisor.try_deliver(AnswerTask {
        task: task.task.id,
        outcome: TaskOutcome::Answered(Answer {
            text: text_of(data).into(),
            ..Answer::default()
        }),
        reply,
    })?;
    Ok(waiting::answer(answered, agent.supervisor.name()).await??)
}

/// Reads the ids that we give out: a bare one, `resp_…`, `chatcmpl-…`, `msg_…`.
fn task_id(text: &str) -> Option<MessageId> {
    let text = text.trim();
    let bare = ["resp_", "chatcmpl-", "msg_"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix));
    MessageId::parse(bare.unwrap_or(text))
}

/// The words in a reply; what has none is told as its JSON.
fn text_of(data: &Value) -> String {
    let named = ["text", "content", "output", "message"]
        .iter()
        .find_map(|name| data.get(name)?.as_str());
    match (data, named) {
        (Value::String(text), _) => text.clone(),
        (_, Some(text)) => text.to_owned(),
        (Value::Null, None) => String::new(),
        (other, None) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_id_that_we_give_out_is_understood_and_nothing_else() {
        let id = MessageId::parse("01890a5dac96774bbcceb302099a8057");
        assert!(id.is_some());
        for text in [
            "01890a5d-ac96-774b-bcce-b302099a8057",
            "resp_01890a5dac96774bbcceb302099a8057",
            "chatcmpl-01890a5dac96774bbcceb302099a8057",
            " msg_01890a5dac96774bbcceb302099a8057 ",
        ] {
            assert_eq!(task_id(text), id, "{text}");
        }
        for label in ["", "task-1", "../../etc/passwd", "resp_1"] {
            assert_eq!(task_id(label), None, "{label}");
        }
    }

    #[test]
    fn the_words_are_found_in_what_agents_send() {
        for (data, text) in [
            (json!("done"), "done"),
            (json!({"text": "done"}), "done"),
            (json!({"output": "done", "x": 1}), "done"),
            (Value::Null, ""),
            (json!({"x": 1}), "{\"x\":1}"),
        ] {
            assert_eq!(text_of(&data), text);
        }
    }

    #[test]
    fn an_agent_speaks_for_itself_alone() {
        let alice = AgentId::parse("alice").unwrap();
        let turn = postroom_actors::domain::ids::TurnId::new(Uuid::from_u128(1));
        let of_turn = Caller::of_turn(alice.clone(), turn);
        for named in [None, Some("alice"), Some(" Alice "), Some("")] {
            assert_eq!(speaker(&of_turn, named), Ok(Some(alice.clone())));
        }
        assert!(speaker(&of_turn, Some("bob")).is_err());
        assert_eq!(speaker(&Caller::anyone(), Some("alice")), Ok(Some(alice)));
        assert!(speaker(&Caller::anyone(), Some("../x")).is_err());
        assert_eq!(speaker(&Caller::anyone(), None), Ok(None));
    }
}
