//! Faults that a test asks for. Without the feature `failpoints` they do not exist.

#[cfg(feature = "failpoints")]
use rusqlite::{Error, ffi};

use super::changes::Change;
#[cfg(feature = "failpoints")]
use super::{deliveries::DeliveryChange, tasks::TaskChange};

/// Passed once for each change that has just been committed, before its caller hears of it.
#[cfg(feature = "failpoints")]
pub(super) fn committed(change: &Change) {
    match change {
        Change::Tasks(TaskChange::Queue { .. }) => fail::fail_point!("store::task_queued"),
        Change::Deliveries(DeliveryChange::Queue { .. }) => {
            fail::fail_point!("store::delivery_queued");
        }
        Change::Deliveries(DeliveryChange::EndAttempt(_)) => {
            fail::fail_point!("store::attempt_ended");
        }
        _ => {}
    }
}

/// There are no failpoints in this build.
#[cfg(not(feature = "failpoints"))]
pub(super) const fn committed(_change: &Change) {}

/// Fails as a commit on a full or broken disk would, when a test has asked for it.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(
        clippy::unnecessary_wraps,
        clippy::missing_const_for_fn,
        reason = "the points that return an error are compiled away"
    )
)]
pub(super) fn commit_fault() -> rusqlite::Result<()> {
    fail::fail_point!("store::commit_full", |_| Err(failure(ffi::SQLITE_FULL)));
    fail::fail_point!("store::commit_io_error", |_| Err(failure(
        ffi::SQLITE_IOERR_FSYNC
    )));
    Ok(())
}

/// Fails as opening the store with no file handles left would, when a test has asked for it.
#[cfg_attr(
    not(feature = "failpoints"),
    expect(
        clippy::unnecessary_wraps,
        clippy::missing_const_for_fn,
        reason = "the point that returns an error is compiled away"
    )
)]
pub(super) fn open_fault() -> rusqlite::Result<()> {
    fail::fail_point!("store::reopen_error", |_| Err(failure(
        ffi::SQLITE_CANTOPEN
    )));
    Ok(())
}

#[cfg(feature = "failpoints")]
fn failure(code: i32) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), None)
}
