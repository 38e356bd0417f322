//! What becomes of a task when its turn has ended.
//!
//! A task is begun again by itself only where that can do no harm that its sender did not ask for:
//! where the prompt was never handed over, or, for what nobody waits for on an open connection,
//! after a crash. What the CLI itself calls a failure is its answer.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    narration::Narration,
    task::{Answer, TaskOrigin, TaskOutcome},
    turn::{AfterTurn, Failure, FailureCode, TurnExit, TurnResult, TurnState},
};

#[cfg(test)]
mod tests;

/// The pause before the second attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// Why a turn was made to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody asked for it.
    Cancelled,
    /// The service stops, or the supervisor was started anew.
    Interrupted,
}

/// What is known of a task of the turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskFacts {
    /// Which surface it came in by.
    pub origin: TaskOrigin,
    /// Nobody waits for it on an open connection.
    pub is_background: bool,
    /// Its answer is read as it comes.
    pub is_streamed: bool,
    /// How often a turn was begun for it, this one included.
    pub attempts: u32,
    /// How often one may be.
    pub max_attempts: u32,
}

/// What was seen of a turn besides its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TurnSigns {
    /// The agent said something or used a tool: its backend answered.
    pub worked: bool,
    /// The CLI told of trouble.
    pub had_trouble: bool,
}

/// How the turn is kept.
pub fn turn_state(exit: &TurnExit, stopped: Option<StopReason>) -> TurnState {
    match (&exit.result, stopped) {
        (TurnResult::Stopped, Some(StopReason::Interrupted)) => TurnState::Interrupted,
        (TurnResult::Stopped, _) => TurnState::Cancelled,
        (TurnResult::TimedOut(_), _) => TurnState::TimedOut,
        (TurnResult::Failed(_), _) => TurnState::Failed,
        (TurnResult::Done(_), _) => TurnState::Done,
    }
}

/// What becomes of a task whose turn's processes are gone.
pub fn after_turn(
    task: TaskFacts,
    exit: &TurnExit,
    stopped: Option<StopReason>,
    said: &Narration,
    signs: TurnSigns,
    now: DateTime<Utc>,
) -> AfterTurn {
    match &exit.result {
        TurnResult::Done(text) => AfterTurn::Ended(answer(task, text, exit, said)),
        // Whoever waits for it: nothing has been worked on, and the next turn begins a new session.
        TurnResult::Failed(failure) if failure.code == FailureCode::SessionLost => {
            AfterTurn::Again {
                not_before: None,
                counts: false,
            }
        }
        TurnResult::Stopped if stopped == Some(StopReason::Interrupted) => {
            after_interruption(task, now)
        }
        TurnResult::Stopped => AfterTurn::Ended(TaskOutcome::Cancelled),
        TurnResult::TimedOut(failure) if task.is_background && is_backend_down(signs) => {
            again(task, now, false, failure)
        }
        TurnResult::Failed(failure) if task.is_background && exit.signal.is_some() => {
            again(task, now, true, failure)
        }
        TurnResult::TimedOut(failure) | TurnResult::Failed(failure) => failed(failure.clone()),
    }
}

/// What becomes of a task whose broker has crashed or stops.
pub fn after_interruption(task: TaskFacts, now: DateTime<Utc>) -> AfterTurn {
    let failure = Failure {
        code: FailureCode::Interrupted,
        message: "the service was stopped while the turn ran".to_owned(),
    };
    if task.is_background {
        return again(task, now, true, &failure);
    }
    failed(failure)
}

/// What becomes of a task whose turn could not be started.
pub fn after_failed_start(task: TaskFacts, failure: Failure, now: DateTime<Utc>) -> AfterTurn {
    let is_hopeless = failure.code == FailureCode::PromptTooLong;
    if task.is_background && !is_hopeless {
        return again(task, now, false, &failure);
    }
    failed(failure)
}

/// A CLI that tells of trouble until its deadline, and never of work, waits for its backend.
const fn is_backend_down(signs: TurnSigns) -> bool {
    signs.had_trouble && !signs.worked
}

fn again(task: TaskFacts, now: DateTime<Utc>, counts: bool, failure: &Failure) -> AfterTurn {
    if counts && task.attempts >= task.max_attempts {
        return failed(Failure {
            code: FailureCode::OutOfAttempts,
            message: format!(
                "given up after {} attempts; the last one: {}",
                task.attempts, failure
            ),
        });
    }
    AfterTurn::Again {
        not_before: now.checked_add_signed(pause(task.attempts)),
        counts,
    }
}

fn pause(attempts: u32) -> TimeDelta {
    let doublings = attempts.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings));
    TimeDelta::from_std(pause.min(LONGEST_PAUSE)).unwrap_or_default()
}

const fn failed(failure: Failure) -> AfterTurn {
    AfterTurn::Ended(TaskOutcome::Failed(failure))
}

fn answer(task: TaskFacts, last: &Arc<str>, exit: &TurnExit, said: &Narration) -> TaskOutcome {
    if task.origin == TaskOrigin::Message {
        return TaskOutcome::Done;
    }
    let text = if task.is_streamed && !said.is_empty() {
        Arc::from(said.text())
    } else {
        Arc::clone(last)
    };
    if text.trim().is_empty() {
        return TaskOutcome::Failed(Failure {
            code: FailureCode::NoAnswer,
            message: "the turn ended well but without an answer".to_owned(),
        });
    }
    let pieces = if task.is_streamed {
        said.pieces().to_vec()
    } else {
        Vec::new()
    };
    TaskOutcome::Answered(Answer {
        text,
        pieces,
        usage: exit.usage,
    })
}
