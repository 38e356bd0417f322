//! Begins turns as soon as rules and room allow, and takes note of their ends.

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};
use chrono::{DateTime, Utc};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    AgentSupervisor, metrics,
    turn_run::{self, TurnJob, TurnReport},
};
use crate::{
    domain::{
        after_turn::StopReason,
        ids::{MessageId, SessionKey},
        restart::Decision,
        task::WaitingTask,
        turn::{AfterTurn, Failure, FailureCode},
    },
    ports::StoreError,
};

/// A turn that runs, as its supervisor sees it.
pub(super) struct Running {
    pub(super) session: SessionKey,
    pub(super) tasks: Vec<MessageId>,
    pub(super) since: DateTime<Utc>,
    /// 0 before there is a process.
    pub(super) pid: Arc<AtomicU32>,
    /// Messages that it has sent.
    pub(super) callbacks: u32,
    stop: Option<oneshot::Sender<StopReason>>,
    when_gone: Vec<WhenGone>,
}

/// Who hears that a turn's processes are gone.
enum WhenGone {
    Turn(oneshot::Sender<bool>),
    Task(oneshot::Sender<Result<bool, StoreError>>),
}

impl Running {
    /// Ends the turn; the first reason counts.
    pub(super) fn stop(&mut self, reason: StopReason, reply: Option<oneshot::Sender<bool>>) {
        self.when_gone.extend(reply.map(WhenGone::Turn));
        if let Some(stop) = self.stop.take() {
            // A turn that has just ended needs no stop.
            stop.send(reason).ok();
        }
    }

    pub(super) fn stop_for_task(
        &mut self,
        reason: StopReason,
        reply: oneshot::Sender<Result<bool, StoreError>>,
    ) {
        self.when_gone.push(WhenGone::Task(reply));
        self.stop(reason, None);
    }

    fn tell_gone(self) {
        for waiting in self.when_gone {
            match waiting {
                WhenGone::Turn(reply) => {
                    reply.send(true).ok();
                }
                WhenGone::Task(reply) => {
                    reply.send(Ok(true)).ok();
                }
            }
        }
    }
}

impl AgentSupervisor {
    pub(super) fn stop_all(&mut self, reason: StopReason) {
        for running in self.running.values_mut() {
            running.stop(reason, None);
        }
    }

