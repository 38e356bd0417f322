//! The store's folder: who may work in it, and what its files are called.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{OpenError, upkeep};

/// How often a lock that somebody holds is asked for again, and the pause before each time. Where a
/// broker was killed while it started a turn, that child holds the lock until its program begins.
const PATIENCE: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

/// A folder that belongs to this process for as long as the value lives.
#[derive(Debug)]
pub(super) struct StoreFolder {
    path: PathBuf,
    _lock: File,
}

impl StoreFolder {
    /// Makes the folder if it is missing and takes its lock.
    pub(super) fn claim(path: &Path) -> Result<Self, OpenError> {
        let fails = |source| OpenError::Folder {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(fails)?;
        let lock = take_lock(&path.join("lock"))?;
        upkeep::finish_begun(path).map_err(fails)?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        make_private_file(&folder.database()).map_err(fails)?;
        Ok(folder)
    }

    /// The database file.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("postroom.db")
    }

    /// Bytes that the database and its log take up.
    pub(super) fn size_bytes(&self) -> io::Result<u64> {
        let database = fs::metadata(self.database())?.len();
        let log = match fs::metadata(self.path.join("postroom.db-wal")) {
            Ok(log) => log.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(database.saturating_add(log))
    }
}

/// Makes the file with mode 0600 before SQLite would make it with another.
///
/// SQLite gives its log and index files the mode of the database.
pub(super) fn make_private_file(path: &Path) -> io::Result<()> {
    match private_file().create_new(true).open(path) {
        Ok(_made) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn take_lock(path: &Path) -> Result<File, OpenError> {
    let fails = |source| OpenError::Folder {
        path: path.to_owned(),
        source,
    };
    let mut file = private_file()
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(fails)?;
    match wait_for(&file) {
        Ok(()) => {
            write_pid(&mut file).map_err(fails)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            pid: read_pid(&mut file),
        }),
        Err(TryLockError::Error(source)) => Err(fails(source)),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the service has not begun: nothing else waits on this thread"
)]
fn wait_for(file: &File) -> Result<(), TryLockError> {
    for _ in 0..PATIENCE {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}

/// Best effort on a full disk: the lock holds without the number, too.
fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    match writeln!(file, "{}", std::process::id()) {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        written => written,
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
