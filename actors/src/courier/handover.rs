//! Gives a message to an agent of ours: straight into its queue, as a task with the same id.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;

use crate::{
    agent_directory::Agents,
    agent_supervisor::{CallbackReceived, QueueError, QueueTask},
    domain::{
        agent_message::{Envelope, IdempotencyKey},
        ids::{MessageId, SessionKey},
        post::NewDelivery,
        task::{NewTask, TaskOrigin},
    },
    ports::StoreError,
};

/// How long a supervisor may take to keep a task.
const LONGEST_HANDOVER: Duration = Duration::from_secs(30);

/// What came of giving a message to an agent.
#[derive(Debug)]
pub(super) enum HandedOver {
    /// It is kept as a task.
    Taken,
    /// Its sender had sent it before: this is that one.
    Duplicate(MessageId),
    /// Its sender had sent another body under the same id.
    Conflict(MessageId),
    /// There is no such agent.
    UnknownAgent,
    /// The agent does not take it now.
    NotNow(String),
    /// The store did not keep it.
    Store(StoreError),
}

pub(super) async fn hand_over(
    agents: Agents,
    message: Arc<NewDelivery>,
    once: Option<IdempotencyKey>,
) -> HandedOver {
    let found = message
        .envelope
        .recipient
        .agent()
        .and_then(|id| agents.find(id));
    let Some(agent) = found else {
        return HandedOver::UnknownAgent;
    };
    let (reply, kept) = oneshot::channel();
    let queued = QueueTask {
        task: Arc::new(task_of(&message, agent.profile.id.clone())),
        once,
        reply,
    };
    if let Err(error) = agent.supervisor.try_deliver(queued) {
        return HandedOver::NotNow(error.to_string());
    }
    match tokio::time::timeout(LONGEST_HANDOVER, kept).await {
        Ok(Ok(Ok(_feed))) => HandedOver::Taken,
        Ok(Ok(Err(refused))) => refused_as(refused),
        // Its supervisor has ended, or hangs. If the task is kept all the same, the next try finds
        // it: a task is kept once for an id.
        Ok(Err(_)) | Err(_) => {
            HandedOver::NotNow(format!("agent `{}` did not answer", agent.profile.id))
        }
    }
}

fn refused_as(refused: QueueError) -> HandedOver {
    match refused {
        QueueError::Duplicate(first) => HandedOver::Duplicate(first),
        QueueError::Conflict(first) => HandedOver::Conflict(first),
        QueueError::Store(error) => HandedOver::Store(error),
        QueueError::Full { .. }
        | QueueError::Stopped(_)
        | QueueError::Parked { .. }
        | QueueError::Stopping => HandedOver::NotNow(refused.to_string()),
    }
}

fn task_of(message: &NewDelivery, agent: crate::domain::ids::AgentId) -> NewTask {
    NewTask {
        id: message.id,
        agent,
        session: SessionKey::new(Arc::clone(&message.conversation)),
        origin: TaskOrigin::Message,
        caller: Some(message.envelope.sender.to_string().into()),
        received_at: message.received_at,
        body: message.body.clone(),
        is_background: true,
        is_streamed: false,
        is_kept: true,
        traceparent: message.traceparent.clone(),
        envelope: Some(Arc::clone(&message.envelope)),
        is_handed_over: true,
    }
}

/// Tells the agent whose turn has sent a message, for those who follow that turn.
pub(super) fn tell_sender(agents: &Agents, id: MessageId, envelope: &Envelope) {
    let sender = envelope.sender.agent().and_then(|id| agents.find(id));
    let (Some(turn), Some(sender)) = (envelope.turn, sender) else {
        return;
    };
    let callback = CallbackReceived {
        turn,
        message: id,
        kind: Arc::clone(&envelope.kind),
        to: envelope.recipient.clone(),
    };
    // The store has counted it; who follows the turn live misses a line.
    if let Err(error) = sender.supervisor.try_deliver(callback) {
        tracing::debug!(message = %id, %error, "an agent did not hear of its callback");
    }
}
