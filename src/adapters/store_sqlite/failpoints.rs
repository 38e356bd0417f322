//! Faults that a test asks for. Without the feature `failpoints` they do not exist.

#[cfg(feature = "failpoints")]
use rusqlite::{Error, ffi};

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
