//! What is done every now and then: old messages pruned, metrics kept tidy.

use std::{sync::Arc, time::Duration};

use actix_web::web;
use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusHandle;
use postroom_actors::ports::{Clock, MessageStore, StoreStats};

use crate::{
    http::{SharedState, traffic},
    settings::Settings,
};

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
    actix_rt::spawn(keep_metrics(
        shared.metrics.clone(),
        Arc::clone(&shared.store),
    ));
    actix_rt::spawn(traffic::keep_sampling(shared.clone()));
    actix_rt::spawn(keep_pruned(
        Arc::clone(&shared.store),
        Arc::clone(&shared.clock),
        settings.store.retention,
    ));
}

async fn keep_metrics(metrics: PrometheusHandle, store: Arc<dyn MessageStore>) {
    let mut interval = tokio::time::interval(SHORT_INTERVAL);
    loop {
        interval.tick().await;
        metrics.run_upkeep();
        if let Ok(stats) = store.stats().await {
            show(stats);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "gauges are approximate"
)]
fn show(stats: StoreStats) {
    metrics::gauge!("postroom_store_messages").set(stats.messages as f64);
    metrics::gauge!("postroom_store_pending_inbox").set(stats.pending_inbox as f64);
    metrics::gauge!("postroom_store_bytes").set(stats.size_bytes as f64);
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
