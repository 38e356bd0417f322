use chrono::TimeZone;

use super::*;
use crate::domain::peer::DEFAULT_SCHEDULE;

fn now() -> DateTime<Utc> {
    Utc.timestamp_opt(1_800_000_000, 0).unwrap()
}

fn facts(attempts: u32) -> TryFacts<'static> {
    TryFacts {
        schedule: &DEFAULT_SCHEDULE,
        attempts,
        ahead_of: None,
        now: now(),
        jitter: 0.5,
    }
}

fn answered(status: u16, retry_after: Option<u64>) -> TryOutcome {
    TryOutcome::Answered {
        status,
        retry_after: retry_after.map(Duration::from_secs),
        excerpt: "no".to_owned(),
    }
}

fn pause_after(outcome: &TryOutcome, facts: TryFacts<'_>) -> Option<u64> {
    match after_attempt(outcome, facts).after {
        AfterAttempt::Again { due } => Some((due - now()).num_seconds().unsigned_abs()),
        _ => None,
    }
}

fn death(outcome: &TryOutcome, facts: TryFacts<'_>) -> DeadReason {
    match after_attempt(outcome, facts).after {
        AfterAttempt::Dead(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_success_delivers_and_says_that_the_recipient_is_well() {
    for status in [200, 201, 202, 204, 206, 299] {
        let outcome = answered(status, None);
        let verdict = after_attempt(&outcome, facts(0));
        assert_eq!(verdict.after, AfterAttempt::Delivered, "{status}");
        assert_eq!(
            (outcome.health(), outcome.error()),
            (Health::Well, None),
            "{status}"
        );
    }
    let taken = after_attempt(&TryOutcome::Taken, facts(0));
    assert_eq!(taken.after, AfterAttempt::Delivered);
}

#[test]
fn a_busy_or_broken_recipient_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        let outcome = answered(status, None);
        assert_eq!(pause_after(&outcome, facts(0)), Some(5), "{status}");
        assert_eq!(outcome.health(), Health::Ill, "{status}");
    }
    let failed = TryOutcome::Failed("cannot connect: refused".to_owned());
    assert_eq!(pause_after(&failed, facts(1)), Some(300));
    assert_eq!(failed.health(), Health::Ill);
}

#[test]
fn redirects_and_odd_statuses_are_failures() {
    for status in [0, 100, 199, 301, 302, 303, 304, 307, 600, 999] {
        let outcome = answered(status, None);
        assert_eq!(pause_after(&outcome, facts(0)), Some(5), "{status}");
        assert_eq!(outcome.health(), Health::Ill, "{status}");
    }
}

#[test]
fn any_other_refusal_is_the_end_at_once_and_names_what_was_said() {
    for status in [400, 401, 403, 404, 409, 410, 413, 422, 499] {
        let outcome = answered(status, Some(60));
        let reason = death(&outcome, facts(0));
        assert_eq!(reason.code, DeadCode::Refused, "{status}");
        assert!(
            reason.message.contains(&format!("{status}: no")),
            "{}",
            reason.message
        );
        assert_eq!(outcome.health(), Health::Well, "{status}");
    }
}

#[test]
fn the_later_of_retry_after_and_schedule_counts() {
    for (asked, attempts, pause, is_held_back) in [
        (Some(60), 0, 60, true),
        (Some(60), 1, 300, true),
        (Some(0), 0, 5, true),
        (None, 0, 5, false),
    ] {
        let outcome = answered(503, asked);
        assert_eq!(pause_after(&outcome, facts(attempts)), Some(pause));
        let verdict = after_attempt(&outcome, facts(attempts));
        assert_eq!(verdict.is_held_back, is_held_back);
    }
}

#[test]
fn the_schedule_is_gone_through_once_and_its_end_names_the_last_error() {
    let pauses: Vec<_> = (0..8)
        .map(|attempts| pause_after(&answered(500, None), facts(attempts)))
        .collect();
    let expected = [5, 300, 1800, 7200, 18_000, 36_000, 36_000].map(Some);
    assert_eq!(pauses, [expected.as_slice(), &[None]].concat());
    let reason = death(&answered(500, None), facts(7));
    assert_eq!(reason.code, DeadCode::OutOfAttempts);
    assert!(
        reason.message.contains("8 tries") && reason.message.contains("500"),
        "{}",
        reason.message
    );
    assert_eq!(
        death(&answered(500, None), facts(u32::MAX)).code,
        DeadCode::OutOfAttempts
    );
}

#[test]
fn a_try_ahead_of_its_time_uses_up_nothing() {
    let due = now() + TimeDelta::hours(10);
    let early = TryFacts {
        ahead_of: Some(due),
        ..facts(7)
    };
    let verdict = after_attempt(&answered(500, None), early);
    assert_eq!(verdict.after, AfterAttempt::Again { due });
    // So that it is not drawn forward a second time.
    assert!(verdict.is_held_back);
}

#[test]
fn jitter_is_a_fifth_each_way_and_no_pause_stays_none() {
    let pause = Duration::from_secs(100);
    for (jitter, expected) in [(0.0, 80), (0.5, 100), (1.0, 120), (7.0, 120), (-1.0, 80)] {
        assert_eq!(
            jittered(pause, jitter),
            Duration::from_secs(expected),
            "{jitter}"
        );
    }
    assert_eq!(jittered(Duration::ZERO, 1.0), Duration::ZERO);
}

#[test]
fn a_span_is_the_sum_with_the_longest_jitter_and_has_an_end() {
    let span = longest_span(&DEFAULT_SCHEDULE).as_secs();
    assert_eq!(span, (5 + 300 + 1800 + 7200 + 18_000 + 72_000) * 6 / 5);
    assert!(longest_span(&[Duration::MAX, Duration::MAX]) < Duration::from_hours(24 * 450));
}

#[test]
fn long_errors_are_cut_between_characters() {
    let error = TryOutcome::Failed("é".repeat(5000)).error().unwrap();
    assert_eq!(error.len(), LONGEST_ERROR);
    let reason = death(&TryOutcome::Failed("é".repeat(5000)), facts(7));
    assert!(reason.message.len() <= 2048);
}

#[test]
fn what_can_never_go_well_dies_at_once_and_says_nothing_of_its_recipient() {
    let reason = DeadReason {
        code: DeadCode::AddressRefused,
        message: "private".to_owned(),
    };
    let outcome = TryOutcome::Impossible(reason.clone());
    assert_eq!(death(&outcome, facts(0)), reason);
    assert_eq!(outcome.health(), Health::Unknown);
}
