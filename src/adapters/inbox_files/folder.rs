//! One folder, held open, and the files in it.

use std::{
    fs,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use fail::fail_point;
use postroom_actors::ports::InboxError;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};

/// Mode of the inbox: its owner's alone.
pub(super) const PRIVATE: u32 = 0o700;
/// Mode of the marks' folder, as the predecessor makes it.
pub(super) const LISTABLE: u32 = 0o755;

const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const TEMP_SUFFIX: &str = ".tmp";

/// A folder that is opened anew when it was deleted or replaced.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    mode: u32,
    open: Mutex<Arc<OpenFolder>>,
}

/// A folder as it was when it was opened.
#[derive(Debug)]
pub(super) struct OpenFolder {
    file: OwnedFd,
    identity: (u64, u64),
}

impl Folder {
    /// Creates the folder and those above it where they are missing, and opens it.
    pub(super) fn open(path: &Path, mode: u32) -> Result<Self, InboxError> {
        let failed = |source| InboxError {
            path: path.to_owned(),
            source,
        };
        create(path, mode).map_err(failed)?;
        let resolved = path.canonicalize().map_err(failed)?;
        let open = OpenFolder::open(&resolved).map_err(failed)?;
        Ok(Self {
            path: resolved,
            mode,
            open: Mutex::new(Arc::new(open)),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn error(&self, name: &str, source: io::Error) -> InboxError {
        InboxError {
            path: self.path.join(name),
            source,
        }
    }

    /// The folder that is at the path now; created again where it was deleted.
    ///
    /// A link in its place is not followed: that is an error.
    pub(super) fn current(&self) -> io::Result<Arc<OpenFolder>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let there = rustix::fs::statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        if there.is_ok_and(|there| identity(&there) == open.identity) {
            return Ok(Arc::clone(&open));
        }
        create(&self.path, self.mode)?;
        *open = Arc::new(OpenFolder::open(&self.path)?);
        Ok(Arc::clone(&open))
    }

    /// Removes half-written files of an earlier run.
    pub(super) fn sweep(&self) -> Result<(), InboxError> {
        let failed = |source| self.error("", source);
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if name.to_str().is_some_and(is_temp_name) {
                let path = self.path.join(name);
                fs::remove_file(&path).map_err(|source| InboxError { path, source })?;
            }
        }
        Ok(())
    }
}

impl OpenFolder {
    fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        let identity = identity(&rustix::fs::fstat(&file)?);
        Ok(Self { file, identity })
    }

    /// Writes a file under its temporary name and syncs its content; leaves nothing on failure.
    pub(super) fn write_temp(&self, name: &str, content: &[u8]) -> io::Result<()> {
        fail_point!("inbox::before_temp", |_| Err(injected()));
        let temp = temp_name(name)?;
        let mut file = match self.create_new(&temp) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.remove(&temp)?;
                self.create_new(&temp)?
            }
            other => other?,
        };
        let written = write_and_sync(&mut file, content);
        if written.is_err() {
            self.discard_temp(name);
        }
        written
    }

    /// Gives a written file its final name, whatever has that name now (unless it is a folder).
    pub(super) fn publish(&self, name: &str) -> io::Result<()> {
        fail_point!("inbox::before_rename", |_| Err(injected()));
        rustix::fs::renameat(&self.file, temp_name(name)?, &self.file, name)?;
        fail_point!("inbox::after_rename", |_| Err(injected()));
        Ok(())
    }

    /// Removes a temporary file, where there is one.
    pub(super) fn discard_temp(&self, name: &str) {
        if let Ok(temp) = temp_name(name) {
            // What stays behind is removed at the next start or by the next attempt.
            self.remove(&temp).unwrap_or_default();
        }
    }

    /// Creates a synced file under its final name at once; one that exists is left as it is.
    pub(super) fn write_new(&self, name: &str, content: &[u8]) -> io::Result<()> {
        match self.create_new(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(mut file) => write_and_sync(&mut file, content),
        }
    }

    /// Makes the names in the folder lasting.
    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.file))?)
    }

    fn create_new(&self, name: &str) -> io::Result<fs::File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY;
        let flags = flags | OFlags::CLOEXEC;
        let file =
            rustix::io::retry_on_intr(|| rustix::fs::openat(&self.file, name, flags, FILE_MODE))?;
        Ok(fs::File::from(file))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let kind = rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode;
        let is_folder = FileType::from_raw_mode(kind) == FileType::Directory;
        let flags = if is_folder {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        Ok(rustix::fs::unlinkat(&self.file, name, flags)?)
    }
}

fn write_and_sync(file: &mut fs::File, content: &[u8]) -> io::Result<()> {
    #[cfg(feature = "failpoints")]
    let content = {
        let (first, second) = content.split_at(content.len() / 2);
        file.write_all(first)?;
        fail_point!("inbox::mid_write", |_| Err(injected()));
        second
    };
    file.write_all(content)?;
    Ok(rustix::io::retry_on_intr(|| rustix::fs::fdatasync(&*file))?)
}

fn create(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
}

fn identity(status: &Stat) -> (u64, u64) {
    (status.st_dev, status.st_ino)
}

/// The temporary name of a file; only names that stay in the folder have one.
fn temp_name(name: &str) -> io::Result<String> {
    if name.is_empty() || name.contains(['/', '\0']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a file name",
        ));
    }
    Ok(format!(".{name}{TEMP_SUFFIX}"))
}

/// Whether a name is one of ours: `.<14 digits>-<32 hex>.json.tmp`.
fn is_temp_name(name: &str) -> bool {
    let stem = name
        .strip_prefix('.')
        .and_then(|name| name.strip_suffix(".json.tmp"));
    let Some((time, id)) = stem.and_then(|stem| stem.split_once('-')) else {
        return false;
    };
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    time.len() == 14
        && time.bytes().all(|byte| byte.is_ascii_digit())
        && id.len() == 32
        && id.bytes().all(is_hex)
}

/// The failure that a test asks for: a full disk.
#[cfg(feature = "failpoints")]
fn injected() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}
