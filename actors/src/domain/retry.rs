//! Whether a failed try is made again, and when.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Tries beyond the first that one backend gets for one request.
pub const MAX_RETRIES: u32 = 2;

/// The longest `Retry-After` that is believed.
pub const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// Why a try failed before its answer's first byte was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptFailure {
    /// No connection.
    Connect,
    /// A bound in time was passed.
    TimedOut,
    /// What came was not a usable answer, or broke off.
    Broken,
    /// The request cannot be sent to this backend at all.
    Unaskable,
    /// A status other than 2xx.
    Status {
        /// It.
        status: u16,
        /// How long the backend wants to be left alone.
        retry_after: Option<Duration>,
    },
}

impl AttemptFailure {
    /// The same backend may do better in a moment.
    pub const fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::Status {
                    status: 429 | 502 | 503 | 504,
                    ..
                }
        )
    }

    /// Another backend may do better. Not where the request itself was found at fault.
    pub const fn may_fall_back(self) -> bool {
        !matches!(
            self,
            Self::Status {
                status: 400 | 413 | 414 | 415 | 422,
                ..
            }
        )
    }

    /// It says that the backend is ill. A refusal (4xx, redirect) is an answer of a healthy one.
    pub const fn counts_against_backend(self) -> bool {
        match self {
            Self::Connect | Self::TimedOut | Self::Broken => true,
            Self::Unaskable => false,
            Self::Status { status, .. } => status >= 500,
        }
    }

    /// In one word, for metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::TimedOut => "timeout",
            Self::Broken => "broken",
            Self::Unaskable => "unaskable",
            Self::Status { .. } => "status",
        }
    }
}

/// When to try the same backend again; `None`: not at all.
///
/// `retries_done` is how many there were, `time_left` what remains of the request's time until a
/// first byte, `jitter` a random number from 0 to 1. Half of a wait is fixed, half is jitter.
pub fn next_retry(
    failure: AttemptFailure,
    retries_done: u32,
    time_left: Duration,
    jitter: f64,
) -> Option<Duration> {
    if !failure.is_retryable() || retries_done >= MAX_RETRIES {
        return None;
    }
    let whole = FIRST_BACKOFF * 4_u32.saturating_pow(retries_done);
    let backoff = whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
    let wait = match failure {
        AttemptFailure::Status {
            retry_after: Some(asked),
            ..
        } => backoff.max(asked),
        _ => backoff,
    };
    (wait < time_left).then_some(wait)
}

/// Reads `Retry-After`: seconds, or an HTTP date. Garbage says nothing; at most an hour counts.
pub fn parse_retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit: a very long time.
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    let wait = (date.with_timezone(&Utc) - now).to_std();
    Some(wait.unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// Keeps retries from multiplying the load on a backend that is in trouble.
///
/// Each request pays in a fifth of a retry, and ten retries a second are free; up to ten seconds'
/// worth of the free ones is kept.
#[derive(Debug)]
pub struct RetryBudget {
    tokens: f64,
    refilled_at: DateTime<Utc>,
}

impl RetryBudget {
    const PER_REQUEST: f64 = 0.2;
    const PER_SECOND: f64 = 10.0;
    const MOST: f64 = 100.0;

    /// A full budget.
    pub const fn new(now: DateTime<Utc>) -> Self {
        Self {
            tokens: Self::MOST,
            refilled_at: now,
        }
    }

    /// A request comes in.
    pub fn deposit(&mut self) {
        self.tokens = (self.tokens + Self::PER_REQUEST).min(Self::MOST);
    }

    /// Takes one retry out, where there is one.
    pub fn withdraw(&mut self, now: DateTime<Utc>) -> bool {
        let passed = (now - self.refilled_at).to_std().unwrap_or_default();
        self.refilled_at = now;
        self.tokens = (self.tokens + passed.as_secs_f64() * Self::PER_SECOND).min(Self::MOST);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    fn now() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(1994, 11, 6, 8, 49, 37).unwrap()
    }

    fn status(status: u16, retry_after: Option<u64>) -> AttemptFailure {
        AttemptFailure::Status {
            status,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_date_and_clamped() {
        for (value, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("999999", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Some(3600)),
            ("", None),
            ("-3", None),
            ("1.5", None),
            ("soon", None),
            ("\u{0663}", None),
        ] {
            let parsed = parse_retry_after(value, now());
            assert_eq!(parsed, expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn only_connect_errors_and_busy_answers_are_tried_again() {
        for failure in [
            AttemptFailure::Connect,
            status(429, None),
            status(503, None),
        ] {
            assert!(next_retry(failure, 0, LONG, 0.5).is_some(), "{failure:?}");
        }
        for failure in [
            AttemptFailure::TimedOut,
            AttemptFailure::Broken,
            AttemptFailure::Unaskable,
            status(500, None),
            status(401, None),
            status(302, None),
        ] {
            assert_eq!(next_retry(failure, 0, LONG, 0.5), None, "{failure:?}");
        }
    }

    #[test]
    fn waits_grow_within_their_jitter_and_end_after_two() {
        let wait = |done, jitter| next_retry(AttemptFailure::Connect, done, LONG, jitter);
        assert_eq!(wait(0, 0.0), Some(Duration::from_millis(50)));
        assert_eq!(wait(0, 1.0), Some(Duration::from_millis(100)));
        assert_eq!(wait(1, 1.0), Some(Duration::from_millis(400)));
        assert_eq!(wait(2, 0.0), None);
    }

    #[test]
    fn a_wait_that_the_request_has_no_time_for_is_not_made() {
        let busy = status(503, Some(5));
        assert_eq!(next_retry(busy, 0, LONG, 0.0), Some(Duration::from_secs(5)));
        assert_eq!(next_retry(busy, 0, Duration::from_secs(5), 0.0), None);
    }

    #[test]
    fn a_refusal_of_the_request_itself_does_not_fall_back_and_is_no_illness() {
        assert!(!status(400, None).may_fall_back());
        assert!(status(401, None).may_fall_back());
        assert!(!status(401, None).counts_against_backend());
        assert!(status(500, None).counts_against_backend());
    }

    #[test]
    fn the_budget_runs_dry_and_fills_with_time_and_requests() {
        let mut budget = RetryBudget::new(now());
        assert_eq!((0..500).filter(|_| budget.withdraw(now())).count(), 100);
        for _ in 0..5 {
            budget.deposit();
        }
        assert!(budget.withdraw(now()));
        let later = now() + Duration::from_secs(1);
        assert_eq!((0..500).filter(|_| budget.withdraw(later)).count(), 10);
    }
}
