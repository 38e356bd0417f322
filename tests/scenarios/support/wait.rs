//! Waiting for something to become true, with a deadline.

use std::{fmt::Debug, time::Duration};

/// How long a test waits for what should happen within milliseconds, or within seconds where a real
/// agent CLI starts on a busy machine.
pub const DEADLINE: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(5);

/// Waits until `look` gives what `is_good` accepts, and returns it; a failure prints the last look.
pub async fn until<T: Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    is_good: impl Fn(&T) -> bool,
) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let seen = look();
        if is_good(&seen) {
            return seen;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "never saw {what}; last: {seen:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// As [`until`], for what must be asked for.
pub async fn until_async<T: Debug>(
    what: &str,
    mut look: impl AsyncFnMut() -> T,
    is_good: impl Fn(&T) -> bool,
) -> T {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let seen = look().await;
        if is_good(&seen) {
            return seen;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "never saw {what}; last: {seen:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}
