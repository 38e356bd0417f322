//! Takes tasks in: kept first, then queued, then told.

use std::{collections::hash_map::Entry, sync::Arc};

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};
use tokio::sync::oneshot;

use super::{AgentSupervisor, Closing, QueueError, QueueTask};
use crate::{
    domain::{
        activity::{Fact, short},
        after_turn::StopReason,
        agent::{Delivery, QueueMode},
        envelope::Sequence,
        post::Queued,
        task::{NewTask, TaskRecord, WaitingTask},
    },
    feed::{Feed, TaskEvent},
    ports::StoreError,
};

type Reply = oneshot::Sender<Result<Feed<TaskEvent>, QueueError>>;

impl AgentSupervisor {
    pub(super) fn take_in(&mut self, queued: QueueTask, ctx: &mut Context<Self>) {
        let QueueTask { task, once, reply } = queued;
        if let Err(refused) = self.admit() {
            // Whoever asked may be gone; there is nothing of theirs to keep.
            reply.send(Err(refused)).ok();
            return;
        }
        self.committing = self.committing.saturating_add(1);
        // Readers that come as soon as the task is kept find its log.
        let feed = self.parts.shared.task_feeds.open(task.id);
        let kept = self.parts.shared.store.queue_task(Arc::clone(&task), once);
        let queued = kept
            .into_actor(self)
            .map(move |kept, actor: &mut Self, ctx| actor.kept(&task, kept, feed, reply, ctx));
        ctx.spawn(queued);
    }

    fn admit(&self) -> Result<(), QueueError> {
        let agent = || self.parts.profile.id.clone();
        if matches!(self.closing, Some(Closing::WindingDown | Closing::Replaced)) {
            return Err(QueueError::Stopping);
        }
        if self.closing == Some(Closing::Retiring) || self.is_stopped() {
            return Err(QueueError::Stopped(agent()));
        }
        if let Some(why) = &self.parked {
            let (agent, why) = (agent(), why.clone());
            return Err(QueueError::Parked { agent, why });
        }
        let open = match self.parts.profile.delivery {
            Delivery::Turn => self.queue.waiting(),
            // What lies in the inbox unanswered waits too.
            Delivery::Inbox => self.feeds.len(),
        };
        let waiting = open.saturating_add(self.committing);
        if waiting >= self.parts.profile.queue {
            let agent = agent();
            return Err(QueueError::Full { agent, waiting });
        }
        Ok(())
    }

    fn kept(
        &mut self,
        task: &NewTask,
        kept: Result<Queued, StoreError>,
        feed: Feed<TaskEvent>,
        reply: Reply,
        ctx: &mut Context<Self>,
    ) {
        self.committing = self.committing.saturating_sub(1);
        let sequence = match new_sequence(kept) {
            Ok(sequence) => sequence,
            Err(refused) => {
                reply.send(Err(refused)).ok();
                self.settle(ctx);
                return;
            }
        };
        self.tell_queued(task);
        // A recovery that ran meanwhile may have read it from the store already.
        if let Entry::Vacant(unknown) = self.feeds.entry(task.id) {
            unknown.insert(feed.clone());
            self.queue.push(waiting(task, sequence));
        }
        // A sender that has gone takes nothing back.
        reply.send(Ok(feed)).ok();
        self.interrupt_for(task);
        self.settle(ctx);
        self.schedule_soon(ctx);
    }

    fn tell_queued(&self, task: &NewTask) {
        let envelope = task.envelope.as_deref();
        self.tell(Fact::TaskQueued {
            agent: self.parts.profile.id.clone(),
            message: task.id,
            session: short(task.session.as_str()),
            origin: task.origin,
            from: envelope.map(|envelope| envelope.sender.clone()),
        });
    }

    /// A message that failed waits again, as if it had just come in.
    pub(super) fn queue_anew(&mut self, record: &TaskRecord) {
        let task = &record.task;
        if let Entry::Vacant(unknown) = self.feeds.entry(task.id) {
            unknown.insert(self.parts.shared.task_feeds.open_anew(task.id));
            self.queue.push(waiting(task, record.sequence));
            self.tell_queued(task);
        }
    }

    /// With `interrupt`, what arrives ends the turn that its session is at.
    fn interrupt_for(&mut self, task: &NewTask) {
        if self.parts.profile.queue_mode != QueueMode::Interrupt {
            return;
        }
        let same_session = |running: &&mut super::Running| running.session == task.session;
        if let Some(running) = self.running.values_mut().find(same_session) {
            running.stop(StopReason::Cancelled, None);
        }
    }
}

fn new_sequence(kept: Result<Queued, StoreError>) -> Result<Sequence, QueueError> {
    match kept? {
        Queued::New(sequence) => Ok(sequence),
        Queued::Duplicate(first) => Err(QueueError::Duplicate(first)),
        Queued::Conflict(first) => Err(QueueError::Conflict(first)),
    }
}

fn waiting(task: &NewTask, sequence: Sequence) -> WaitingTask {
    let envelope = task.envelope.as_deref();
    WaitingTask {
        sequence,
        id: task.id,
        session: task.session.clone(),
        received_at: task.received_at,
        attempts: 0,
        not_before: None,
        is_background: task.is_background,
        priority: envelope
            .map(|envelope| envelope.priority)
            .unwrap_or_default(),
        expires_at: envelope.and_then(|envelope| envelope.expires_at),
        interrupted_turn: None,
    }
}
