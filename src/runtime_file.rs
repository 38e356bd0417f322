//! `<home>/runtime.json`: how a command of the same user finds the service that runs.
//!
//! Written at start, removed at a clean end, readable by its owner alone: it holds a key that was
//! made for this run.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// The file's name in the home folder.
pub const NAME: &str = "runtime.json";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// What a running service tells the commands of its user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeFile {
    /// The service's process.
    pub pid: u32,
    /// Where it listens, e.g. `http://127.0.0.1:7011`; no slash at the end.
    pub endpoint: String,
    /// With `https`, the SHA-256 of its certificate, as hex digits: no other one is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// An operator key that is good for this run only.
    pub key: String,
    /// The version of the program.
    pub version: String,
}

impl fmt::Debug for RuntimeFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RuntimeFile")
            .field("pid", &self.pid)
            .field("endpoint", &self.endpoint)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum RuntimeFileError {
    /// Reading failed.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error("`{}` is not understood ({source}); remove it and start postroom again", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Writing or removing failed.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl RuntimeFile {
    /// Where the file of a home folder lies.
    pub fn path(home: &Path) -> PathBuf {
        home.join(NAME)
    }

    /// Writes the file with mode 0600, in one step; makes the home folder (0700) where there is none.
    ///
    /// # Errors
    /// [`RuntimeFileError::Write`].
    pub fn write(&self, home: &Path) -> Result<(), RuntimeFileError> {
        let path = Self::path(home);
        let write = || {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(home)?;
            write_private(&path, &serde_json::to_vec_pretty(self)?)
        };
        write().map_err(|source| RuntimeFileError::Write { path, source })
    }

    /// Reads the file; `None` where there is none.
    ///
    /// # Errors
    /// [`RuntimeFileError::Read`] or [`RuntimeFileError::Content`].
    pub fn read(home: &Path) -> Result<Option<Self>, RuntimeFileError> {
        let path = Self::path(home);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RuntimeFileError::Read { path, source }),
        };
        let mut text = Vec::new();
        if let Err(source) = file.take(LARGEST).read_to_end(&mut text) {
            return Err(RuntimeFileError::Read { path, source });
        }
        match serde_json::from_slice(&text) {
            Ok(runtime) => Ok(Some(runtime)),
            Err(source) => Err(RuntimeFileError::Content { path, source }),
        }
    }

    /// Removes the file, unless another run has written its own meanwhile.
    ///
    /// # Errors
    /// [`RuntimeFileError::Write`]; or the file cannot be read.
    pub fn remove(&self, home: &Path) -> Result<(), RuntimeFileError> {
        if Self::read(home)?.as_ref() != Some(self) {
            return Ok(());
        }
        let path = Self::path(home);
        fs::remove_file(&path).map_err(|source| RuntimeFileError::Write { path, source })
    }

    /// Whether a process of its number lives. It may be another one: only an answer at the endpoint
    /// proves that the service runs.
    pub fn process_lives(&self) -> bool {
        let number = i32::try_from(self.pid).ok();
        let Some(pid) = number.and_then(rustix::process::Pid::from_raw) else {
            return false;
        };
        !matches!(
            rustix::process::test_kill_process(pid),
            Err(rustix::io::Errno::SRCH)
        )
    }
}

/// Writes a file that only its owner may read, in one step: a reader sees the old or the new one.
///
/// # Errors
/// What the system said.
pub fn write_private(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    let unfinished = path.with_file_name(name);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// A new key: 32 random bytes of the system, as 64 hex digits.
///
/// # Errors
/// The system gives none.
pub fn fresh_key() -> io::Result<String> {
    let mut random = [0_u8; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(base16ct::lower::encode_string(&random))
}
