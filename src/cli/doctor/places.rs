//! Folders that a service writes to, and the disks below them.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, statfs, statvfs},
    io::Errno,
};

use super::finding::{Finding, Section};

/// How a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    /// A file can be written into it.
    Usable,
    /// It is not there, and can be made.
    ToBeMade,
    /// Something else is in its place.
    SomethingElse,
    /// It cannot be written to, or made: why, in the system's words.
    Refused(String),
    /// There is no room for a file.
    Full,
}

/// What a disk is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What it holds is there after a restart of the machine, as far as is known.
    Lasting,
    /// It is gone at a restart of the machine.
    Memory,
    /// Another machine holds it; its name.
    Network(&'static str),
}

/// The disk of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    /// Bytes that may still be written.
    pub(super) free: u64,
    /// All its bytes.
    pub(super) size: u64,
    /// Files that may still be made; `None` where they are not counted.
    pub(super) files_free: Option<u64>,
    pub(super) kind: Kind,
}

/// A folder and its disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) folder: Folder,
    pub(super) disk: Option<Disk>,
}

impl Place {
    /// Looks at a folder. What it writes has no name and is gone at once.
    pub(super) fn look(path: &Path) -> Self {
        let nearest = path.ancestors().find(|folder| folder.exists());
        let folder = match nearest {
            Some(nearest) if nearest == path && !path.is_dir() => Folder::SomethingElse,
            Some(nearest) => match writing(nearest) {
                Folder::Usable if nearest != path => Folder::ToBeMade,
                other => other,
            },
            None => Folder::Refused("no folder above it can be found".to_owned()),
        };
        Self {
            path: path.to_owned(),
            folder,
            disk: nearest.and_then(disk),
        }
    }
}

/// Whether a file can be written into a folder that is there.
fn writing(folder: &Path) -> Folder {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let nameless = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR);
    let written = match nameless {
        Ok(file) => File::from(file).write_all(&[0; 4096]),
        // Not every file system has files without names.
        Err(Errno::NOTSUP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
            let all = Access::WRITE_OK | Access::EXEC_OK;
            accessat(CWD, folder, all, AtFlags::EACCESS).map_err(io::Error::from)
        }
        Err(error) => Err(error.into()),
    };
    match written {
        Ok(()) => Folder::Usable,
        Err(error) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Folder::Full,
            io::ErrorKind::NotADirectory => Folder::SomethingElse,
            _ => Folder::Refused(error.to_string()),
        },
    }
}

fn disk(folder: &Path) -> Option<Disk> {
    let counted = statvfs(folder).ok()?;
    let of_kind = statfs(folder).ok()?;
    Some(Disk {
        free: counted.f_bavail.saturating_mul(counted.f_frsize),
        size: counted.f_blocks.saturating_mul(counted.f_frsize),
        files_free: (counted.f_files > 0).then_some(counted.f_favail),
        kind: kind(u64::try_from(of_kind.f_type).unwrap_or_default() & 0xffff_ffff),
    })
}

