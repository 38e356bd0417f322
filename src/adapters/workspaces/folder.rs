//! A folder that is held open: what is made in it cannot be led astray by a link.

use std::{
    fs::{DirBuilder, File},
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use postroom_actors::ports::turns::WorkspaceError;
use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags},
    io::Errno,
};

use super::invalid;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: Mode = Mode::from_raw_mode(0o600);

/// The largest file that is read here, in bytes.
const LARGEST: u64 = 1 << 20;

/// A folder and the path it was opened by.
#[derive(Debug)]
pub(super) struct Folder {
    file: OwnedFd,
    path: PathBuf,
}

/// Whether something has this path, if only a link.
pub(super) fn is_there(path: &Path) -> Result<bool, WorkspaceError> {
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(failed(path, error)),
    }
}

impl Folder {
    /// Opens a folder by its path; it and those above it are made where they are missing. Links on
    /// the way are followed: the operator has chosen the path.
    pub(super) fn make(path: &Path) -> Result<Self, WorkspaceError> {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)
            .map_err(|error| failed(path, error))?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let file =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(path, error))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Opens a folder that is there and no link.
    pub(super) fn open(path: &Path) -> Result<Self, WorkspaceError> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let file =
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(path, error))?;
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// Removes the files in it that end so and were last written before a time, in seconds since
    /// 1970; answers how many.
    pub(super) fn remove_older(
        &self,
        suffix: &str,
        before_s: i64,
    ) -> Result<usize, WorkspaceError> {
        let fails = |error: Errno| failed(&self.path, error);
        let mut removed: usize = 0;
        for entry in rustix::fs::Dir::read_from(&self.file).map_err(fails)? {
            let entry = entry.map_err(fails)?;
            let name = entry.file_name();
            if !name.to_bytes().ends_with(suffix.as_bytes()) {
                continue;
            }
            let facts = rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW);
            let is_old = facts.is_ok_and(|facts| {
                FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile
                    && facts.st_mtime < before_s
            });
            if is_old {
                rustix::fs::unlinkat(&self.file, name, AtFlags::empty()).map_err(fails)?;
                removed = removed.saturating_add(1);
            }
        }
        Ok(removed)
    }

    /// A folder in this one, made where it is missing. `None`: a link is in its place.
    pub(super) fn sub(&self, name: &str) -> Result<Option<Self>, WorkspaceError> {
        match self.kind(name)? {
            Some(FileType::Symlink) => return Ok(None),
            Some(_) => {}
            None => match rustix::fs::mkdirat(&self.file, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(self.failed(name, error)),
            },
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.file, name, flags, Mode::empty())
            .map_err(|error| self.failed(name, error))?;
        let path = self.path.join(name);
        Ok(Some(Self { file, path }))
    }

    /// The same where a link is an error.
    pub(super) fn need(&self, name: &str) -> Result<Self, WorkspaceError> {
        let text = "it is a link, and links are not followed here; put a folder in its place";
        self.sub(name)?
            .ok_or_else(|| invalid(&self.path.join(name), text))
    }

    /// Whether something has this name, if only a link.
    pub(super) fn has(&self, name: &str) -> Result<bool, WorkspaceError> {
        Ok(self.kind(name)?.is_some())
    }

    /// Makes a file with its whole content, or nothing where something has its name. Answers
    /// whether it was made.
    pub(super) fn write_new(
        &self,
        name: &str,
        content: impl FnOnce() -> Result<String, WorkspaceError>,
    ) -> Result<bool, WorkspaceError> {
        if self.has(name)? {
            return Ok(false);
        }
        let temp = self.write_temp(name, content()?.as_bytes())?;
        match self.rename_new(&temp, name) {
            Ok(()) => self.sync().map(|()| true),
            Err(error) => {
                self.discard(&temp);
                match error {
                    Errno::EXIST => Ok(false),
                    error => Err(self.failed(name, error)),
                }
            }
        }
    }

    /// Puts a file with this content in the place of whatever has its name: the old one or the new
    /// one is there at any time.
    pub(super) fn replace(&self, name: &str, content: &[u8]) -> Result<(), WorkspaceError> {
        let temp = self.write_temp(name, content)?;
        if let Err(error) = rustix::fs::renameat(&self.file, &temp, &self.file, name) {
            self.discard(&temp);
            return Err(self.failed(name, error));
        }
        self.sync()
    }

    /// The content of a file of at most 1 MiB; `None` where there is none. Links are not followed.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, WorkspaceError> {
        // Not blocking: a pipe in its place would be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.file, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(self.failed(name, error)),
        };
        read_whole(file, &self.path.join(name)).map(Some)
    }

    /// The path of this folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn kind(&self, name: &str) -> Result<Option<FileType>, WorkspaceError> {
        match rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    fn write_temp(&self, name: &str, content: &[u8]) -> Result<String, WorkspaceError> {
        let temp = format!(".{name}.tmp");
        // What an earlier run left there.
        self.discard(&temp);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY;
        let file = rustix::fs::openat(&self.file, &temp, flags | OFlags::CLOEXEC, FILE_MODE)
            .map_err(|error| self.failed(&temp, error))?;
        let mut file = File::from(file);
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|error| {
            self.discard(&temp);
            self.failed(name, error)
        })?;
        Ok(temp)
    }

    fn rename_new(&self, temp: &str, name: &str) -> Result<(), Errno> {
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(&self.file, temp, &self.file, name, flags) {
            // Not every file system can tell; it was looked for just before.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                rustix::fs::renameat(&self.file, temp, &self.file, name)
            }
            renamed => renamed,
        }
    }

    fn discard(&self, temp: &str) {
        // What stays is in nobody's way, or making the file tells.
        rustix::fs::unlinkat(&self.file, temp, AtFlags::empty()).unwrap_or_default();
    }

    fn sync(&self) -> Result<(), WorkspaceError> {
        rustix::fs::fsync(&self.file).map_err(|error| self.failed("", error))
    }

    fn failed(&self, name: &str, error: impl Into<io::Error>) -> WorkspaceError {
        failed(&self.path.join(name), error)
    }
}

/// Reads an open file of at most 1 MiB.
pub(super) fn read_whole(file: File, path: &Path) -> Result<Vec<u8>, WorkspaceError> {
    let mut content = Vec::new();
    file.take(LARGEST + 1)
        .read_to_end(&mut content)
        .map_err(|error| failed(path, error))?;
    if u64::try_from(content.len()).is_ok_and(|length| length > LARGEST) {
        return Err(invalid(path, "it is larger than 1 MiB"));
    }
    Ok(content)
}

pub(super) fn failed(path: &Path, error: impl Into<io::Error>) -> WorkspaceError {
    WorkspaceError {
        path: path.to_owned(),
        source: error.into(),
    }
}
