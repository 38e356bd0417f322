//! Copies folders whose content others may change at any time, without following any link.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::DirBuilderExt, fs::OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use sha2::{Digest, Sha256};

use super::manifest::BackedUpFile;

const CHUNK: usize = 1 << 20;

/// Folders inside each other that are gone into.
const DEEPEST: usize = 64;

/// Things left out that are named.
const MOST_NAMED: usize = 100;

/// Where files are copied to, and what was copied so far.
pub(super) struct Copier {
    root: PathBuf,
    pub(super) files: Vec<BackedUpFile>,
    pub(super) skipped: Vec<String>,
}

impl Copier {
    /// Copies into the folder `root`, which is there.
    pub(super) const fn new(root: PathBuf) -> Self {
        Self {
            root,
            files: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Copies a file to `place` in the root; links on the way are followed, since the operator has
    /// chosen the path.
    pub(super) fn file(&mut self, from: &Path, place: &str) -> io::Result<()> {
        self.write(File::open(from)?, place)
    }

    /// Copies a folder with all that is in it to `place`. Links and what is neither file nor folder
    /// are left out and named.
    pub(super) fn folder(&mut self, from: &Path, place: &str) -> io::Result<()> {
        let folder = open_folder(CWD, from.as_os_str())?;
        self.descend(&folder, place, 0)
    }

    fn descend(&mut self, folder: &OwnedFd, place: &str, depth: usize) -> io::Result<()> {
        self.make_folder(place)?;
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let Some(text) = name.to_str() else {
                self.skip(format!("{place}/{}", name.to_string_lossy()));
                continue;
            };
            self.entry(folder, text, &format!("{place}/{text}"), depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, folder: &OwnedFd, name: &str, place: &str, depth: usize) -> io::Result<()> {
        // A pipe would wait for its other end, and a link might lead anywhere.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(found) = rustix::fs::openat(folder, name, flags, Mode::empty()) else {
            self.skip(place.to_owned());
            return Ok(());
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
        match kind {
            FileType::RegularFile => self.write(File::from(found), place),
            FileType::Directory if depth < DEEPEST => self.descend(&found, place, depth + 1),
            _ => {
                self.skip(place.to_owned());
                Ok(())
            }
        }
    }

    fn skip(&mut self, place: String) {
        if self.skipped.len() < MOST_NAMED {
            self.skipped.push(place);
        }
    }

    fn make_folder(&self, place: &str) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.root.join(place))
    }

    fn write(&mut self, from: File, place: &str) -> io::Result<()> {
        let path = self.root.join(place);
        if let Some((folder, _name)) = place.rsplit_once('/') {
            self.make_folder(folder)?;
        }
        let is_program = rustix::fs::fstat(&from)?.st_mode & 0o100 != 0;
        let to = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if is_program { 0o700 } else { 0o600 })
            .open(path)?;
        let (bytes, sha256) = digest(from, Some(to))?;
        self.files.push(BackedUpFile {
            path: place.to_owned(),
            bytes,
            sha256,
        });
        Ok(())
    }
}

/// The files' bytes below a folder, as far as they can be seen.
pub(super) fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(facts) if facts.is_dir() => size(&entry.path()),
        Ok(facts) if facts.is_file() => facts.len(),
        _ => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

/// Syncs the folder and all that is in it.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Size and digest of a file, which is written to another on the way if that is given.
pub(super) fn digest(mut from: File, mut to: Option<File>) -> io::Result<(u64, String)> {
    let mut chunk = vec![0; CHUNK];
    let (mut bytes, mut sha256) = (0_u64, Sha256::new());
    loop {
        let read = from.read(&mut chunk)?;
        let Some(some) = chunk.get(..read).filter(|some| !some.is_empty()) else {
            break;
        };
        sha256.update(some);
        if let Some(to) = &mut to {
            to.write_all(some)?;
        }
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(0));
    }
    let digest: [u8; 32] = sha256.finalize().into();
    Ok((bytes, base16ct::lower::encode_string(&digest)))
}

fn open_folder(at: rustix::fd::BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, name, flags, Mode::empty())?)
}
