//! Takes messages in: judged, kept, then answered. Those to agents of ours go straight into their
//! queues where nothing earlier of their conversation waits here.

use std::sync::Arc;

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};
use tokio::sync::oneshot;

use super::{
    Courier, OutgoingMessage, SendError, SendMessage, Sent,
    doors::{LaneKey, Way},
    handover::{self, HandedOver},
    metrics, recipients,
};
use crate::{
    domain::{
        after_attempt::{jittered, later},
        agent_message::IdempotencyKey,
        envelope::Sequence,
        ids::MessageId,
        loop_guard::{Admitted, Saying},
        post::{Beginning, DeadCode, DeadReason, NewDelivery, Queued, WaitingDelivery},
        trace_context::TraceContext,
    },
    log_fields::trace_id,
    ports::StoreError,
};

type Reply = oneshot::Sender<Result<Sent, SendError>>;

/// A message that has come in.
pub(super) struct Incoming {
    delivery: NewDelivery,
    said: [u8; 32],
    once: Option<IdempotencyKey>,
    reply: Reply,
}

/// A message that was given to the store, and what came of it.
pub(super) struct Committed {
    delivery: Arc<NewDelivery>,
    said: [u8; 32],
    reply: Reply,
    kept: Result<Queued, StoreError>,
}

fn saying(delivery: &NewDelivery, said: [u8; 32]) -> Saying<'_> {
    Saying {
        envelope: &delivery.envelope,
        conversation: &delivery.conversation,
        said,
    }
}

fn lane_of(delivery: &NewDelivery) -> LaneKey {
    let to = delivery.envelope.recipient.clone();
    (to, Arc::clone(&delivery.conversation))
}

impl Incoming {
    fn new(message: OutgoingMessage, reply: Reply) -> Self {
        Self {
            delivery: NewDelivery {
                id: message.id,
                envelope: message.envelope,
                conversation: message.conversation,
                received_at: message.received_at,
                body: message.body,
                traceparent: message.traceparent,
                beginning: Beginning::Due,
            },
            said: message.said,
            once: message.once,
            reply,
        }
    }
}

impl Courier {
    pub(super) fn take_in(&mut self, send: SendMessage, ctx: &mut Context<Self>) {
        let incoming = Incoming::new(send.message, send.reply);
        if self.incoming >= self.parts.most_waiting {
            let waiting = self.incoming;
            // Whoever asked may be gone; there is nothing of theirs to keep.
            incoming.reply.send(Err(SendError::Full { waiting })).ok();
            return;
        }
        let now = self.parts.clock.now();
        let saying = saying(&incoming.delivery, incoming.said);
        match self.guard.admit(saying, now) {
            Admitted::TooMany(retry_after) => {
                metrics::refused("pair_rate");
                let envelope = &incoming.delivery.envelope;
                let refused = SendError::TooMany {
                    from: envelope.sender.to_string(),
                    to: envelope.recipient.to_string(),
                    retry_after,
                };
                incoming.reply.send(Err(refused)).ok();
            }
            Admitted::Dead(reason) => {
                self.incoming = self.incoming.saturating_add(1);
                self.keep(incoming, Beginning::Dead(reason), ctx);
            }
            Admitted::Yes => {
                self.incoming = self.incoming.saturating_add(1);
                self.send_on(incoming, ctx);
            }
        }
    }

    fn send_on(&mut self, incoming: Incoming, ctx: &mut Context<Self>) {
        let to = &incoming.delivery.envelope.recipient;
        if to.collects() {
            self.keep(incoming, Beginning::Held, ctx);
        } else if to.agent().is_some() {
            let lane = lane_of(&incoming.delivery);
            self.doors.arrive(lane.clone(), incoming);
            self.open_door(&lane, ctx);
        } else {
            self.keep_for_later(incoming, ctx);
        }
    }

