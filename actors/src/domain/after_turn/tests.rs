use chrono::TimeZone;

use super::*;
use crate::domain::turn::Usage;

const TASK: TaskFacts = TaskFacts {
    origin: TaskOrigin::Response,
    is_background: true,
    is_streamed: false,
    attempts: 1,
    max_attempts: 3,
};

const WAITED_FOR: TaskFacts = TaskFacts {
    origin: TaskOrigin::Chat,
    is_background: false,
    ..TASK
};

fn now() -> DateTime<Utc> {
    Utc.timestamp_opt(1_000_000, 0).unwrap()
}

fn exit(result: TurnResult) -> TurnExit {
    TurnExit {
        result,
        exit_code: Some(0),
        signal: None,
        usage: Some(Usage::default()),
        usage_total: None,
        killed: 0,
        transcript: None,
    }
}

fn failure(code: FailureCode) -> Failure {
    Failure {
        code,
        message: "in its own words".to_owned(),
    }
}

fn after(task: TaskFacts, exit: &TurnExit, signs: TurnSigns) -> AfterTurn {
    after_turn(task, exit, None, &Narration::default(), signs, now())
}

fn code(after: &AfterTurn) -> Option<FailureCode> {
    match after {
        AfterTurn::Ended(TaskOutcome::Failed(failure)) => Some(failure.code),
        _ => None,
    }
}

fn in_seconds(seconds: i64, counts: bool) -> AfterTurn {
    AfterTurn::Again {
        not_before: Some(now() + TimeDelta::seconds(seconds)),
        counts,
    }
}

fn crash() -> TurnExit {
    TurnExit {
        exit_code: None,
        signal: Some(11),
        ..exit(TurnResult::Failed(failure(FailureCode::TurnFailed)))
    }
}

#[test]
fn a_plain_answer_is_the_last_message_and_a_streamed_one_all_that_was_said() {
    let mut said = Narration::default();
    said.say("Looking.");
    said.end_message();
    said.say("Found it.");
    let exit = exit(TurnResult::Done("Found it.".into()));
    let text = |is_streamed| {
        let task = TaskFacts {
            is_streamed,
            ..TASK
        };
        match after_turn(task, &exit, None, &said, TurnSigns::default(), now()) {
            AfterTurn::Ended(TaskOutcome::Answered(answer)) => {
                (answer.text.to_string(), answer.pieces.len())
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(text(false), ("Found it.".to_owned(), 0));
    assert_eq!(text(true), ("Looking.\n\nFound it.".to_owned(), 2));
}

#[test]
fn a_turn_without_an_answer_is_a_failure_unless_none_was_asked_for() {
    let silent = exit(TurnResult::Done(" \n".into()));
    let signs = TurnSigns::default();
    assert_eq!(
        code(&after(TASK, &silent, signs)),
        Some(FailureCode::NoAnswer)
    );
    let message = TaskFacts {
        origin: TaskOrigin::Message,
        ..TASK
    };
    assert_eq!(
        after(message, &silent, signs),
        AfterTurn::Ended(TaskOutcome::Done)
    );
}

#[test]
fn what_the_cli_calls_a_failure_is_not_tried_again() {
    let failed = exit(TurnResult::Failed(failure(FailureCode::TurnFailed)));
    assert_eq!(
        code(&after(TASK, &failed, TurnSigns::default())),
        Some(FailureCode::TurnFailed)
    );
}

#[test]
fn a_session_that_is_lost_costs_nobody_an_answer() {
    let lost = exit(TurnResult::Failed(failure(FailureCode::SessionLost)));
    let again = AfterTurn::Again {
        not_before: None,
        counts: false,
    };
    assert_eq!(after(WAITED_FOR, &lost, TurnSigns::default()), again);
}

#[test]
fn a_crash_is_tried_again_where_nobody_waits_and_given_up_in_the_end() {
    let signs = TurnSigns::default();
    assert_eq!(after(TASK, &crash(), signs), in_seconds(2, true));
    let second = TaskFacts {
        attempts: 2,
        ..TASK
    };
    assert_eq!(after(second, &crash(), signs), in_seconds(4, true));
    let last = TaskFacts {
        attempts: 3,
        ..TASK
    };
    assert_eq!(
        code(&after(last, &crash(), signs)),
        Some(FailureCode::OutOfAttempts)
    );
    assert_eq!(
        code(&after(WAITED_FOR, &crash(), signs)),
        Some(FailureCode::TurnFailed)
    );
}

#[test]
fn a_backend_that_is_down_uses_up_no_attempt() {
    let late = exit(TurnResult::TimedOut(failure(FailureCode::TimedOut)));
    let trouble = TurnSigns {
        worked: false,
        had_trouble: true,
    };
    let last = TaskFacts {
        attempts: 3,
        ..TASK
    };
    assert_eq!(after(last, &late, trouble), in_seconds(8, false));
    let worked = TurnSigns {
        worked: true,
        had_trouble: true,
    };
    assert_eq!(
        code(&after(TASK, &late, worked)),
        Some(FailureCode::TimedOut)
    );
    assert_eq!(
        code(&after(WAITED_FOR, &late, trouble)),
        Some(FailureCode::TimedOut)
    );
}

#[test]
fn an_interruption_is_told_to_who_waits_and_made_good_for_the_others() {
    let stopped = exit(TurnResult::Stopped);
    let said = Narration::default();
    let after = |task, reason| {
        after_turn(
            task,
            &stopped,
            Some(reason),
            &said,
            TurnSigns::default(),
            now(),
        )
    };
    assert_eq!(after(TASK, StopReason::Interrupted), in_seconds(2, true));
    let told = after(WAITED_FOR, StopReason::Interrupted);
    assert_eq!(code(&told), Some(FailureCode::Interrupted));
    let cancelled = after(TASK, StopReason::Cancelled);
    assert_eq!(cancelled, AfterTurn::Ended(TaskOutcome::Cancelled));
}

#[test]
fn a_start_that_failed_counts_for_nothing_but_a_prompt_that_is_too_long_stays_so() {
    let last = TaskFacts {
        attempts: 3,
        ..TASK
    };
    let cannot = after_failed_start(last, failure(FailureCode::CannotStart), now());
    assert_eq!(cannot, in_seconds(8, false));
    let long = after_failed_start(TASK, failure(FailureCode::PromptTooLong), now());
    assert_eq!(code(&long), Some(FailureCode::PromptTooLong));
    let waited_for = after_failed_start(WAITED_FOR, failure(FailureCode::CannotStart), now());
    assert_eq!(code(&waited_for), Some(FailureCode::CannotStart));
}

#[test]
fn pauses_have_an_end() {
    assert_eq!(pause(u32::MAX), TimeDelta::minutes(5));
}
