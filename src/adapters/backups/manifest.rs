//! What a backup says of itself.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::adapters::store_sqlite::upkeep::StoreFacts;

/// The form of the manifests that are written here.
pub(super) const FORMAT: u32 = 1;

/// `manifest.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this file; 1.
    pub format: u32,
    /// The program that made it.
    pub version: String,
    /// When it was begun. What was accepted later may be missing.
    pub created_at: DateTime<Utc>,
    /// Where it comes from.
    pub from: Origin,
    /// What the store holds.
    pub store: StoreFacts,
    /// Whether the agents' workspaces are in it, not only what they are.
    pub with_workspaces: bool,
    /// All files but this one.
    pub files: Vec<BackedUpFile>,
    /// What was left out of workspaces: links, sockets and such, from the home folder on.
    pub skipped: Vec<String>,
}

/// Where a backup comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The home folder.
    pub home: PathBuf,
    /// The store's folder.
    pub store: PathBuf,
    /// The inbox that was configured.
    pub inbox: PathBuf,
    /// The configuration file, if there was one.
    pub config_file: Option<PathBuf>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpFile {
    /// Its place in the backup, with `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest in hex.
    pub sha256: String,
}
