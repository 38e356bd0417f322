//! What operators are told of deliveries. Everything here is kept already.

use chrono::{DateTime, Utc};

use super::{Courier, DeliveryEnd, tries::Report};
use crate::domain::{
    activity::{Fact, short},
    agent_message::Envelope,
    ids::MessageId,
    party::Party,
    post::{Beginning, DeadReason, NewDelivery},
};

impl Courier {
    /// A message is kept; what was dead from the start is told as such.
    pub(super) fn tell_kept(&self, delivery: &NewDelivery) {
        let (from, to) = (
            delivery.envelope.sender.clone(),
            delivery.envelope.recipient.clone(),
        );
        let message = delivery.id;
        let activity = &self.parts.activity;
        match &delivery.beginning {
            Beginning::Due => activity.tell(Fact::DeliveryWaiting { message, from, to }),
            Beginning::Held => activity.tell(Fact::DeliveryHeld { message, from, to }),
            Beginning::Dead(reason) => self.tell_dead(message, Some(from), &to, reason),
        }
    }

    /// A step has ended.
    pub(super) fn tell_step(&self, report: &Report, now: DateTime<Utc>) {
        let (message, to) = (report.delivery.id, report.delivery.to.clone());
        let from = report.from.clone();
        match (&report.ended, report.next_at) {
            (Some(DeliveryEnd::Delivered), _) => {
                let took = now - report.delivery.since;
                self.parts.activity.tell(Fact::Delivered {
                    message,
                    from,
                    to,
                    took_ms: u64::try_from(took.num_milliseconds()).unwrap_or_default(),
                });
            }
            (Some(DeliveryEnd::Dead(reason)), _) => self.tell_dead(message, from, &to, reason),
            (Some(DeliveryEnd::Cancelled), _) | (None, None) => {}
            (None, Some(next_at)) => self.parts.activity.tell(Fact::DeliveryFailed {
                message,
                from,
                to,
                error: report.end.error.clone(),
                next_at,
            }),
        }
    }

    fn tell_dead(&self, message: MessageId, from: Option<Party>, to: &Party, reason: &DeadReason) {
        self.parts.activity.tell(Fact::DeliveryDead {
            message,
            from,
            to: to.clone(),
            reason: reason.clone(),
        });
    }

    /// A turn has sent a message.
    pub(super) fn tell_callback(&self, message: MessageId, envelope: &Envelope) {
        let (Some(turn), Some(agent)) = (envelope.turn, envelope.sender.agent()) else {
            return;
        };
        self.parts.activity.tell(Fact::Callback {
            agent: agent.clone(),
            turn,
            message,
            kind_of_message: short(&envelope.kind),
            to: envelope.recipient.clone(),
        });
    }
}