    /// Begins turns after everything that has come in by now is in the queue.
    pub(super) fn schedule_soon(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_about_to_schedule, true) {
            return;
        }
        // No timer: the shortest one takes a millisecond or two.
        let soon = tokio::task::yield_now().into_actor(self);
        ctx.spawn(soon.map(|(), actor: &mut Self, ctx| {
            actor.is_about_to_schedule = false;
            actor.schedule(ctx);
        }));
    }

    /// Begins as many turns as rules and room allow.
    pub(super) fn schedule(&mut self, ctx: &mut Context<Self>) {
        self.end_expired(ctx);
        while self.may_begin() {
            let gate = Arc::clone(&self.parts.shared.gate);
            match gate.try_acquire_owned() {
                Ok(permit) => self.begin(permit, ctx),
                Err(_none_free) => {
                    self.wait_for_slot(ctx);
                    break;
                }
            }
        }
        self.plan_wake(ctx);
        metrics::show_waiting(&self.parts.profile.id, self.queue.waiting());
    }

    fn may_begin(&self) -> bool {
        self.takes_turns()
            && self.running.len() < self.parts.profile.concurrency
            && self.queue.has_ready(self.parts.shared.clock.now())
    }

    /// One at a time, so that an agent with much to do does not crowd out the others.
    fn wait_for_slot(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_waiting_for_slot, true) {
            return;
        }
        let slot = Arc::clone(&self.parts.shared.gate).acquire_owned();
        let granted = slot.into_actor(self).map(|permit, actor: &mut Self, ctx| {
            actor.is_waiting_for_slot = false;
            if let Ok(permit) = permit
                && actor.may_begin()
            {
                actor.begin(permit, ctx);
            }
            actor.schedule(ctx);
        });
        ctx.spawn(granted);
    }

    fn plan_wake(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.shared.clock.now();
        let ready = self
            .takes_turns()
            .then(|| self.queue.wake_at(now))
            .flatten();
        let wake_at = ready.into_iter().chain(self.queue.next_expiry()).min();
        if let Some(at) = wake_at {
            self.wake_in((at - now).to_std().unwrap_or_default(), ctx);
        }
    }

    /// The newest plan replaces the last: every plan ends in a new one.
    fn wake_in(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        if let Some(planned) = self.wake.take() {
            ctx.cancel_future(planned);
        }
        self.wake = Some(ctx.run_later(pause, |actor, ctx| {
            actor.wake = None;
            actor.schedule(ctx);
        }));
    }

    fn begin(&mut self, permit: OwnedSemaphorePermit, ctx: &mut Context<Self>) {
        let now = self.parts.shared.clock.now();
        let Some(batch) = self.queue.next_batch(now) else {
            return;
        };
        let turn = self.parts.shared.ids.turn_id(now);
        let (stop, stopped) = oneshot::channel();
        let pid = Arc::new(AtomicU32::new(0));
        let running = Running {
            session: batch.session.clone(),
            tasks: batch.tasks.iter().map(|task| task.id).collect(),
            since: now,
            pid: Arc::clone(&pid),
            callbacks: 0,
            stop: Some(stop),
            when_gone: Vec::new(),
        };
        let feeds = &self.feeds;
        let job = TurnJob {
            turn,
            feeds: batch
                .tasks
                .iter()
                .filter_map(|task| Some((task.id, feeds.get(&task.id)?.clone())))
                .collect(),
            batch,
            stopped,
            pid,
            parts: self.parts.clone(),
        };
        self.running.insert(turn, running);
        let run = async move {
            let report = turn_run::run(job).await;
            drop(permit);
            report
        };
        let ended = run
            .into_actor(self)
            .map(|report, actor: &mut Self, ctx| actor.turn_ended(report, ctx));
        ctx.spawn(ended);
    }

    fn turn_ended(&mut self, report: TurnReport, ctx: &mut Context<Self>) {
        let running = self.running.remove(&report.turn);
        self.queue.ended(&report.session);
        for task in report.given_back {
            self.queue.push(task);
        }
        for (task, after) in report.tasks {
            self.task_after_turn(task, after);
        }
        self.note_start(report.cannot_start, ctx);
        if report.failure.is_some() {
            self.last_failure = report.failure;
        }
        if let Some(running) = running {
            metrics::callbacks_of_turn(&self.parts.profile.id, running.callbacks);
            running.tell_gone();
        }
        if self.closing == Some(super::Closing::Retiring) {
            self.give_up_what_waits(ctx);
        }
        self.settle(ctx);
        self.schedule(ctx);
    }

    fn task_after_turn(&mut self, task: WaitingTask, after: AfterTurn) {
        match after {
            AfterTurn::Ended(outcome) => self.tell_ended(task.id, outcome),
            // Its log stays findable: it hears of the answer that comes from the inbox.
            AfterTurn::Delivered => {}
            // Ended meanwhile by other means: its readers have heard.
            AfterTurn::Again { .. } if !self.feeds.contains_key(&task.id) => {}
            AfterTurn::Again { not_before, counts } => {
                let attempts = task.attempts.saturating_add(u32::from(counts));
                self.queue.push(WaitingTask {
                    attempts,
                    not_before,
                    ..task
                });
            }
        }
    }

    /// Parks an agent whose turns fail to start again and again.
    fn note_start(&mut self, cannot_start: Option<String>, ctx: &mut Context<Self>) {
        let Some(why) = cannot_start else {
            return;
        };
        let now = self.parts.shared.clock.now();
        if self.start_failures.failed(now) == Decision::Park {
            tracing::error!(agent = %self.parts.profile.id, why, "agent parked");
            metrics::parked(&self.parts.profile.id);
            let failure = Failure {
                code: FailureCode::CannotStart,
                message: why.clone(),
            };
            self.parked = Some(why);
            self.refuse_who_waits(&failure, ctx);
        }
    }
}
