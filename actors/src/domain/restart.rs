//! How often a failed actor is started again: restart intensity, after Erlang/OTP's supervisors.

use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

/// Failures that are forgiven within [`WINDOW`]; the next one parks the actor.
pub const MAX_RESTARTS: usize = 5;

/// How long a failure counts.
pub const WINDOW: TimeDelta = TimeDelta::seconds(30);

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What to do about a failed actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Start it again after this pause.
    RestartAfter(Duration),
    /// Leave it stopped, and tell the operator.
    Park,
}

/// The failures of one actor.
#[derive(Debug, Default)]
pub struct RestartIntensity {
    failures: VecDeque<DateTime<Utc>>,
}

impl RestartIntensity {
    /// Notes a failure and decides.
    pub fn failed(&mut self, now: DateTime<Utc>) -> Decision {
        self.failures
            .retain(|failure| now.signed_duration_since(*failure) < WINDOW);
        self.failures.push_back(now);
        if self.failures.len() > MAX_RESTARTS {
            return Decision::Park;
        }
        let doublings = u32::try_from(self.failures.len() - 1).unwrap_or(u32::MAX);
        Decision::RestartAfter(
            FIRST_PAUSE
                .saturating_mul(2_u32.saturating_pow(doublings))
                .min(LONGEST_PAUSE),
        )
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_000_000 + second, 0).unwrap()
    }

    #[test]
    fn the_sixth_failure_within_thirty_seconds_parks() {
        let mut intensity = RestartIntensity::default();
        for second in 0..5 {
            assert!(matches!(
                intensity.failed(at(second)),
                Decision::RestartAfter(_)
            ));
        }
        assert_eq!(intensity.failed(at(5)), Decision::Park);
    }

    #[test]
    fn old_failures_are_forgiven() {
        let mut intensity = RestartIntensity::default();
        for second in 0..100 {
            let decision = intensity.failed(at(second * 7));
            assert!(matches!(decision, Decision::RestartAfter(_)), "at {second}");
        }
    }

    #[test]
    fn pauses_double() {
        let mut intensity = RestartIntensity::default();
        let pauses: Vec<_> = (0..3).map(|second| intensity.failed(at(second))).collect();
        let expected = [100, 200, 400].map(|ms| Decision::RestartAfter(Duration::from_millis(ms)));
        assert_eq!(pauses, expected);
    }
}
