//! The one place that reads the wall clock, and makes ids from it.

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::ids::MessageId,
    ports::{Clock, IdSource},
};
use uuid::{ContextV7, Timestamp, Uuid};

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everyone else is given"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// UUIDs of version 7: ascending within a process, random enough between them.
#[derive(Debug, Default)]
pub struct UuidSource(std::sync::Mutex<ContextV7>);

impl IdSource for UuidSource {
    fn message_id(&self, now: DateTime<Utc>) -> MessageId {
        let context = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
        let timestamp = Timestamp::from_unix(&*context, seconds, now.timestamp_subsec_nanos());
        MessageId::new(Uuid::new_v7(timestamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_even_when_the_clock_goes_back() {
        let ids = UuidSource::default();
        let now = SystemClock.now();
        let first = ids.message_id(now);
        let earlier = ids.message_id(now - chrono::TimeDelta::hours(1));
        assert_ne!(first, earlier);
        let same_instant: Vec<_> = (0..1000).map(|_| ids.message_id(now)).collect();
        assert!(same_instant.is_sorted());
        assert!(same_instant.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
