//! When a turn was last heard of.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Utc};

/// When a running turn last gave a sign of life; shared by its supervisor and whoever follows it.
#[derive(Debug, Clone)]
pub(super) struct Heard(Arc<AtomicI64>);

impl Heard {
    /// A turn that begins at this time.
    pub(super) fn at(began: DateTime<Utc>) -> Self {
        Self(Arc::new(AtomicI64::new(began.timestamp_millis())))
    }

    /// It has given one.
    pub(super) fn now(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp_millis(), Ordering::Relaxed);
    }

    /// When that was, to the millisecond.
    pub(super) fn last(&self) -> DateTime<Utc> {
        let milliseconds = self.0.load(Ordering::Relaxed);
        DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
    }
}
