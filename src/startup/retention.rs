//! What is removed every now and then: what is old, and what is done where the store is too large.

use std::{sync::Arc, time::Duration};

use actix_web::web;
use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::{
    domain::{metric::Metric, retention::gives_back},
    ports::{Clock, MessageStore, SendFuture, StoreError},
};

use crate::{adapters::workspaces::AgentReplies, http::SharedState, settings::Settings};

const PRUNED: &str = "postroom_store_pruned_total";

/// What is counted of it.
pub const METRICS: &[Metric] = &[Metric::counter(
    PRUNED,
    &["reason"],
    "Messages, tasks, deliveries and turns that were removed: age, size",
)];

/// Between two looks at the size of the store.
const INTERVAL: Duration = Duration::from_secs(5);

/// Looks at the store's size between two rounds of pruning by age: ten minutes.
const LOOKS_A_ROUND: u32 = 120;

/// Rows pruned in one commit: small steps, so that accepting never waits long.
const PRUNE_STEP: usize = 500;

/// Pages given back in one commit: 1 MiB.
const PAGES_STEP: usize = 64;

/// Between two steps of one round.
const PAUSE: Duration = Duration::from_millis(50);

/// Starts the task on this thread's arbiter.
pub(super) fn start(settings: &Settings, shared: &web::Data<SharedState>) {
    let retention = Retention {
        store: Arc::clone(&shared.store),
        clock: Arc::clone(&shared.clock),
        replies: AgentReplies::new(settings.home.clone()),
        kept: TimeDelta::from_std(settings.store.retention).unwrap_or(TimeDelta::MAX),
        max_size: settings.store.max_size,
    };
    actix_rt::spawn(retention.keep());
}

/// Removes what is old, and what is done where the store is too large.
struct Retention {
    store: Arc<dyn MessageStore>,
    clock: Arc<dyn Clock>,
    replies: AgentReplies,
    kept: TimeDelta,
    max_size: Option<u64>,
}

impl Retention {
    async fn keep(self) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut look: u32 = 0;
        loop {
            interval.tick().await;
            if look.is_multiple_of(LOOKS_A_ROUND) {
                self.prune_by_age().await;
            }
            look = look.wrapping_add(1);
            if let Some(max_size) = self.max_size {
                self.prune_to_size(max_size).await;
            }
            self.give_back().await;
        }
    }

    async fn prune_by_age(&self) {
        let Some(before) = self.clock.now().checked_sub_signed(self.kept) else {
            return;
        };
        round("age", || self.store.prune(before, PRUNE_STEP)).await;
        self.prune_replies(before).await;
    }

    async fn prune_to_size(&self, max_size: u64) {
        let step = || self.store.prune_to_size(max_size, PRUNE_STEP);
        round("size", step).await;
    }

    async fn prune_replies(&self, before: DateTime<Utc>) {
        match self.replies.remove_older(before).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old answers of agents removed"),
            Err(error) => tracing::warn!(%error, "cannot remove old answers of agents now"),
        }
    }

    /// Until what is free is worth no more steps, or there is nothing that can be given.
    async fn give_back(&self) {
        let mut given: usize = 0;
        while let Ok(stats) = self.store.stats().await
            && gives_back(stats.used_bytes, stats.free_bytes)
        {
            match self.store.give_back(PAGES_STEP).await {
                Ok(pages) if pages > 0 => given = given.saturating_add(pages),
                _ => break,
            }
            tokio::time::sleep(PAUSE).await;
        }
        if given > 0 {
            tracing::info!(
                pages = given,
                "free room of the store given back to the disk"
            );
        }
    }
}

/// Steps until one finds nothing more; tells how much was removed, once.
async fn round(reason: &'static str, step: impl Fn() -> SendFuture<Result<usize, StoreError>>) {
    let mut pruned: usize = 0;
    loop {
        match step().await {
            Ok(0) => break,
            Ok(removed) => pruned = pruned.saturating_add(removed),
            Err(error) => {
                tracing::warn!(%error, "cannot prune the store now");
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    if pruned > 0 {
        let count = u64::try_from(pruned).unwrap_or(u64::MAX);
        metrics::counter!(PRUNED, "reason" => reason).increment(count);
        tracing::info!(pruned, reason, "old messages, tasks and turns removed");
    }
}
