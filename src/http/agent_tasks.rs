//! Giving an agent a task, and hearing what becomes of it.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web,
};
use postroom_actors::{
    agent_directory::Agent,
    agent_supervisor::{CancelTask, QueueError, QueueTask},
    courier::Sent,
    delivery::DeliveryError,
    domain::{
        agent::{Delivery, OnDisconnect},
        agent_message::IdempotencyKey,
        ids::MessageId,
        task::{NewTask, TaskOutcome, TaskRecord},
        trace_context::TraceContext,
        turn::{Failure, FailureCode},
    },
    feed::{Feed, TaskEvent},
    log_fields::trace_id,
};
use tokio::sync::{SemaphorePermit, oneshot};

use super::{SharedState, error::ApiError, metrics::REQUESTS_REFUSED, waiting};

/// Tells the message's id with every answer to a task.
const ID_HEADER: HeaderName = HeaderName::from_static("x-postroom-message-id");

/// How long a task whose client has gone may wait for room in its agent's mailbox to be cancelled.
const CANCEL_DEADLINE: Duration = Duration::from_secs(30);

/// Reads what happens to one task.
pub(super) struct TaskReader {
    shared: web::Data<SharedState>,
    task: MessageId,
    feed: Feed<TaskEvent>,
    next: usize,
    is_over: bool,
    leaving: Leaving,
}

/// Gives a task to an agent; resolves when it is kept.
///
/// A client that goes away takes its task along only where the agent says so.
///
/// # Errors
/// 503 where the agent or the store does not take it, or too many are being accepted.
pub(super) async fn queue(
    shared: &web::Data<SharedState>,
    agent: &Agent,
    task: Arc<NewTask>,
) -> Result<TaskReader, ApiError> {
    let _permit = admit(shared)?;
    let (id, trace) = (task.id, task.traceparent);
    // What lies in an inbox needs nobody who waits.
    let may_leave = task.is_background || agent.profile.delivery == Delivery::Inbox;
    let (reply, kept) = oneshot::channel();
    agent.supervisor.try_deliver(QueueTask {
        task,
        once: None,
        reply,
    })?;
    let mut leaving = Leaving::new(agent, id, trace, may_leave);
    let feed = match kept.await {
        Ok(Ok(feed)) => feed,
        refused => {
            leaving.is_over();
            refused.map_err(|_gone| DeliveryError::Closed(agent.supervisor.name()))??;
            return Err(ApiError::lost());
        }
    };
    Ok(TaskReader {
        leaving,
        ..TaskReader::new(shared.clone(), id, feed)
    })
}

/// Gives an agent a message that nobody waits for the end of; resolves when it is kept. One that
/// its sender has sent before is that one.
///
/// # Errors
/// As [`queue`], and 409 where its sender has sent another body under the same id.
pub(super) async fn queue_message(
    shared: &SharedState,
    agent: &Agent,
    task: Arc<NewTask>,
    once: Option<IdempotencyKey>,
) -> Result<Sent, ApiError> {
    let _permit = admit(shared)?;
    let id = task.id;
    let (reply, kept) = oneshot::channel();
    agent
        .supervisor
        .try_deliver(QueueTask { task, once, reply })?;
    let kept = kept.await;
    match kept.map_err(|_gone| DeliveryError::Closed(agent.supervisor.name()))? {
        Ok(_nobody_follows) => Ok(Sent {
            id,
            is_duplicate: false,
        }),
        Err(QueueError::Duplicate(id)) => Ok(Sent {
            id,
            is_duplicate: true,
        }),
        Err(refused) => Err(refused.into()),
    }
}

/// A permit to accept something; to be held until it is kept.
///
/// # Errors
/// 503 where too much is being accepted, a disk is low, or the service is about to stop.
pub(super) fn admit(shared: &SharedState) -> Result<SemaphorePermit<'_>, ApiError> {
    shared.intake.admit()?;
    permit(shared)
}

