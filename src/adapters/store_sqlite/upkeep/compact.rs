//! A store written anew without the room that is free in it.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use rusqlite::{Connection, MAIN_DB, wal::CheckpointMode};
use serde::Serialize;

use super::{DATABASE, UpkeepError};
use crate::adapters::{
    disk,
    store_sqlite::{
        folder::{StoreFolder, make_private_file},
        retention, schema,
    },
};

const NEW: &str = "compacting.db";

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Bytes before.
    pub before: u64,
    /// Bytes now.
    pub after: u64,
}

/// Writes the store in `folder` anew while no service runs; from then on it can give free room back
/// to the disk by itself. The old file stays in place until the new one is whole and synced.
///
/// # Errors
/// [`UpkeepError`]: in use, no room for the new file beside the old one, or a disk that refuses.
pub fn compact(folder: &Path) -> Result<Compacted, UpkeepError> {
    let database = folder.join(DATABASE);
    if !database.is_file() {
        return Err(UpkeepError::NoStore(folder.to_owned()));
    }
    let _claim = StoreFolder::claim(folder)?;
    let files = UpkeepError::files(folder);
    let size = |path: &Path| fs::metadata(path).map(|facts| facts.len());
    let new = folder.join(NEW);
    let fails = |error: rusqlite::Error| UpkeepError::of(&database, &error);
    let connection = schema::connect_for_writing(&database).map_err(fails)?;
    let before = fold_log(&connection)
        .map_err(fails)
        .and_then(|()| size(&database).map_err(&files))?;
    let needed = retention::room(&connection).map_err(fails)?.used;
    let free = disk::space(folder).map_err(&files)?.free_bytes;
    if free < needed {
        let path = folder.to_owned();
        return Err(UpkeepError::NoRoom { path, free, needed });
    }
    make_private_file(&new).map_err(&files)?;
    write_anew(&connection, &new).map_err(fails)?;
    drop(connection);
    let replace = || {
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &database)?;
        File::open(folder)?.sync_all()?;
        size(&database)
    };
    let after = replace().map_err(&files)?;
    Ok(Compacted { before, after })
}

/// Removes what a compaction was still writing when it was ended.
pub(super) fn forget_begun(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(NEW)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// With an empty log the database file alone is the store.
fn fold_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::TRUNCATE)?;
    Ok(())
}

fn write_anew(connection: &Connection, new: &Path) -> rusqlite::Result<()> {
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.execute("VACUUM INTO ?1", [new.display().to_string()])?;
    Ok(())
}
