//! Chat requests that an agent answers.

use std::sync::Arc;

use actix_web::{HttpResponse, ResponseError, http::StatusCode, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future::ready, stream};
use postroom_actors::{
    agent_directory::Agent,
    domain::{
        agent::Delivery,
        agent_request::{self, AgentRequest},
        completion::{Completion, CompletionStream},
        task::{Answer, NewTask, TaskOutcome},
    },
    feed::TaskEvent,
};

use super::{
    SharedState,
    agent_tasks::{self, TaskReader},
    chat_completions::Acknowledgement,
    error::ApiError,
    incoming::Incoming,
    sse,
};

/// Gives a chat request to an agent and answers with what it says.
///
/// # Errors
/// 400 for a request that no turn could answer, 503 where the agent takes none.
pub(super) async fn answer(
    shared: &web::Data<SharedState>,
    agent: &Agent,
    incoming: &Incoming<'_>,
) -> Result<HttpResponse, ApiError> {
    let checked = agent_request::read_chat(&incoming.body)?;
    let task = Arc::new(incoming.task(shared, agent, &checked, None));
    let mut reader = agent_tasks::queue(shared, agent, Arc::clone(&task)).await?;
    let response = if agent.profile.delivery == Delivery::Inbox {
        acknowledged(shared, &task, incoming, &checked)
    } else if checked.stream {
        streamed(&task, &checked, reader)
    } else {
        let outcome = reader.outcome().await;
        whole(&task, &checked, &outcome)
    };
    Ok(agent_tasks::with_id(response, task.id))
}

/// It lies in the agent's inbox: nobody waits for what becomes of it.
fn acknowledged(
    shared: &SharedState,
    task: &NewTask,
    incoming: &Incoming<'_>,
    checked: &AgentRequest,
) -> HttpResponse {
    let acknowledgement = Acknowledgement {
        id: task.id.as_uuid(),
        created_s: task.received_at.timestamp(),
        model: model(task, checked).to_owned().into(),
        content: super::chat_completions::acknowledgement(shared, &incoming.facts),
        stream: checked.stream,
        include_usage: checked.include_usage,
    };
    acknowledgement.answer()
}

fn whole(task: &NewTask, checked: &AgentRequest, outcome: &TaskOutcome) -> HttpResponse {
    match outcome {
        TaskOutcome::Answered(answer) => completion(task, checked, answer),
        TaskOutcome::Done => completion(task, checked, &Answer::default()),
        TaskOutcome::Failed(failure) => ApiError::from(failure).error_response(),
        TaskOutcome::Cancelled | TaskOutcome::Expired => ApiError::cancelled().error_response(),
    }
}

fn completion(task: &NewTask, checked: &AgentRequest, answer: &Answer) -> HttpResponse {
    let completion = Completion {
        id: task.id.as_uuid(),
        created_s: task.received_at.timestamp(),
        model: model(task, checked),
        content: &answer.text,
        usage: answer.usage,
    };
    HttpResponse::Ok()
        .content_type("application/json")
        .body(completion.to_json())
}

fn streamed(task: &NewTask, checked: &AgentRequest, reader: TaskReader) -> HttpResponse {
    let chunks = CompletionStream::new(
        task.id.as_uuid(),
        task.received_at.timestamp(),
        model(task, checked).to_owned(),
        checked.include_usage,
    );
    sse::head(StatusCode::OK).streaming(sse::kept_alive(chunks_of(reader, chunks)))
}

/// The role at once, then what the agent says, then the end.
fn chunks_of(reader: TaskReader, chunks: CompletionStream) -> impl Stream<Item = Bytes> + 'static {
    let begin = Bytes::from(chunks.begin());
    let rest = stream::unfold((reader, chunks), |(mut reader, mut chunks)| async move {
        let bytes = match reader.next().await? {
            TaskEvent::Started(_) => String::new(),
            TaskEvent::Said(piece) => chunks.said(&piece),
            TaskEvent::Ended(outcome) => chunks.ended(&outcome),
        };
        Some((Bytes::from(bytes), (reader, chunks)))
    });
    stream::once(ready(begin)).chain(rest)
}

/// The model that was asked for, else the agent.
fn model<'a>(task: &'a NewTask, checked: &'a AgentRequest) -> &'a str {
    checked
        .model
        .as_deref()
        .unwrap_or_else(|| task.agent.as_str())
}
