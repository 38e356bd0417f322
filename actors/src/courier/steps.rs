//! Begins what is due, follows it to its end, and wakes for what comes next.

use std::time::Duration;

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};

use super::{
    Courier, DeliveryEnd, metrics, recipients,
    tries::{self, Report},
};
use crate::domain::{
    after_attempt::{expired, waited_too_long},
    delivery_queue::{CircuitChange, Step},
    party::Party,
};

/// The longest sleep: a wall clock that was set is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

impl Courier {
    /// Begins what can be begun now, and sets the timer for the rest.
    pub(super) fn run(&mut self, ctx: &mut Context<Self>) {
        let now = self.parts.clock.now();
        while !self.is_draining
            && let Some(step) = self.queue.next(now)
        {
            self.begin(step, ctx);
        }
        metrics::waiting(self.queue.len());
        self.set_timer(ctx);
        self.tell_drained();
    }

    fn begin(&mut self, step: Step, ctx: &mut Context<Self>) {
        let parts = self.parts.clone();
        let report = |report: Report, actor: &mut Self, ctx: &mut Context<Self>| {
            actor.step_ended(report, ctx);
        };
        match step {
            Step::Try { delivery, ahead_of } => {
                let id = delivery.id;
                let at_hand = self.at_hand.take_if(|at_hand| at_hand.id == id);
                let tried = tries::attempt(parts, delivery, ahead_of, at_hand);
                ctx.spawn(tried.into_actor(self).map(report));
            }
            Step::Expire(delivery) => {
                let reason = expired(&delivery);
                let given_up = tries::give_up(parts, delivery, reason);
                ctx.spawn(given_up.into_actor(self).map(report));
            }
            Step::GiveUp {
                delivery,
                last_error,
            } => {
                let reason = waited_too_long(&delivery, last_error.as_deref());
                let given_up = tries::give_up(parts, delivery, reason);
                ctx.spawn(given_up.into_actor(self).map(report));
            }
        }
    }

    fn step_ended(&mut self, report: Report, ctx: &mut Context<Self>) {
        let now = self.parts.clock.now();
        let delivery = &report.delivery;
        let label = recipients::label(&self.parts, &delivery.to);
        if let Some((result, took)) = report.tried {
            metrics::tried(&label, result, took);
        }
        match &report.ended {
            Some(DeliveryEnd::Delivered) => {
                let age = (now - delivery.since).to_std().unwrap_or_default();
                metrics::delivered(&label, age);
            }
            Some(DeliveryEnd::Dead(reason)) => {
                self.note_dead(delivery.id, &delivery.to, reason, report.trace);
            }
            Some(DeliveryEnd::Cancelled) | None => {}
        }
        self.tell_step(&report, now);
        let change = self.queue.ended(delivery.id, report.end, now);
        self.circuit_changed(&delivery.to, change);
        if let Some(end) = &report.ended {
            self.watchers.tell(delivery.id, end);
        }
        self.run(ctx);
    }

    pub(super) fn circuit_changed(&self, to: &Party, change: Option<CircuitChange>) {
        let Some(change) = change else { return };
        let recipient = recipients::label(&self.parts, to);
        match change {
            CircuitChange::Opened => {
                tracing::warn!(
                    recipient,
                    "recipient fails; left alone but for a try now and then"
                );
            }
            CircuitChange::Closed => tracing::info!(recipient, "recipient is well again"),
        }
        // All addresses share one label, which says nothing of any of them.
        if !matches!(to, Party::Url(_)) {
            metrics::circuit(&recipient, change);
        }
    }

    /// Sees to it that the courier wakes in time. A timer that comes early enough is left alone.
    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(wake_at) = self.queue.wake_at().filter(|_| !self.is_draining) else {
            return;
        };
        if let Some((earlier, timer)) = self.timer.take() {
            if earlier <= wake_at {
                self.timer = Some((earlier, timer));
                return;
            }
            ctx.cancel_future(timer);
        }
        let wait = (wake_at - self.parts.clock.now()).to_std();
        // A millisecond more, since timers may fire up to one early.
        let wait = wait.unwrap_or_default().min(LONGEST_SLEEP) + Duration::from_millis(1);
        let timer = ctx.run_later(wait, |courier, ctx| {
            courier.timer = None;
            courier.run(ctx);
        });
        self.timer = Some((wake_at, timer));
    }

    fn tell_drained(&mut self) {
        let is_at_rest = self.queue.under_way() == 0 && self.incoming == 0;
        if self.is_draining && is_at_rest {
            for waiting in self.drained.drain(..) {
                // Whoever asked may have stopped waiting.
                waiting.send(()).ok();
            }
        }
    }
}
