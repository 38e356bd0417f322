//! Ends tasks outside of turns: taken back, answered elsewhere, given up.

use std::sync::Arc;

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};
use tokio::sync::oneshot;

use super::{AgentSupervisor, CancelTask, RetryTask};
use crate::{
    domain::{
        activity::Fact,
        after_turn::StopReason,
        agent::Delivery,
        ids::MessageId,
        task::{TaskOutcome, TaskRecord},
        turn::{Failure, FailureCode},
    },
    feed::TaskEvent,
    ports::StoreError,
};

type Reply = oneshot::Sender<Result<bool, StoreError>>;

impl AgentSupervisor {
    /// A turn that works on this task alone is ended; otherwise the task ends and the turn goes on.
    pub(super) fn cancel_task(&mut self, cancel: CancelTask, ctx: &mut Context<Self>) {
        let CancelTask { task, reply } = cancel;
        let alone = self
            .running
            .values_mut()
            .find(|running| running.tasks == [task]);
        match alone {
            Some(running) => running.stop_for_task(StopReason::Cancelled, reply),
            None => self.end_task(task, TaskOutcome::Cancelled, reply, ctx),
        }
    }

    pub(super) fn end_task(
        &mut self,
        task: MessageId,
        outcome: TaskOutcome,
        reply: Reply,
        ctx: &mut Context<Self>,
    ) {
        self.ending = self.ending.saturating_add(1);
        let now = self.parts.shared.clock.now();
        let kept = self.parts.shared.store.end_task(task, outcome.clone(), now);
        let ended = kept
            .into_actor(self)
            .map(move |kept, actor: &mut Self, ctx| {
                actor.ending = actor.ending.saturating_sub(1);
                if kept == Ok(true) {
                    actor.queue.remove(task);
                    actor.tell_ended(task, outcome);
                }
                actor.settle(ctx);
                // Whoever asked may be gone; it is done all the same.
                reply.send(kept).ok();
            });
        ctx.spawn(ended);
    }

    /// What is of no use any more is never begun.
    pub(super) fn end_expired(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.shared.clock.now();
        for task in self.queue.take_expired(now) {
            let (reply, _nobody) = oneshot::channel();
            self.end_task(task.id, TaskOutcome::Expired, reply, ctx);
        }
    }

    /// Lets a message that failed wait again.
    pub(super) fn retry_task(&mut self, retry: RetryTask, ctx: &mut Context<Self>) {
        let RetryTask { task, reply } = retry;
        let store = Arc::clone(&self.parts.shared.store);
        let revived = async move {
            if !store.revive_task(task).await? {
                return Ok(None);
            }
            let open = store.tasks(vec![task]).await?;
            Ok(open.into_iter().next())
        };
        let queued = revived.into_actor(self).map(
            move |revived: Result<Option<TaskRecord>, StoreError>, actor: &mut Self, ctx| {
                if let Ok(Some(record)) = &revived {
                    actor.queue_anew(record);
                    actor.schedule_soon(ctx);
                }
                reply.send(revived.map(|record| record.is_some())).ok();
            },
        );
        ctx.spawn(queued);
    }

    /// The last thing that the readers of a task hear.
    pub(super) fn tell_ended(&mut self, task: MessageId, outcome: TaskOutcome) {
        if let Some(feed) = self.feeds.remove(&task) {
            self.tell(Fact::TaskEnded {
                agent: self.parts.profile.id.clone(),
                message: task,
                state: outcome.state(),
            });
            feed.publish(TaskEvent::Ended(outcome));
            feed.close();
        }
    }

    /// Nothing is begun for a while: whoever waits on an open connection is told so, and what nobody
    /// waits for keeps its place. Files for an inbox are waited for by nobody.
    pub(super) fn refuse_who_waits(&mut self, failure: &Failure, ctx: &mut Context<Self>) {
        if self.parts.profile.delivery == Delivery::Inbox {
            return;
        }
        for task in self.queue.remove_all() {
            if task.is_background {
                self.queue.push(task);
            } else {
                let (reply, _nobody) = oneshot::channel();
                self.end_task(task.id, TaskOutcome::Failed(failure.clone()), reply, ctx);
            }
        }
    }

    /// The agent is removed: what waits will never be begun.
    pub(super) fn give_up_what_waits(&mut self, ctx: &mut Context<Self>) {
        let failure = Failure {
            code: FailureCode::AgentRemoved,
            message: format!("agent `{}` was removed", self.parts.profile.id),
        };
        for task in self.queue.remove_all() {
            let (reply, _nobody) = oneshot::channel();
            self.end_task(task.id, TaskOutcome::Failed(failure.clone()), reply, ctx);
        }
    }
}
