//! A copy of a store as it is at one moment, also while a service writes to it.

use std::{fs::File, path::Path};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{DATABASE, Progress, UpkeepError};
use crate::adapters::store_sqlite::{folder::make_private_file, schema};

/// Pages copied between two words of progress: 8 MiB.
const PAGES_A_STEP: i32 = 512;

/// Copies the store in `folder` into the new file `target` (mode 0600), synced, with no log beside.
///
/// A read transaction is held from the first page to the last: so what others commit meanwhile is
/// not in the copy, and does not make it begin anew, as it would without. Nobody waits for it; the
/// log of the store grows until it is done.
///
/// # Errors
/// [`UpkeepError`]; what is left of `target` then is of no use.
pub fn copy(folder: &Path, target: &Path, progress: &mut Progress<'_>) -> Result<(), UpkeepError> {
    let database = folder.join(DATABASE);
    if !database.is_file() {
        return Err(UpkeepError::NoStore(folder.to_owned()));
    }
    make_private_file(target).map_err(UpkeepError::files(target))?;
    let fails = |error: rusqlite::Error| UpkeepError::of(&database, &error);
    let source = schema::open_for_reading(&database).map_err(fails)?;
    source.execute_batch("BEGIN").map_err(fails)?;
    // A transaction begins with the first read.
    schema::schema_version(&source).map_err(fails)?;
    copy_pages(&source, target, progress).map_err(fails)?;
    drop(source);
    let fails = |error: rusqlite::Error| UpkeepError::of(target, &error);
    leave_alone(target).map_err(fails)?;
    File::open(target)
        .and_then(|file| file.sync_all())
        .map_err(UpkeepError::files(target))
}

fn copy_pages(
    source: &Connection,
    target: &Path,
    progress: &mut Progress<'_>,
) -> rusqlite::Result<()> {
    let mut copy = open(target)?;
    // It is synced once, at the end; until then nobody uses it.
    copy.pragma_update(None, "synchronous", "OFF")?;
    copy.query_row("PRAGMA journal_mode = OFF", [], |_row| Ok(()))?;
    let page: u32 = source.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let backup = Backup::new(source, &mut copy)?;
    let bytes = |pages: i32| {
        u64::try_from(pages)
            .unwrap_or(0)
            .saturating_mul(u64::from(page))
    };
    loop {
        let step = backup.step(PAGES_A_STEP)?;
        let so_far = backup.progress();
        let all = bytes(so_far.pagecount);
        progress(all.saturating_sub(bytes(so_far.remaining)), all);
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // Nobody else has the copy, and a reader of the log is never locked out.
            _ => return Err(busy()),
        }
    }
}

fn busy() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    rusqlite::Error::SqliteFailure(code, None)
}

/// The copy says of itself that it has a log, as its source has one: it needs none.
fn leave_alone(target: &Path) -> rusqlite::Result<()> {
    let copy = open(target)?;
    copy.pragma_update(None, "synchronous", "OFF")?;
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_row| Ok(()))
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}
