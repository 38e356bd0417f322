//! The store's metrics, by name.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// From the start of a transaction until it is synced.
pub(super) const COMMIT_DURATION: &str = "postroom_store_commit_duration_seconds";
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

/// Bytes that hold something.
const USED: &str = "postroom_store_used_bytes";
/// Messages, tasks, deliveries and turns removed.
const PRUNED: &str = "postroom_store_pruned_total";

/// Tells the metrics recorder what the store's metrics mean. Call it once, at start.
pub fn describe() {
    describe_histogram!(
        COMMIT_DURATION,
        Unit::Seconds,
        "Time of one group commit of the store, fsync included"
    );
    describe_histogram!(
        COMMIT_BATCH_SIZE,
        Unit::Count,
        "Changes that one group commit of the store carried"
    );
    describe_gauge!(
        QUEUE_DEPTH,
        Unit::Count,
        "Changes that wait for the store's writer"
    );
    describe_counter!(
        ERRORS,
        Unit::Count,
        "Failures of the store by kind: full, io, busy, read"
    );
    describe_gauge!(
        STATE,
        "State of the store: 0 writes, 1 disk full, 2 cannot write"
    );
    describe_counter!(
        PRUNED,
        Unit::Count,
        "Messages, tasks, deliveries and turns that were removed, by reason: age, size"
    );
    describe_gauge!(
        USED,
        Unit::Bytes,
        "Bytes of the store that hold something; `store.max_size` bounds these"
    );
    describe_histogram!(
        CHECKPOINT_DURATION,
        Unit::Seconds,
        "Time of copying the store's write-ahead log into its database"
    );
}
