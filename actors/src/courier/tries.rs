//! One step of a delivery, from its message's body to its end on the disk.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    CourierParts, DeliveryEnd, STORE_PAUSE,
    handover::{self, HandedOver},
    recipients, spans,
};
use crate::{
    domain::{
        after_attempt::{Health, TryFacts, TryOutcome, after_attempt},
        delivery_queue::{Again, StepEnd},
        party::Party,
        post::{
            AfterAttempt, Attempt, AttemptEnd, DeadCode, DeadReason, NewDelivery, WaitingDelivery,
        },
        trace_context::TraceContext,
    },
    log_fields::trace_id,
    ports::{
        StoreError,
        courier::{PostError, PostOrder},
        traces::{Span, passed_on},
    },
};

/// A step that has ended and is kept.
pub(super) struct Report {
    pub(super) delivery: WaitingDelivery,
    /// Who sent it, where that was read.
    pub(super) from: Option<Party>,
    /// When it is tried again, where the try was one that counts.
    pub(super) next_at: Option<DateTime<Utc>>,
    /// For the queue.
    pub(super) end: StepEnd,
    /// For those who watch it; `None` where it goes on, or had ended otherwise.
    pub(super) ended: Option<DeliveryEnd>,
    /// How the try went, and how long it took; `None` where none was made.
    pub(super) tried: Option<(&'static str, std::time::Duration)>,
    /// Its trace, where its message was at hand.
    pub(super) trace: Option<TraceContext>,
}

/// Tries a delivery once.
pub(super) async fn attempt(
    parts: CourierParts,
    delivery: WaitingDelivery,
    ahead_of: Option<DateTime<Utc>>,
    at_hand: Option<Arc<NewDelivery>>,
) -> Report {
    let message = match at_hand {
        Some(message) => Some(message),
        None => load(&parts, &delivery).await,
    };
    let Some(message) = message else {
        return gone(delivery);
    };
    let from = Some(message.envelope.sender.clone());
    let is_poll = ahead_of.is_some() && delivery.to.agent().is_some();
    let trace = message.traceparent;
    let (outcome, [started_at, ended_at]) = deliver(&parts, &delivery, message, is_poll).await;
    let schedule = recipients::schedule(&parts, &delivery.to);
    let facts = TryFacts {
        schedule: &schedule,
        attempts: delivery.attempts,
        ahead_of,
        now: ended_at,
        jitter: (parts.jitter)(),
    };
    let verdict = after_attempt(&outcome, facts);
    let attempt = Attempt {
        number: delivery.attempts.saturating_add(1),
        started_at,
        ended_at,
        status: outcome.status(),
        error: outcome.error(),
    };
    // An agent that was only asked whether it has room again: nothing has changed.
    let is_open = if is_poll && matches!(verdict.after, AfterAttempt::Again { .. }) {
        true
    } else {
        keep_end(&parts, &delivery, Some(attempt), verdict.after.clone()).await
    };
    let again = match &verdict.after {
        AfterAttempt::Again { due } if is_open => Some(Again {
            due: *due,
            is_held_back: verdict.is_held_back && !is_poll,
        }),
        _ => None,
    };
    let next_at = again.as_ref().filter(|_| !is_poll).map(|again| again.due);
    Report {
        delivery,
        from,
        next_at,
        end: StepEnd {
            again,
            health: outcome.health(),
            error: outcome.error(),
        },
        ended: ended(verdict.after).filter(|_| is_open),
        tried: Some((
            outcome.word(),
            (ended_at - started_at).to_std().unwrap_or_default(),
        )),
        trace,
    }
}

/// Gives a delivery up without a try.
pub(super) async fn give_up(
    parts: CourierParts,
    delivery: WaitingDelivery,
    reason: DeadReason,
) -> Report {
    let after = AfterAttempt::Dead(reason);
    let is_open = keep_end(&parts, &delivery, None, after.clone()).await;
    Report {
        ended: ended(after).filter(|_| is_open),
        ..gone(delivery)
    }
}

/// It does not wait any more.
const fn gone(delivery: WaitingDelivery) -> Report {
    Report {
        delivery,
        from: None,
        next_at: None,
        end: StepEnd {
            again: None,
            health: Health::Unknown,
            error: None,
        },
        ended: None,
        tried: None,
        trace: None,
    }
}

fn ended(after: AfterAttempt) -> Option<DeliveryEnd> {
    match after {
        AfterAttempt::Delivered => Some(DeliveryEnd::Delivered),
        AfterAttempt::Dead(reason) => Some(DeliveryEnd::Dead(reason)),
        AfterAttempt::Again { .. } => None,
    }
}

async fn load(parts: &CourierParts, delivery: &WaitingDelivery) -> Option<Arc<NewDelivery>> {
    loop {
        match parts.store.delivery_to_post(delivery.id).await {
            Ok(found) => return found,
            Err(error) => pause(delivery, &error).await,
        }
    }
}

/// Keeps how a step went, however long that takes: nothing else of its lane is begun meanwhile.
/// Answers whether the delivery was waiting.
async fn keep_end(
    parts: &CourierParts,
    delivery: &WaitingDelivery,
    attempt: Option<Attempt>,
    after: AfterAttempt,
) -> bool {
    let end = AttemptEnd {
        id: delivery.id,
        attempt,
        after,
        at: parts.clock.now(),
    };
    loop {
        match parts.store.end_attempt(end.clone()).await {
            Ok(was_waiting) => return was_waiting,
            Err(StoreError::NotFound(_)) => return false,
            Err(error) => pause(delivery, &error).await,
        }
    }
}

async fn pause(delivery: &WaitingDelivery, error: &StoreError) {
    tracing::warn!(message = %delivery.id, %error, "a delivery waits for the store");
    tokio::time::sleep(STORE_PAUSE).await;
}

/// Delivers once, within a span of its own. Answers when that began and ended, too.
async fn deliver(
    parts: &CourierParts,
    delivery: &WaitingDelivery,
    message: Arc<NewDelivery>,
    is_poll: bool,
) -> (TryOutcome, [DateTime<Utc>; 2]) {
    let started_at = parts.clock.now();
    let span = spans::of_try(parts, delivery, &message, started_at);
    let outcome = match &message.envelope.recipient {
        Party::Agent(_) => hand_over(parts, message).await,
        // It lies where its recipient reads it.
        Party::Key(_) | Party::Anyone => TryOutcome::Taken,
        Party::Peer(_) | Party::Url(_) => post(parts, &message, span.as_ref()).await,
    };
    let ended_at = parts.clock.now();
    let is_worth_telling = !is_poll || outcome.error().is_none();
    let span = span.filter(|_| is_worth_telling);
    spans::record(parts, span, &outcome, ended_at);
    (outcome, [started_at, ended_at])
}

async fn hand_over(parts: &CourierParts, message: Arc<NewDelivery>) -> TryOutcome {
    loop {
        // No idempotency key: the store knows it already, as this very message's.
        let agents = parts.agents.clone();
        match handover::hand_over(agents, Arc::clone(&message), None).await {
            HandedOver::Taken | HandedOver::Duplicate(_) => return TryOutcome::Taken,
            HandedOver::NotNow(error) => return TryOutcome::Failed(error),
            HandedOver::UnknownAgent => {
                let name = &message.envelope.recipient;
                return impossible(
                    DeadCode::UnknownRecipient,
                    format!("there is no `{name}` any more; hire it, then retry the message"),
                );
            }
            HandedOver::Conflict(first) => {
                let error = format!("message `{first}` has the same id and another body");
                return TryOutcome::Failed(error);
            }
            HandedOver::Store(error) => {
                let trace_id = trace_id(message.traceparent);
                tracing::warn!(message = %message.id, %error, trace_id, "a handover waits for the store");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

async fn post(parts: &CourierParts, message: &NewDelivery, span: Option<&Span>) -> TryOutcome {
    let order = PostOrder {
        to: message.envelope.recipient.clone(),
        id: message.id,
        at: parts.clock.now(),
        body: message.body.clone(),
        traceparent: passed_on(span, message.traceparent),
    };
    match parts.transport.post(order).await {
        Ok(answer) => TryOutcome::Answered {
            status: answer.status,
            retry_after: answer.retry_after,
            excerpt: answer.excerpt,
        },
        Err(error) => failed(&error),
    }
}

fn failed(error: &PostError) -> TryOutcome {
    let code = match error {
        PostError::Connect(_) | PostError::TimedOut(_) | PostError::Broken(_) => {
            return TryOutcome::Failed(error.to_string());
        }
        PostError::AddressRefused(_) => DeadCode::AddressRefused,
        PostError::UnknownRecipient(_) => DeadCode::UnknownRecipient,
        PostError::Unaskable(_) => DeadCode::Refused,
    };
    impossible(code, error.to_string())
}

const fn impossible(code: DeadCode, message: String) -> TryOutcome {
    TryOutcome::Impossible(DeadReason { code, message })
}
