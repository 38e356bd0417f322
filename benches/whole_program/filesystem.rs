//! The state of the filesystem that the servers write to, which figures depend on.
//!
//! ext4 searches long for a free inode for some minutes after many files were deleted there: a
//! file then costs 10 to 20 times as much. So nothing is deleted during a run; large files are
//! emptied after their cell to give the room back, and all is deleted at the very end.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use tokio::time::Instant;

use crate::load::percentile;

const FILES: u32 = 1000;
const SYNCS: u32 = 100;
const WORTH_EMPTYING: u64 = 4096;

/// What making files and syncing them costs now.
#[derive(Serialize)]
pub(crate) struct FilesystemState {
    /// Its type, as the kernel names it.
    pub(crate) kind: String,
    /// Median time to make an empty file. Unit: µs. About 10 to 50 is healthy.
    pub(crate) create_us: f64,
    /// The same for the slowest hundredth. Unit: µs.
    pub(crate) create_p99_us: f64,
    /// Median time to append 200 bytes and sync them. Unit: µs. Below 10: no real disk.
    pub(crate) sync_us: f64,
}

/// Probes the filesystem in the new folder `folder`.
pub(crate) fn probe(folder: &Path) -> Result<FilesystemState> {
    fs::create_dir_all(folder)?;
    let creates = timed(FILES, |at| {
        File::create(folder.join(format!("{at}"))).map(drop)
    })?;
    let mut journal = File::create(folder.join("journal"))?;
    let syncs = timed(SYNCS, |_| {
        journal
            .write_all(&[b'x'; 200])
            .and_then(|()| journal.sync_data())
    })?;
    Ok(FilesystemState {
        kind: kind(folder),
        create_us: micros(percentile(&creates, 0.5)),
        create_p99_us: micros(percentile(&creates, 0.99)),
        sync_us: micros(percentile(&syncs, 0.5)),
    })
}

/// Gives the room of all larger files below `folder` back, and deletes none.
pub(crate) fn empty_files(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            empty_files(&entry.path())?;
        } else if metadata.len() > WORTH_EMPTYING {
            OpenOptions::new()
                .write(true)
                .open(entry.path())?
                .set_len(0)?;
        }
    }
    Ok(())
}

fn timed(times: u32, mut act: impl FnMut(u32) -> std::io::Result<()>) -> Result<Vec<Duration>> {
    let mut all = Vec::new();
    for at in 0..times {
        let begin = Instant::now();
        act(at)?;
        all.push(begin.elapsed());
    }
    all.sort_unstable();
    Ok(all)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn kind(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let folder = folder.canonicalize().unwrap_or_default();
    let lines = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let ours = lines
        .filter(|(at, _)| folder.starts_with(at))
        .max_by_key(|(at, _)| at.len());
    ours.map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}