/// The same also while the service stops: turns that run to their end may still send.
///
/// # Errors
/// 503 where too much is being accepted.
pub(super) fn permit(shared: &SharedState) -> Result<SemaphorePermit<'_>, ApiError> {
    shared.permits.try_acquire().map_err(|_none_left| {
        ::metrics::counter!(REQUESTS_REFUSED, "reason" => "busy").increment(1);
        ApiError::busy()
    })
}

/// Takes a task back: one that waits is never begun, one that is worked on is ended. Answers
/// whether it had not ended before, once its processes are gone.
///
/// # Errors
/// 503 where it does not end in time.
pub(super) async fn cancel(shared: &SharedState, record: &TaskRecord) -> Result<bool, ApiError> {
    if record.state.is_ended() {
        return Ok(false);
    }
    let Some(agent) = shared.agents.find(&record.task.agent) else {
        return Ok(false);
    };
    let (reply, ended) = oneshot::channel();
    agent.supervisor.try_deliver(CancelTask {
        task: record.task.id,
        reply,
    })?;
    Ok(waiting::answer(ended, agent.supervisor.name()).await??)
}

impl TaskReader {
    /// Reads a log that is there, from its beginning on.
    pub(super) const fn new(
        shared: web::Data<SharedState>,
        task: MessageId,
        feed: Feed<TaskEvent>,
    ) -> Self {
        Self {
            shared,
            task,
            feed,
            next: 0,
            is_over: false,
            leaving: Leaving(None),
        }
    }

    /// The next event; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<TaskEvent> {
        if self.is_over {
            return None;
        }
        let event = match self.feed.event(self.next).await {
            Some(event) => event,
            None => TaskEvent::Ended(self.kept_outcome().await),
        };
        self.next += 1;
        if matches!(event, TaskEvent::Ended(_)) {
            self.is_over = true;
            self.leaving.is_over();
        }
        Some(event)
    }

    /// How it ends.
    pub(super) async fn outcome(&mut self) -> TaskOutcome {
        while let Some(event) = self.next().await {
            if let TaskEvent::Ended(outcome) = event {
                return outcome;
            }
        }
        lost()
    }

    /// Nobody writes the log any more: what the store knows.
    async fn kept_outcome(&self) -> TaskOutcome {
        let kept = self.shared.tasks.tasks(vec![self.task]).await;
        let record = kept.ok().and_then(|mut tasks| tasks.pop());
        record
            .as_ref()
            .and_then(TaskRecord::outcome)
            .unwrap_or_else(lost)
    }
}

fn lost() -> TaskOutcome {
    TaskOutcome::Failed(Failure {
        code: FailureCode::Interrupted,
        message: "the agent stopped working on it before it ended".to_owned(),
    })
}

/// Tells the answer's reader which message it belongs to.
pub(super) fn with_id(mut response: HttpResponse, task: MessageId) -> HttpResponse {
    if let Ok(id) = HeaderValue::from_str(&task.to_string()) {
        response.headers_mut().insert(ID_HEADER, id);
    }
    response
}

/// Cancels a task when its client goes away before its end.
struct Leaving(Option<(Agent, MessageId, Option<TraceContext>)>);

impl Leaving {
    fn new(agent: &Agent, task: MessageId, trace: Option<TraceContext>, may_leave: bool) -> Self {
        let cancels = agent.profile.on_disconnect == OnDisconnect::Cancel && !may_leave;
        Self(cancels.then(|| (agent.clone(), task, trace)))
    }

    fn is_over(&mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let (Some((agent, task, trace)), Ok(runtime)) =
            (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let trace_id = trace_id(trace);
        tracing::info!(%task, agent = %agent.profile.id, trace_id, "client gone; its task is cancelled");
        runtime.spawn(async move {
            let (reply, _nobody_waits) = oneshot::channel();
            let cancelled = CancelTask { task, reply };
            if let Err(error) = agent.supervisor.ask(cancelled, CANCEL_DEADLINE).await {
                tracing::warn!(%task, %error, "cannot cancel the task of a client that has gone");
            }
        });
    }
}
