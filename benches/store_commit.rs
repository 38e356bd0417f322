//! How many messages a second the store keeps, each accept resolved after its fsync.
//!
//! `POSTROOM_BENCH_DIR` names a folder on the disk that is to be measured; default: the system's
//! temporary folder. Percentiles and the rate are printed once more by hand, because Criterion
//! shows means only.

#![expect(
    clippy::expect_used,
    reason = "a measurement that cannot be set up is worth nothing"
)]
#![expect(
    clippy::print_stdout,
    reason = "the percentiles are for whoever started it"
)]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use postroom::adapters::store_sqlite::{SqliteStore, StoreLimits};
use postroom_actors::{
    domain::{
        envelope::{InboxForm, StoredMessage},
        ids::{ContextId, MessageId},
    },
    ports::{Clock, MessageStore},
};
use tokio::{runtime::Runtime, time::Instant};
use uuid::Uuid;

const CONTEXTS: u64 = 200;
const BIG_BODY: usize = 60_000;

struct BenchClock;

impl Clock for BenchClock {
    fn now(&self) -> DateTime<Utc> {
        at(0)
    }
}

/// A minute in 2026, plus so many milliseconds.
fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_795_000_000_000_i64.saturating_add(millis))
        .unwrap_or_default()
}

#[derive(Clone, Copy)]
enum Shape {
    /// Some 300 bytes in all, no body.
    Small,
    /// The same with a body of 60 KB.
    Big,
}

/// One store, and the numbers of the messages that it has been given.
struct Rig {
    store: SqliteStore,
    next: AtomicU64,
    body: Bytes,
    prompt: Arc<str>,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let parent =
            std::env::var_os("POSTROOM_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::tempdir_in(parent).expect("a folder to measure in");
        let store = SqliteStore::open(
            &folder.path().join("store"),
            &folder.path().join("inbox"),
            Arc::new(BenchClock),
            StoreLimits::default(),
        )
        .expect("a fresh store");
        let text: String = (0..BIG_BODY).map(|_| fastrand::alphanumeric()).collect();
        Self {
            store,
            next: AtomicU64::new(0),
            body: Bytes::from(text),
            prompt: "what does the weather do tomorrow? ".repeat(8).into(),
            _folder: folder,
        }
    }

    fn message(&self, shape: Shape) -> Arc<StoredMessage> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let received_at = DateTime::checked_add_signed(
            at(0),
            TimeDelta::milliseconds(i64::try_from(number / 10).unwrap_or(0)),
        )
        .unwrap_or_default();
        let millis = u128::try_from(received_at.timestamp_millis()).unwrap_or(0);
        let id = (millis << 80) | (0x7 << 76) | (0b10 << 62) | u128::from(number);
        Arc::new(StoredMessage {
            traceparent: None,
            id: MessageId::new(Uuid::from_u128(id)),
            received_at,
            context_id: Some(ContextId::new(format!("telegram:{}", number % CONTEXTS))),
            prompt: Some(Arc::clone(&self.prompt)),
            form: match shape {
                Shape::Small => InboxForm::Repeat,
                Shape::Big => InboxForm::Whole,
            },
            body: match shape {
                Shape::Small => None,
                Shape::Big => Some(self.body.clone()),
            },
            reply_due: None,
        })
    }

    /// Accepts one message, and every tenth time marks ten of them as written.
    async fn accept(&self, shape: Shape) -> Duration {
        let message = self.message(shape);
        let started = Instant::now();
        let sequence = self.store.accept(message).await.expect("a healthy disk");
        let took = started.elapsed();
        if sequence.0 % 10 == 0 {
            let written = (sequence.0.saturating_sub(9)..=sequence.0)
                .map(postroom_actors::domain::envelope::Sequence)
                .collect();
            drop(self.store.mark_projected(written));
        }
        took
    }

    /// `total` messages, `in_flight` at a time.
    async fn run(&self, shape: Shape, in_flight: u64, total: u64) -> Vec<Duration> {
        let left = AtomicU64::new(total);
        let clients = (0..in_flight).map(|_client| async {
            let mut took = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
            {
                took.push(self.accept(shape).await);
            }
            took
        });
        join_all(clients).await.into_iter().flatten().collect()
    }
}

fn report(runtime: &Runtime, rig: &Rig, name: &str, shape: Shape, in_flight: u64) {
    let total = match shape {
        Shape::Small => 1_500 * in_flight.min(40),
        Shape::Big => 500 * in_flight.min(16),
    };
    let started = Instant::now();
    let mut took = runtime.block_on(rig.run(shape, in_flight, total));
    let seconds = started.elapsed().as_secs_f64();
    took.sort_unstable();
    let per_cent = |share: usize| {
        took.get(took.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{name} x{in_flight}: {:.0}/s, p50 {:?}, p99 {:?}, longest {:?}",
        f64::from(u32::try_from(total).unwrap_or(0)) / seconds,
        per_cent(50),
        per_cent(99),
        took.last().copied().unwrap_or_default(),
    );
}

fn accept(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for (name, shape) in [("small", Shape::Small), ("big", Shape::Big)] {
        let mut group = criterion.benchmark_group(format!("store_accept_{name}"));
        group
            .sample_size(10)
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(2))
            .throughput(Throughput::Elements(1));
        for in_flight in [1, 16, 64] {
            let rig = Rig::new();
            report(&runtime, &rig, name, shape, in_flight);
            group.bench_function(BenchmarkId::from_parameter(in_flight), |bencher| {
                bencher.iter_custom(|messages| {
                    let started = Instant::now();
                    runtime.block_on(rig.run(shape, in_flight, messages));
                    started.elapsed()
                });
            });
            runtime.block_on(rig.store.close(Duration::from_secs(10)));
        }
        group.finish();
    }
}

criterion_group!(benches, accept);
criterion_main!(benches);
