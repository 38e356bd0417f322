//! What becomes of a delivery after a try, and when it is tried again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::post::{AfterAttempt, DeadCode, DeadReason, WaitingDelivery};

/// How far a pause is off its length in the schedule at most, as a share of it.
pub const JITTER: f64 = 0.2;

/// The longest text that is kept of an error, in bytes.
const LONGEST_ERROR: usize = 1024;

/// How a try went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TryOutcome {
    /// An agent of ours has taken it.
    Taken,
    /// The recipient answered with a status.
    Answered {
        /// It.
        status: u16,
        /// How long the recipient wants to be left alone.
        retry_after: Option<Duration>,
        /// The beginning of what it said.
        excerpt: String,
    },
    /// The recipient did not answer, or does not take anything now.
    Failed(String),
    /// No try of this delivery can ever go well.
    Impossible(DeadReason),
}

/// What a try says about its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does its work.
    Well,
    /// It does not.
    Ill,
    /// Nothing: it was not asked.
    Unknown,
}

impl TryOutcome {
    /// The status, where there is one.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What it says about the recipient. A refusal is an answer of a healthy one.
    pub fn health(&self) -> Health {
        match self {
            Self::Taken => Health::Well,
            Self::Answered { status, .. } if is_success(*status) || is_refusal(*status) => {
                Health::Well
            }
            Self::Answered { .. } | Self::Failed(_) => Health::Ill,
            Self::Impossible(_) => Health::Unknown,
        }
    }

    /// What went wrong, in words; `None` where it went well.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Taken => None,
            Self::Answered { status, .. } if is_success(*status) => None,
            Self::Answered {
                status, excerpt, ..
            } if excerpt.is_empty() => Some(format!("answered {status}")),
            Self::Answered {
                status, excerpt, ..
            } => Some(shorten(&format!("answered {status}: {excerpt}"))),
            Self::Failed(error) => Some(shorten(error)),
            Self::Impossible(reason) => Some(shorten(&reason.message)),
        }
    }

    /// In one word, for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Answered { status, .. } if is_success(*status) => "taken",
            Self::Answered { status, .. } if is_refusal(*status) => "refused",
            Self::Answered { .. } => "status",
            Self::Failed(_) => "no_answer",
            Self::Impossible(_) => "impossible",
        }
    }
}

const fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// Trying again would not help.
const fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499) && !matches!(status, 408 | 425 | 429)
}

/// When a try was made, and what it is measured by.
#[derive(Debug, Clone, Copy)]
pub struct TryFacts<'a> {
    /// The pauses before each try; the first one is that before the first try.
    pub schedule: &'a [Duration],
    /// Tries that had failed before.
    pub attempts: u32,
    /// Set where the try was made ahead of its time: until then the delivery waits anyhow, and the
    /// try uses up nothing of the schedule.
    pub ahead_of: Option<DateTime<Utc>>,
    /// Now.
    pub now: DateTime<Utc>,
    /// A random number from 0 to 1.
    pub jitter: f64,
}

/// What becomes of a delivery after a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What is kept.
    pub after: AfterAttempt,
    /// The recipient has said itself how long it wants to be left alone with this one.
    pub is_held_back: bool,
}

/// Decides what becomes of a delivery after a try.
pub fn after_attempt(outcome: &TryOutcome, facts: TryFacts<'_>) -> Verdict {
    let ended = |after| Verdict {
        after,
        is_held_back: false,
    };
    match outcome {
        TryOutcome::Impossible(reason) => ended(AfterAttempt::Dead(reason.clone())),
        TryOutcome::Answered { status, .. } if is_refusal(*status) => ended(dead(
            DeadCode::Refused,
            format!(
                "the recipient refused it: {}",
                outcome.error().unwrap_or_default()
            ),
        )),
        TryOutcome::Answered { retry_after, .. } => match outcome.error() {
            None => ended(AfterAttempt::Delivered),
            Some(error) => again_or_dead(&error, *retry_after, facts),
        },
        TryOutcome::Failed(error) => again_or_dead(error, None, facts),
        TryOutcome::Taken => ended(AfterAttempt::Delivered),
    }
}

fn again_or_dead(error: &str, retry_after: Option<Duration>, facts: TryFacts<'_>) -> Verdict {
    let scheduled = facts.ahead_of.or_else(|| {
        let pause = *facts.schedule.get(tries_made(facts.attempts))?;
        Some(later(facts.now, jittered(pause, facts.jitter)))
    });
    let Some(scheduled) = scheduled else {
        let after = dead(
            DeadCode::OutOfAttempts,
            format!(
                "given up after {} tries; the last one: {}",
                tries_made(facts.attempts),
                shorten(error)
            ),
        );
        return Verdict {
            after,
            is_held_back: false,
        };
    };
    let asked = retry_after.map(|asked| later(facts.now, asked));
    Verdict {
        after: AfterAttempt::Again {
            due: asked.map_or(scheduled, |asked| asked.max(scheduled)),
        },
        is_held_back: asked.is_some() || facts.ahead_of.is_some(),
    }
}

/// The tries made once the one at hand has failed.
fn tries_made(attempts: u32) -> usize {
    usize::try_from(attempts)
        .unwrap_or(usize::MAX)
        .saturating_add(1)
}

/// A delivery that expired before it was tried.
pub fn expired(delivery: &WaitingDelivery) -> DeadReason {
    let at = delivery.expires_at.unwrap_or(delivery.due);
    DeadReason {
        code: DeadCode::Expired,
        message: format!("it expired at {} and was not delivered", at.to_rfc3339()),
    }
}

/// A delivery that has waited as long as its whole schedule takes, for a recipient that is down.
pub fn waited_too_long(delivery: &WaitingDelivery, last_error: Option<&str>) -> DeadReason {
    let error = last_error.unwrap_or("its recipient took nothing");
    DeadReason {
        code: DeadCode::OutOfAttempts,
        message: format!(
            "given up: it waited since {} for a recipient that is down, with {} tries; the last \
             error of that recipient: {}",
            delivery.since.to_rfc3339(),
            delivery.attempts,
            shorten(error)
        ),
    }
}

/// A pause with its jitter: up to [`JITTER`] shorter or longer. No pause stays none.
pub fn jittered(pause: Duration, jitter: f64) -> Duration {
    let share = JITTER.mul_add(2.0 * jitter.clamp(0.0, 1.0) - 1.0, 1.0);
    pause.mul_f64(share)
}

/// How long a schedule takes at most, the time of the tries themselves aside.
pub fn longest_span(schedule: &[Duration]) -> Duration {
    let whole = schedule.iter().fold(Duration::ZERO, |sum, pause| {
        sum.saturating_add(*pause).min(LONGEST_SPAN)
    });
    whole.mul_f64(1.0 + JITTER)
}

/// No schedule is taken to be longer than this.
const LONGEST_SPAN: Duration = Duration::from_hours(24 * 366);

fn dead(code: DeadCode, message: String) -> AfterAttempt {
    AfterAttempt::Dead(DeadReason { code, message })
}

/// A time plus a pause, the end of time at most.
pub fn later(time: DateTime<Utc>, pause: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(pause)
        .ok()
        .and_then(|pause| time.checked_add_signed(pause))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn shorten(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST_ERROR);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
