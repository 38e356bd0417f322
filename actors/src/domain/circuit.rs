//! A circuit breaker: a dead backend costs its time-out once, not every time.
