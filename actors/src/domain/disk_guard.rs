//! Whether the disks have room for new work.
//!
//! What was accepted needs room to its end: answers, marks, inbox files. So new work is refused while
//! there is still some left, and taken again once there is a little more, so that it does not come
//! and go with every message.

use std::fmt;

/// Files that a disk must have room for, where it counts them; fewer are as bad as no bytes.
pub const LEAST_INODES: u64 = 1000;

/// What a disk has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that we may still write.
    pub free_bytes: u64,
    /// Files that we may still make; `None`: the file system does not count them.
    pub free_inodes: Option<u64>,
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShortOf {
    /// Room for bytes.
    Bytes,
    /// Room for files.
    Inodes,
}

/// A disk that has too little left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskShortage {
    /// What the disk is for: `store`, `inbox`.
    pub disk: &'static str,
    /// What it lacks.
    pub of: ShortOf,
    /// What is left, in bytes or files.
    pub free: u64,
    /// What is needed until new work is taken again, in bytes or files.
    pub needed: u64,
}

impl fmt::Display for DiskShortage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            disk, free, needed, ..
        } = self;
        match self.of {
            ShortOf::Bytes => write!(
                formatter,
                "the disk of the {disk} has {} left, and new work is taken from {} on (`store.min_free`)",
                Bytes(*free),
                Bytes(*needed)
            ),
            ShortOf::Inodes => write!(
                formatter,
                "the disk of the {disk} has room for {free} more files (inodes), and new work is taken from {needed} on"
            ),
        }
    }
}

/// A number of bytes, for people.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 10 << 20 => write!(formatter, "{} MiB", bytes >> 20),
            bytes if bytes >= 10 << 10 => write!(formatter, "{} KiB", bytes >> 10),
            bytes => write!(formatter, "{bytes} bytes"),
        }
    }
}

/// Decides whether new work is taken, look by look.
#[derive(Debug, Clone)]
pub struct DiskGuard {
    min_free: u64,
    shortage: Option<DiskShortage>,
}

impl DiskGuard {
    /// A guard that wants so many bytes left; with 0 it wants nothing, inodes included.
    pub const fn new(min_free: u64) -> Self {
        Self {
            min_free,
            shortage: None,
        }
    }

    /// Takes a look into account; answers the first disk that lacks something, if one does. Disks
    /// that could not be looked at are left out.
    pub fn look(&mut self, disks: &[(&'static str, DiskSpace)]) -> Option<DiskShortage> {
        let is_closed = self.shortage.is_some();
        let found = disks
            .iter()
            .find_map(|(disk, space)| self.shortage_of(disk, *space, is_closed));
        self.shortage = found;
        found
    }

    fn shortage_of(
        &self,
        disk: &'static str,
        space: DiskSpace,
        is_closed: bool,
    ) -> Option<DiskShortage> {
        if self.min_free == 0 {
            return None;
        }
        let lacks = |of, free, least: u64| {
            let reopening = least.saturating_add(least / 10);
            let needed = if is_closed { reopening } else { least };
            (free < needed).then_some(DiskShortage {
                disk,
                of,
                free,
                needed: reopening,
            })
        };
        lacks(ShortOf::Bytes, space.free_bytes, self.min_free).or_else(|| {
            let free = space.free_inodes?;
            lacks(ShortOf::Inodes, free, LEAST_INODES)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(free_bytes: u64) -> DiskSpace {
        DiskSpace {
            free_bytes,
            free_inodes: Some(1_000_000),
        }
    }

    fn is_open(guard: &mut DiskGuard, store: u64, inbox: u64) -> bool {
        guard
            .look(&[("store", bytes(store)), ("inbox", bytes(inbox))])
            .is_none()
    }

    #[test]
    fn work_is_refused_below_the_limit_and_taken_again_a_tenth_above_it() {
        let mut guard = DiskGuard::new(1000);
        for (free, open) in [
            (1000, true),
            (999, false),
            (1000, false),
            (1099, false),
            (1100, true),
            (1000, true),
        ] {
            assert_eq!(is_open(&mut guard, free, 5000), open, "{free}");
        }
    }

    #[test]
    fn each_disk_counts() {
        let mut guard = DiskGuard::new(1000);
        let look = [("store", bytes(5000)), ("inbox", bytes(10))];
        assert_eq!(guard.look(&look).unwrap().disk, "inbox");
        assert!(is_open(&mut guard, 5000, 5000));
    }

    #[test]
    fn a_disk_without_room_for_files_is_as_bad_where_they_are_counted() {
        let mut guard = DiskGuard::new(1000);
        let space = |free_inodes| DiskSpace {
            free_inodes,
            ..bytes(5000)
        };
        assert_eq!(guard.look(&[("store", space(None))]), None);
        assert_eq!(guard.look(&[("store", space(Some(1000)))]), None);
        let shortage = guard.look(&[("store", space(Some(999)))]).unwrap();
        assert_eq!(shortage.of, ShortOf::Inodes);
        assert!(guard.look(&[("store", space(Some(1099)))]).is_some());
        assert_eq!(guard.look(&[("store", space(Some(1100)))]), None);
    }

    #[test]
    fn without_a_limit_everything_may_be_used() {
        let mut guard = DiskGuard::new(0);
        let nothing = DiskSpace {
            free_bytes: 0,
            free_inodes: Some(0),
        };
        assert_eq!(guard.look(&[("store", nothing)]), None);
    }

    #[test]
    fn a_shortage_says_what_is_there_and_what_is_needed() {
        let mut guard = DiskGuard::new(256 << 20);
        let shortage = guard.look(&[("store", bytes(100 << 20))]).unwrap();
        assert_eq!(
            shortage.to_string(),
            "the disk of the store has 100 MiB left, and new work is taken from 281 MiB on (`store.min_free`)"
        );
    }
}
