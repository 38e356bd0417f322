//! Metrics that nobody counts as it happens: looked at every now and then.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix_web::web;
use postroom_actors::{
    domain::metric::{Metric, MetricUnit},
    ports::StoreStats,
};

use crate::{
    adapters::disk,
    http::{SharedState, disks::Disks, traffic},
    settings::Settings,
    telemetry,
};

const MESSAGES: &str = "postroom_store_messages";
const PENDING: &str = "postroom_store_pending_inbox";
const USED: &str = "postroom_store_used_bytes";
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
    Metric::gauge(
        USED,
        &[],
        "Bytes of the store that hold something; `store.max_size` bounds these",
    )
    .unit(MetricUnit::Bytes),
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

/// Starts the tasks on this thread's arbiter.
pub(super) fn start(settings: &Settings, shared: &web::Data<SharedState>) {
    actix_rt::spawn(traffic::keep_sampling(shared.clone()));
    actix_rt::spawn(keep_metrics(shared.clone()));
    actix_rt::spawn(watch_disks(disks(settings), shared.disks.clone()));
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
async fn watch_disks(disks: Arc<[Disk]>, seen: Disks) {
    let mut interval = tokio::time::interval(SHORT_INTERVAL);
    loop {
        interval.tick().await;
        let (disks, seen) = (Arc::clone(&disks), seen.clone());
        let looked = web::block(move || disks.iter().for_each(|disk| disk.show(&seen)));
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
    fn show(&self, seen: &Disks) {
        match disk::space(&self.path) {
            Ok(space) => {
                seen.note(self.name, space.free_bytes);
                metrics::gauge!(DISK_FREE, "disk" => self.name)
                    .set(approximately(space.free_bytes));
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
    metrics::gauge!(USED).set(approximately(stats.used_bytes));
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
