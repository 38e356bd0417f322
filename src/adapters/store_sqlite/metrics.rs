//! The store's metrics, by name.

use postroom_actors::domain::metric::{Buckets, Metric, MetricUnit};

/// From the start of a transaction until it is synced.
pub(super) const COMMIT_DURATION: &str = "postroom_store_commit_duration_seconds";
/// The COMMIT alone of a transaction that is synced.
pub(super) const SYNC_DURATION: &str = "postroom_store_sync_seconds";
/// Changes committed by one transaction.
pub(super) const COMMIT_BATCH_SIZE: &str = "postroom_store_commit_batch_size";
/// Changes that wait for the writer.
pub(super) const QUEUE_DEPTH: &str = "postroom_store_queue_depth";
/// Failed commits and reads.
pub(super) const ERRORS: &str = "postroom_store_errors_total";
/// Whether the store takes changes.
pub(super) const STATE: &str = "postroom_store_state";
/// From the start of a checkpoint until it is done.
pub(super) const CHECKPOINT_DURATION: &str = "postroom_store_checkpoint_duration_seconds";

/// What is counted about the store.
pub const METRICS: &[Metric] = &[
    Metric::seconds(
        COMMIT_DURATION,
        &[],
        "Time of one group commit of the store, fsync included",
    ),
    Metric::seconds(
        SYNC_DURATION,
        &[],
        "Time of the COMMIT alone, of group commits that are synced",
    ),
    Metric::histogram(
        COMMIT_BATCH_SIZE,
        Buckets::Counts,
        &[],
        "Changes that one group commit of the store carried",
    ),
    Metric::gauge(QUEUE_DEPTH, &[], "Changes that wait for the store's writer"),
    Metric::counter(
        ERRORS,
        &["kind"],
        "Failures of the store: full, io, busy, read",
    ),
    Metric::gauge(
        STATE,
        &[],
        "State of the store: 0 writes, 1 disk full, 2 cannot write",
    ),
    Metric::histogram(
        CHECKPOINT_DURATION,
        Buckets::Seconds,
        &[],
        "Time of copying the store's write-ahead log into its database",
    )
    .unit(MetricUnit::Seconds),
];
