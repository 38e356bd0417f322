//! What went through the door in the last half hour, for the plots of the dashboard.
//!
//! Handlers raise two counters a request. Every ten seconds a task notes how far these and those of
//! the actors have come.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::web;
use chrono::{DateTime, Utc};

use super::SharedState;

/// Between two samples.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);

/// Samples that are kept: half an hour.
pub(super) const KEPT: usize = 180;

/// Times below this many microseconds have a counter each; above, there are four for each doubling.
const EXACT: u64 = 16;

/// Counters of times: up to 36 minutes.
const BUCKETS: usize = 128;

/// Requests and their times, counted since the start, and the samples.
#[derive(Debug)]
pub struct Traffic {
    accepted: AtomicU64,
    refused: AtomicU64,
    times: [AtomicU64; BUCKETS],
    samples: Mutex<Samples>,
}

#[derive(Debug, Default)]
struct Samples {
    kept: VecDeque<Sample>,
    before: Counts,
}

#[derive(Debug, Clone)]
struct Counts {
    accepted: u64,
    refused: u64,
    times: [u64; BUCKETS],
}

/// What came in ten seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    /// When it was taken.
    pub(super) at: DateTime<Utc>,
    /// Requests that were taken.
    pub(super) accepted: u64,
    /// Requests that were refused.
    pub(super) refused: u64,
    /// Half of them took no longer; `None` where none came.
    pub(super) median: Option<Duration>,
    /// 95 of 100 took no longer.
    pub(super) slow: Option<Duration>,
    /// Messages that each actor had taken by then, since the start.
    pub(super) taken: Vec<(&'static str, u64)>,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            times: [const { AtomicU64::new(0) }; BUCKETS],
            samples: Mutex::default(),
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            accepted: 0,
            refused: 0,
            times: [0; BUCKETS],
        }
    }
}

impl Traffic {
    /// Notes a request that was answered.
    pub(super) fn note(&self, is_accepted: bool, took: Duration) {
        let counter = if is_accepted {
            &self.accepted
        } else {
            &self.refused
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = self.times.get(bucket_of(took)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a sample.
    fn sample(&self, at: DateTime<Utc>, taken: Vec<(&'static str, u64)>) {
        let now = self.counts();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut samples.before, now.clone());
        let mut times = now.times;
        for (time, before) in times.iter_mut().zip(before.times) {
            *time = time.saturating_sub(before);
        }
        if samples.kept.len() >= KEPT {
            samples.kept.pop_front();
        }
        samples.kept.push_back(Sample {
            at,
            accepted: now.accepted.saturating_sub(before.accepted),
            refused: now.refused.saturating_sub(before.refused),
            median: quantile(&times, 50),
            slow: quantile(&times, 95),
            taken,
        });
    }

    /// The samples, oldest first.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.kept.iter().cloned().collect()
    }

    fn counts(&self) -> Counts {
        let mut times = [0; BUCKETS];
        for (time, counter) in times.iter_mut().zip(&self.times) {
            *time = counter.load(Ordering::Relaxed);
        }
        Counts {
            accepted: self.accepted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            times,
        }
    }
}

fn bucket_of(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let bucket = if micros < EXACT {
        micros
    } else {
        let doublings = u64::from(micros.ilog2());
        let quarter = (micros >> (doublings - 2)) & 3;
        EXACT + (doublings - 4) * 4 + quarter
    };
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The least time that belongs to a later bucket.
fn end_of(bucket: usize) -> Duration {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    let micros = if bucket < EXACT {
        bucket + 1
    } else {
        let beyond = bucket - EXACT;
        let doublings = beyond / 4 + 4;
        (beyond % 4 + 5) << (doublings - 2)
    };
    Duration::from_micros(micros)
}

/// The time that so many of a hundred did not take longer than.
fn quantile(times: &[u64; BUCKETS], of_hundred: u64) -> Option<Duration> {
    let all: u64 = times.iter().sum();
    let wanted = (all * of_hundred).div_ceil(100);
    let mut seen = 0;
    let reached = times.iter().position(|count| {
        seen += count;
        seen >= wanted
    });
    reached.filter(|_| all > 0).map(end_of)
}

/// Takes a sample every ten seconds, for as long as the service runs.
pub async fn keep_sampling(shared: web::Data<SharedState>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        shared.traffic.sample(shared.clock.now(), taken(&shared));
    }
}

/// What each actor has taken since the start.
pub(super) fn taken(shared: &SharedState) -> Vec<(&'static str, u64)> {
    [
        (shared.router.name(), shared.router.depth()),
        (shared.inbox_writer.name(), shared.inbox_writer.depth()),
        (shared.backend_relay.name(), shared.backend_relay.depth()),
        (shared.directory.name(), shared.directory.depth()),
        (shared.courier.name(), shared.courier.depth()),
    ]
    .map(|(name, depth)| (name, depth.taken_so_far()))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_900_000_000 + second, 0).unwrap()
    }

    #[test]
    fn a_sample_tells_what_came_since_the_one_before() {
        let traffic = Traffic::default();
        traffic.sample(at(0), Vec::new());
        for millis in 1..=100 {
            traffic.note(true, Duration::from_millis(millis));
        }
        traffic.note(false, Duration::ZERO);
        traffic.sample(at(10), vec![("router", 7)]);
        traffic.sample(at(20), Vec::new());
        let samples = traffic.samples();
        assert_eq!((samples[1].accepted, samples[1].refused), (100, 1));
        assert_eq!(samples[1].taken, [("router", 7)]);
        let near = |time: Option<Duration>, millis: u64| {
            let time = time.unwrap();
            time >= Duration::from_millis(millis) && time <= Duration::from_millis(millis * 4 / 3)
        };
        assert!(
            near(samples[1].median, 50) && near(samples[1].slow, 95),
            "{samples:?}"
        );
        for quiet in [&samples[0], &samples[2]] {
            assert_eq!((quiet.accepted, quiet.refused, quiet.median), (0, 0, None));
        }
    }

    #[test]
    fn each_time_lies_before_the_end_of_its_bucket_and_not_before_the_end_of_the_last() {
        for micros in (0..5000).chain([1 << 20, (1 << 31) - 1]) {
            let took = Duration::from_micros(micros);
            let bucket = bucket_of(took);
            assert!(took < end_of(bucket), "{micros}");
            assert!(bucket == 0 || took >= end_of(bucket - 1), "{micros}");
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn half_an_hour_is_kept() {
        let traffic = Traffic::default();
        for number in 0..KEPT + 5 {
            traffic.sample(at(i64::try_from(number).unwrap()), Vec::new());
        }
        let samples = traffic.samples();
        assert_eq!((samples.len(), samples[0].at), (KEPT, at(5)));
    }
}
