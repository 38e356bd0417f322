//! When a turn has had its time.

use std::time::Duration;

use postroom_actors::domain::agent::TurnLimits;
use tokio::time::Instant;

use super::ending::Cause;

/// How much longer than its grace a runner may take to end a turn, before it is ended from outside.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Longer than any turn.
const A_YEAR: Duration = Duration::from_hours(365 * 24);

/// The limits of a turn that runs.
#[derive(Debug)]
pub(super) struct Limits {
    settings: TurnLimits,
    started: Instant,
    last_heard: Instant,
    /// When the runner must have ended it; `None` while nobody has asked for it.
    patience_until: Option<Instant>,
}

impl Limits {
    pub(super) const fn new(settings: TurnLimits, now: Instant) -> Self {
        Self {
            settings,
            started: now,
            last_heard: now,
            patience_until: None,
        }
    }

    /// It printed something, or we could not listen until now.
    pub(super) fn something_was_heard(&mut self) {
        self.last_heard = Instant::now();
    }

    /// The runner was asked to end it.
    pub(super) fn was_asked_to_end(&mut self) {
        self.patience_until = Some(after(Instant::now(), self.settings.grace + PATIENCE));
    }

    /// Its own process has ended, the rest follows.
    pub(super) fn has_left(&mut self) {
        self.patience_until = Some(after(Instant::now(), PATIENCE));
    }

    /// When to look again.
    pub(super) fn next(&self) -> Instant {
        self.patience_until.unwrap_or_else(|| {
            let whole = after(self.started, self.settings.whole);
            self.idle_at().map_or(whole, |idle| idle.min(whole))
        })
    }

    /// The limit that has passed while nobody had asked the turn to end.
    pub(super) fn passed(&self) -> Option<Cause> {
        let now = Instant::now();
        if self.patience_until.is_some() {
            None
        } else if after(self.started, self.settings.whole) <= now {
            Some(Cause::WholeLimit(self.settings.whole))
        } else if self.idle_at().is_some_and(|at| at <= now) {
            Some(Cause::IdleLimit(self.settings.idle))
        } else {
            None
        }
    }

    /// Whether the runner had its time to end the turn.
    pub(super) fn is_out_of_patience(&self) -> bool {
        self.patience_until.is_some_and(|at| at <= Instant::now())
    }

    fn idle_at(&self) -> Option<Instant> {
        (!self.settings.idle.is_zero()).then(|| after(self.last_heard, self.settings.idle))
    }
}

fn after(start: Instant, time: Duration) -> Instant {
    start.checked_add(time).unwrap_or(start + A_YEAR)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn limits(whole: u64, idle: u64) -> Limits {
        let settings = TurnLimits {
            whole: Duration::from_secs(whole),
            idle: Duration::from_secs(idle),
            grace: Duration::from_secs(3),
        };
        Limits::new(settings, Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn output_puts_off_the_idle_limit_but_not_the_whole_one() {
        let mut limits = limits(10, 4);
        advance(Duration::from_secs(3)).await;
        limits.something_was_heard();
        advance(Duration::from_secs(3)).await;
        assert_eq!(limits.passed(), None);
        advance(Duration::from_secs(1)).await;
        assert!(matches!(limits.passed(), Some(Cause::IdleLimit(_))));
        limits.something_was_heard();
        advance(Duration::from_secs(3)).await;
        assert!(matches!(limits.passed(), Some(Cause::WholeLimit(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_no_idle_limit_and_the_longest_time_no_panic() {
        let mut limits = limits(u64::MAX, 0);
        advance(Duration::from_secs(1_000_000)).await;
        assert_eq!(limits.passed(), None);
        limits.was_asked_to_end();
        assert!(!limits.is_out_of_patience());
        advance(Duration::from_secs(5)).await;
        assert!(limits.is_out_of_patience());
        assert_eq!(limits.passed(), None);
    }
}
