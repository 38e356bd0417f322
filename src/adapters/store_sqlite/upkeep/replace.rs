//! Another database in the place of a store's own.
//!
//! It is written beside, synced, and made ready by one rename. From then on it is the store's,
//! whatever happens: whoever has the store next finishes what was begun, be it a service. Until then
//! the store is as it was. What was there is moved aside, never removed.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use super::{DATABASE, Progress, UpkeepError};
use crate::adapters::store_sqlite::{
    folder::{StoreFolder, private_file},
    schema,
};

/// Being written; of no use yet.
const BEGUN: &str = "restore-begun";
/// Whole: the store's from now on.
const READY: &str = "restore-ready";
/// In it, besides the database: the name of the folder for what was there.
const ASIDE: &str = "aside";

const CHUNK: usize = 1 << 20;

/// A store that nobody else may open for as long as this value lives.
#[derive(Debug)]
pub struct ClaimedStore {
    path: PathBuf,
    _folder: StoreFolder,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Where the store is now that was there before, if there was one.
    pub aside: Option<PathBuf>,
}

impl ClaimedStore {
    /// Makes the folder if it is missing and takes its lock.
    ///
    /// # Errors
    /// [`UpkeepError::Open`]: a service or another command has it.
    pub fn claim(folder: &Path) -> Result<Self, UpkeepError> {
        let claimed = StoreFolder::claim(folder)?;
        Ok(Self {
            path: folder.to_owned(),
            _folder: claimed,
        })
    }

    /// Puts a copy of `database` in the store's place, for the inbox `inbox` where that is another
    /// one than it remembers. What was there goes to the folder `aside` in the store's.
    ///
    /// # Errors
    /// [`UpkeepError`]; the store is as it was, unless the last renames fail: then the next start
    /// finishes them.
    pub fn replace(
        &self,
        database: &Path,
        aside: &str,
        inbox: Option<&Path>,
        progress: &mut Progress<'_>,
    ) -> Result<Replaced, UpkeepError> {
        let begun = self.path.join(BEGUN);
        let failed = UpkeepError::files(&begun);
        private_folder(&begun).map_err(&failed)?;
        let new = begun.join(DATABASE);
        copy_file(database, &new, progress).map_err(UpkeepError::files(&new))?;
        if let Some(inbox) = inbox {
            remember_inbox(&new, inbox)?;
        }
        fail::fail_point!("restore::written");
        write_aside(&begun, aside).map_err(&failed)?;
        fs::rename(&begun, self.path.join(READY)).map_err(&failed)?;
        sync(&self.path).map_err(&failed)?;
        fail::fail_point!("restore::ready");
        let aside = finish(&self.path).map_err(UpkeepError::files(&self.path))?;
        Ok(Replaced { aside })
    }
}

fn copy_file(from: &Path, to: &Path, progress: &mut Progress<'_>) -> io::Result<()> {
    let mut from = File::open(from)?;
    let all = from.metadata()?.len();
    let mut to = private_file().create_new(true).open(to)?;
    let mut chunk = vec![0; CHUNK];
    let mut done: u64 = 0;
    loop {
        let read = from.read(&mut chunk)?;
        let Some(some) = chunk.get(..read).filter(|some| !some.is_empty()) else {
            break;
        };
        to.write_all(some)?;
        done = done.saturating_add(u64::try_from(read).unwrap_or(0));
        progress(done, all);
    }
    to.sync_all()
}

/// The messages that wait are for another inbox from now on.
fn remember_inbox(database: &Path, inbox: &Path) -> Result<(), UpkeepError> {
    let fails = |error: rusqlite::Error| UpkeepError::of(database, &error);
    let connection = schema::connect_for_writing(database).map_err(fails)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .and_then(|()| schema::remember_inbox(&connection, inbox))
        .map_err(fails)
}

fn write_aside(begun: &Path, name: &str) -> io::Result<()> {
    let mut file = private_file().create_new(true).open(begun.join(ASIDE))?;
    file.write_all(name.as_bytes())?;
    file.sync_all()?;
    sync(begun)
}

/// Puts a store in place that is ready; answers where the one is that was there. Each step may have
/// been done before. The caller has the folder's lock.
pub(super) fn finish(folder: &Path) -> io::Result<Option<PathBuf>> {
    let ready = folder.join(READY);
    if !ready.exists() {
        return Ok(None);
    }
    let aside = folder.join(fs::read_to_string(ready.join(ASIDE))?);
    let new = ready.join(DATABASE);
    if new.exists() {
        move_aside(folder, &aside)?;
        fail::fail_point!("restore::moved_aside");
        fs::rename(&new, folder.join(DATABASE))?;
        sync(folder)?;
    }
    fail::fail_point!("restore::in_place");
    fs::remove_dir_all(&ready)?;
    sync(folder)?;
    Ok(aside.exists().then_some(aside))
}

/// Removes what a restore was still writing when it was ended.
pub(super) fn forget_begun(folder: &Path) -> io::Result<()> {
    remove_if_there(&folder.join(BEGUN))
}

/// The log first would leave a database without what is in its log only: so it goes last.
fn move_aside(folder: &Path, aside: &Path) -> io::Result<()> {
    for name in ["postroom.db", "postroom.db-wal", "postroom.db-shm"] {
        let there = folder.join(name);
        match fs::metadata(&there) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            // Made with the folder's claim; nobody has had anything in it.
            Ok(facts) if facts.len() == 0 => {
                fs::remove_file(&there)?;
                continue;
            }
            _ => {}
        }
        if !aside.exists() {
            private_folder(aside)?;
        }
        fs::rename(there, aside.join(name))?;
    }
    if aside.exists() {
        sync(aside)?;
    }
    sync(folder)
}

fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
