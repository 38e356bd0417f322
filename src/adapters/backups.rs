//! Backups: a folder with a copy of the store, the configuration, the keys, and what the agents are.
//!
//! A backup is written under a dot-name, synced, and renamed at the end: what has its final name is
//! whole. Everything in it is its owner's alone.

mod make;
mod manifest;
mod read;
mod tree;

#[cfg(test)]
mod tests;

pub use self::{
    make::{BackupPlan, MadeBackup, make},
    manifest::{BackedUpFile, Manifest, Origin},
    read::{Backup, Placed},
};

/// The manifest's name in a backup.
const MANIFEST: &str = "manifest.json";

/// Folders in a backup: the configuration, and what was in the home folder.
const CONFIG: &str = "config";
const HOME: &str = "home";

/// What is kept of the home folder beside the store: files, and folders with all that is in them.
const KEYS: &str = "keys.json";
const TEMPLATES: &str = "templates";
/// Of an agent's workspace always.
const CONTROL: &str = "control";
