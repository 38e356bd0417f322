//! How much room the disk of a folder has.

use std::{io, path::Path};

use postroom_actors::domain::disk_guard::DiskSpace;

/// Asks the file system that a path lies on; blocks while that does not answer.
///
/// # Errors
/// The path is not there, or its file system does not tell.
pub fn space(path: &Path) -> io::Result<DiskSpace> {
    let facts = rustix::fs::statvfs(path)?;
    Ok(DiskSpace {
        // What is kept for root is not ours.
        free_bytes: facts.f_bavail.saturating_mul(facts.f_frsize),
        free_inodes: (facts.f_files > 0).then_some(facts.f_favail),
    })
}
