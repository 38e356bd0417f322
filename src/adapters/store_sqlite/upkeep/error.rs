//! Why a store's files could not be worked on.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::adapters::store_sqlite::OpenError;

/// Why a store or a backup could not be worked on.
#[derive(Debug, Error)]
pub enum UpkeepError {
    /// There is none.
    #[error("there is no store in `{}`; name its home by `--base-dir`, or the folder by `--store`", .0.display())]
    NoStore(PathBuf),
    /// In use, or not to be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What is in a file makes no sense.
    #[error("`{}` is damaged: {reason}; restore a backup with `postroom restore`, or save what can be read with `sqlite3 {} .recover`", .path.display(), .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A folder is not a backup, or not a whole one.
    #[error("`{}` cannot be restored: {reason}; take another backup", .path.display())]
    BadBackup {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The backup's messages wait for another inbox than the one that is configured here.
    #[error("{pending} messages of this backup wait for the inbox `{}`, and here it is `{}`; set `mailbox.inbox` to that, or give `--force` to have them written here", .remembered.display(), .configured.display())]
    OtherInbox {
        /// The inbox that the messages were accepted for.
        remembered: PathBuf,
        /// The one here.
        configured: PathBuf,
        /// How many wait.
        pending: u64,
    },
    /// Something has this name already.
    #[error("`{}` is there already; choose another name", .0.display())]
    Exists(PathBuf),
    /// The disk has too little room.
    #[error("the disk of `{}` has {free} bytes left and {needed} are needed; free some space, or choose another disk", .path.display())]
    NoRoom {
        /// Where it should go.
        path: PathBuf,
        /// Bytes left.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// A file or folder refused.
    #[error("cannot use `{}`: {source}; check its permissions and its disk", .path.display())]
    Files {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// SQLite refused.
    #[error("cannot use the database `{}`: {reason}; check its permissions and its disk", .path.display())]
    Database {
        /// Which one.
        path: PathBuf,
        /// What it said.
        reason: String,
        /// Whether it may work later.
        is_busy: bool,
    },
}

impl UpkeepError {
    /// What SQLite said of a file; damage is told apart from what may be mended on the disk.
    pub(super) fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, reason) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, reason }
            }
            code => Self::Database {
                path,
                reason,
                is_busy: matches!(
                    code,
                    Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                ),
            },
        }
    }

    /// For `map_err`: what the system said of a path.
    pub(in crate::adapters) fn files(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files {
            path: path.clone(),
            source,
        }
    }
}
