//! What is done every now and then: old messages pruned, metrics kept tidy.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix_web::web;
use chrono::TimeDelta;
use postroom_actors::{
    domain::metric::{Metric, MetricUnit},
    ports::{Clock, MessageStore, StoreStats},
};

use crate::{http::SharedState, settings::Settings, telemetry};

const MESSAGES: &str = "postroom_store_messages";
const PENDING: &str = "postroom_store_pending_inbox";
const STORE_BYTES: &str = "postroom_store_bytes";
const DISK_FREE: &str = "postroom_disk_free_bytes";

/// What is looked at every 5 s.
pub const METRICS: &[Metric] = &[
    Metric::gauge(MESSAGES, &[], "Messages in the store, done ones included"),
    Metric::gauge(
        PENDING,
        &[],
        "Messages in the store that wait for their inbox file",
    ),
    Metric::gauge(STORE_BYTES, &[], "Size of the store on disk").unit(MetricUnit::Bytes),
    Metric::gauge(
        DISK_FREE,
        &["disk"],
        "Room on the disk of store, inbox and home that is left for us",
    )
    .unit(MetricUnit::Bytes),
];

/// Between two looks at the metrics and the size of the store.
const SHORT_INTERVAL: Duration = Duration::from_secs(5);

/// Between two rounds of pruning.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// Messages pruned in one commit: small steps, so that accepting never waits long.
const PRUNE_STEP: usize = 500;

/// Between two steps of one round.
const PRUNE_PAUSE: Duration = Duration::from_millis(50);

/// Starts the tasks on this thread's arbiter.
pub(super) fn start(settings: &Settings, shared: &web::Data<SharedState>) {
    actix_rt::spawn(keep_metrics(shared.clone()));
    actix_rt::spawn(watch_disks(disks(settings)));
    actix_rt::spawn(keep_pruned(
        Arc::clone(&shared.store),
        Arc::clone(&shared.clock),
        settings.store.retention,
    ));
}

/// Whatever hangs, what was measured is put together: otherwise it would pile up.
async fn keep_metrics(shared: web::Data<SharedState>) {
    let mut interval = tokio::time::interval(SHORT_INTERVAL);
    loop {
        interval.tick().await;
        if let Ok(stats) = shared.store.stats().await {
            show(stats);
        }
        let sheet = shared.tally.tally_sheet(shared.clock.now());
        if let Ok(Ok(sheet)) = tokio::time::timeout(SHORT_INTERVAL, sheet).await {
            telemetry::show_kept(&sheet);
        }
        let metrics = shared.metrics.clone();
        // It takes a while after a busy time: not on the thread of the actors.
        if web::block(move || metrics.run_upkeep()).await.is_err() {
            return;
        }
    }
}

/// Apart from all else: a dead mount may never answer.
async fn watch_disks(disks: Arc<[Disk]>) {
    let mut interval = tokio::time::interval(SHORT_INTERVAL);
    loop {
        interval.tick().await;
        let disks = Arc::clone(&disks);
        let looked = web::block(move || disks.iter().for_each(Disk::show));
        if looked.await.is_err() {
            return;
        }
    }
}

/// A disk whose room is watched.
struct Disk {
    name: &'static str,
    path: PathBuf,
}

impl Disk {
    fn show(&self) {
        match rustix::fs::statvfs(&self.path) {
            Ok(disk) => {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                metrics::gauge!(DISK_FREE, "disk" => self.name).set(approximately(free));
            }
            // Whoever needs the folder says more of it.
            Err(error) => tracing::debug!(disk = self.name, %error, "cannot look at a disk"),
        }
    }
}

fn disks(settings: &Settings) -> Arc<[Disk]> {
    let disk = |name, path: &Path| Disk {
        name,
        path: path.to_owned(),
    };
    Arc::new([
        disk("store", &settings.store.path),
        disk("inbox", &settings.mailbox.inbox),
        disk("home", &settings.home),
    ])
}

fn show(stats: StoreStats) {
    metrics::gauge!(MESSAGES).set(approximately(stats.messages));
    metrics::gauge!(PENDING).set(approximately(stats.pending_inbox));
    metrics::gauge!(STORE_BYTES).set(approximately(stats.size_bytes));
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "gauges are approximate"
)]
const fn approximately(number: u64) -> f64 {
    number as f64
}

async fn keep_pruned(store: Arc<dyn MessageStore>, clock: Arc<dyn Clock>, retention: Duration) {
    let retention = TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX);
    let mut interval = tokio::time::interval(PRUNE_INTERVAL);
    loop {
        interval.tick().await;
        let Some(before) = clock.now().checked_sub_signed(retention) else {
            return;
        };
        loop {
            match store.prune(before, PRUNE_STEP).await {
                Ok(0) => break,
                Ok(pruned) => tracing::debug!(pruned, "old messages pruned"),
                Err(error) => {
                    tracing::warn!(%error, "cannot prune old messages now");
                    break;
                }
            }
            tokio::time::sleep(PRUNE_PAUSE).await;
        }
    }
}