    /// Lets messages of a lane through its door, as far as their order allows.
    fn open_door(&mut self, lane: &LaneKey, ctx: &mut Context<Self>) {
        loop {
            let takes = self.queue.is_open() && !self.is_draining;
            let is_free = takes && !self.queue.is_lane_used(&lane.0, &lane.1);
            match self.doors.next(lane, is_free) {
                Some(Way::HandOver(incoming)) => self.hand_over(incoming, ctx),
                Some(Way::Keep(incoming)) => {
                    self.keep_for_later(incoming, ctx);
                }
                None => return,
            }
        }
    }

    fn hand_over(&mut self, incoming: Incoming, ctx: &mut Context<Self>) {
        let Incoming {
            delivery,
            said,
            once,
            reply,
        } = incoming;
        let message = Arc::new(delivery.clone());
        let handed_over =
            handover::hand_over(self.parts.agents.clone(), message, once.clone()).into_actor(self);
        ctx.spawn(handed_over.map(move |handed_over, actor: &mut Self, ctx| {
            let incoming = Incoming {
                delivery,
                said,
                once,
                reply,
            };
            let lane = lane_of(&incoming.delivery);
            let is_later = matches!(
                handed_over,
                HandedOver::NotNow(_) | HandedOver::UnknownAgent
            );
            actor.doors.handed_over(&lane, !is_later);
            if is_later {
                actor.keep_for_later(incoming, ctx);
            } else {
                actor.answer_handover(incoming, handed_over);
            }
            actor.open_door(&lane, ctx);
            actor.run(ctx);
        }));
    }

    fn answer_handover(&mut self, incoming: Incoming, handed_over: HandedOver) {
        let delivery = &incoming.delivery;
        let id = delivery.id;
        let answer = match handed_over {
            HandedOver::Duplicate(first) if first != id => Ok(repeat_of(first)),
            HandedOver::Conflict(first) => Err(SendError::Conflict(first)),
            HandedOver::Store(error) => Err(SendError::Store(error)),
            HandedOver::Taken
            | HandedOver::Duplicate(_)
            | HandedOver::NotNow(_)
            | HandedOver::UnknownAgent => Ok(sent(id)),
        };
        if answer == Ok(sent(id)) {
            let now = self.parts.clock.now();
            let to = &delivery.envelope.recipient;
            let change = self.queue.is_well(to, now);
            self.circuit_changed(to, change);
            let age = (now - delivery.received_at).to_std().unwrap_or_default();
            metrics::delivered(&recipients::label(&self.parts, to), age);
            self.tell_callback(id, &delivery.envelope);
            handover::tell_sender(&self.parts.agents, id, &delivery.envelope);
        } else {
            self.guard.take_back(saying(delivery, incoming.said));
        }
        self.answer(incoming.reply, answer);
    }

    /// Keeps a message that waits for delivery, as far as there is room.
    fn keep_for_later(&mut self, incoming: Incoming, ctx: &mut Context<Self>) {
        let waiting = self.queue.len().saturating_add(self.committing);
        if waiting < self.parts.most_waiting {
            self.committing = self.committing.saturating_add(1);
            self.keep(incoming, Beginning::Due, ctx);
            return;
        }
        let Incoming {
            delivery,
            said,
            reply,
            ..
        } = incoming;
        self.guard.take_back(saying(&delivery, said));
        self.answer(reply, Err(SendError::Full { waiting }));
        self.doors.kept(&lane_of(&delivery));
    }

    /// The store commits in the order of the calls; the ends are taken in that order too.
    fn keep(&mut self, incoming: Incoming, beginning: Beginning, ctx: &mut Context<Self>) {
        let Incoming {
            delivery,
            said,
            once,
            reply,
        } = incoming;
        let delivery = Arc::new(NewDelivery {
            beginning,
            ..delivery
        });
        let ticket = self.commits.begin();
        let kept = self.parts.store.queue_delivery(Arc::clone(&delivery), once);
        ctx.spawn(
            kept.into_actor(self)
                .map(move |kept, actor: &mut Self, ctx| {
                    let committed = Committed {
                        delivery,
                        said,
                        reply,
                        kept,
                    };
                    actor.commits.end(ticket, committed);
                    while let Some(committed) = actor.commits.take() {
                        actor.committed(committed, ctx);
                    }
                }),
        );
    }