/// By the kernel's numbers.
const fn kind(number: u64) -> Kind {
    match number {
        0x0102_1994 | 0x8584_58f6 => Kind::Memory,
        0x6969 => Kind::Network("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Kind::Network("SMB"),
        0x0102_1997 => Kind::Network("9P"),
        0x00c3_6400 => Kind::Network("Ceph"),
        0x5346_414f => Kind::Network("AFS"),
        _ => Kind::Lasting,
    }
}

/// Who besides the owner may do something with a file: its mode, where that is so.
pub(super) fn open_mode(path: &Path) -> Option<u32> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// A file that only its owner should be able to read.
pub(super) fn private_file(section: Section, path: &Path, mode: Option<u32>) -> Option<Finding> {
    let mode = mode?;
    let shown = path.display();
    let found = format!("`{shown}` holds a secret and has mode {mode:04o}: others can reach it");
    Some(Finding::fault(section, "permissions", found).mend(format!("chmod 600 '{shown}'")))
}

/// What a folder and its disk come to; `setting` names the key that chooses another one.
pub(super) fn findings(section: Section, place: &Place, setting: &str, least: u64) -> Vec<Finding> {
    let mut findings = vec![folder_finding(section, place, setting)];
    let Some(disk) = place.disk else {
        return findings;
    };
    let elsewhere = format!("free some space, or set `{setting}` to a folder on another disk");
    if place.folder != Folder::Full && disk.free < least {
        let found = format!(
            "{} of {} are free, less than the {} that are to be left",
            size(disk.free),
            size(disk.size),
            size(least)
        );
        findings.push(Finding::fault(section, "disk", found).mend(elsewhere));
    } else if place.folder != Folder::Full {
        let found = format!("{} of {} are free", size(disk.free), size(disk.size));
        findings.push(Finding::ok(section, "disk", found));
    }
    if disk.files_free.is_some_and(|files| files < FEW_FILES) {
        let found = format!(
            "the disk takes only {} more files (inodes)",
            disk.files_free.unwrap_or_default()
        );
        findings.push(
            Finding::warning(section, "inodes", found).mend("remove files that nobody needs"),
        );
    }
    findings.extend(kind_finding(section, place, disk.kind, setting));
    findings
}

/// Below so many free inodes it is warned.
const FEW_FILES: u64 = 1000;

fn folder_finding(section: Section, place: &Place, setting: &str) -> Finding {
    let shown = place.path.display();
    let mend_mode = format!(
        "run this as the user of the service; `chown` the folder to that user, or set `{setting}`"
    );
    match &place.folder {
        Folder::Usable => Finding::ok(section, "folder", format!("`{shown}` can be written to")),
        Folder::ToBeMade => Finding::note(
            section,
            "folder",
            format!("`{shown}` is not there; the start makes it"),
        ),
        Folder::SomethingElse => Finding::fault(
            section,
            "folder",
            format!("`{shown}` is to be a folder, and something else is in its place"),
        )
        .mend(format!("move that away, or set `{setting}`")),
        Folder::Refused(why) => Finding::fault(
            section,
            "folder",
            format!("`{shown}` cannot be written to: {why}"),
        )
        .mend(mend_mode),
        Folder::Full => Finding::fault(
            section,
            "disk",
            format!("the disk of `{shown}` is full: nothing can be written"),
        )
        .mend(format!(
            "free some space (`df -h '{shown}'`), or set `{setting}` to a folder on another disk"
        )),
    }
}

fn kind_finding(section: Section, place: &Place, kind: Kind, setting: &str) -> Option<Finding> {
    let shown = place.path.display();
    match kind {
        Kind::Lasting => None,
        Kind::Memory => {
            let found = format!("`{shown}` lies in memory: a restart of the machine empties it");
            let mend = format!("set `{setting}` to a folder on a disk");
            Some(Finding::warning(section, "file_system", found).mend(mend))
        }
        Kind::Network(name) if section == Section::Store => {
            let found = format!(
                "`{shown}` lies on a network file system ({name}), where SQLite's locks cannot be relied on"
            );
            let mend = format!("set `{setting}` to a folder on a disk of this machine");
            Some(Finding::fault(section, "file_system", found).mend(mend))
        }
        Kind::Network(name) => {
            let found = format!("`{shown}` lies on a network file system ({name}): it may be slow");
            Some(Finding::note(section, "file_system", found))
        }
    }
}

/// Bytes in the largest unit that gives a number above 1.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut whole = bytes;
    let mut tenths = 0;
    let mut unit = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        tenths = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).unwrap_or(&"B");
    if unit == 0 || whole >= 100 {
        format!("{whole} {name}")
    } else {
        format!("{whole}.{tenths} {name}")
    }
}

#[cfg(test)]
mod tests;