    fn committed(&mut self, committed: Committed, ctx: &mut Context<Self>) {
        let Committed {
            delivery,
            said,
            reply,
            kept,
        } = committed;
        let is_due = delivery.beginning == Beginning::Due;
        self.committing = self.committing.saturating_sub(usize::from(is_due));
        if let Ok(Queued::New(sequence)) = kept {
            self.take_up(&delivery, sequence);
        } else {
            self.guard.take_back(saying(&delivery, said));
        }
        self.answer(reply, answer_for(&delivery, kept));
        if is_due && delivery.envelope.recipient.agent().is_some() {
            let lane = lane_of(&delivery);
            self.doors.kept(&lane);
            self.open_door(&lane, ctx);
        }
        self.run(ctx);
        self.at_hand = None;
    }

    /// A message is kept.
    fn take_up(&mut self, delivery: &Arc<NewDelivery>, sequence: Sequence) {
        let to = &delivery.envelope.recipient;
        match &delivery.beginning {
            Beginning::Due => {
                let now = self.parts.clock.now();
                let first = recipients::schedule(&self.parts, to).first().copied();
                let pause = jittered(first.unwrap_or_default(), (self.parts.jitter)());
                let waiting = WaitingDelivery {
                    sequence,
                    id: delivery.id,
                    to: to.clone(),
                    conversation: Arc::clone(&delivery.conversation),
                    since: delivery.received_at,
                    attempts: 0,
                    due: later(now, pause),
                    expires_at: delivery.envelope.expires_at,
                };
                let terms = recipients::terms(&self.parts, to);
                self.queue.push(waiting, terms, now);
                self.at_hand = Some(Arc::clone(delivery));
            }
            Beginning::Held => {}
            Beginning::Dead(reason) => {
                metrics::refused(reason.code.as_str());
                self.note_dead(delivery.id, to, reason, delivery.traceparent);
            }
        }
        self.tell_callback(delivery.id, &delivery.envelope);
        self.tell_kept(delivery);
        handover::tell_sender(&self.parts.agents, delivery.id, &delivery.envelope);
    }

    pub(super) fn note_dead(
        &self,
        id: MessageId,
        to: &crate::domain::party::Party,
        reason: &DeadReason,
        trace: Option<TraceContext>,
    ) {
        let recipient = recipients::label(&self.parts, to);
        let reason = reason.code.as_str();
        let trace_id = trace_id(trace);
        tracing::warn!(message = %id, recipient, reason, trace_id, "message given up; it is a dead letter");
    }

    fn answer(&mut self, reply: Reply, answer: Result<Sent, SendError>) {
        self.incoming = self.incoming.saturating_sub(1);
        // A sender that has gone takes nothing back.
        reply.send(answer).ok();
    }
}

fn answer_for(delivery: &NewDelivery, kept: Result<Queued, StoreError>) -> Result<Sent, SendError> {
    let id = delivery.id;
    match (kept?, &delivery.beginning) {
        (Queued::Conflict(first), _) => Err(SendError::Conflict(first)),
        (Queued::New(_), Beginning::Dead(reason)) => Err(refused(id, reason)),
        // The first one had led as far; what was said too often may have been sent well before.
        (Queued::Duplicate(first), Beginning::Dead(reason))
            if reason.code == DeadCode::HopLimit =>
        {
            Err(refused(first, reason))
        }
        // Its agent had kept it and could not say so.
        (Queued::Duplicate(first), _) if first == id => Ok(sent(id)),
        (Queued::Duplicate(first), _) => Ok(repeat_of(first)),
        (Queued::New(_), _) => Ok(sent(id)),
    }
}

fn refused(id: MessageId, reason: &DeadReason) -> SendError {
    let reason = reason.clone();
    SendError::Refused { id, reason }
}

const fn sent(id: MessageId) -> Sent {
    Sent {
        id,
        is_duplicate: false,
    }
}

const fn repeat_of(id: MessageId) -> Sent {
    Sent {
        id,
        is_duplicate: true,
    }
}
