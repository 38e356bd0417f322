//! How much room is left, as it was seen last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Room on the disks that we use. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disks(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Disks {
    /// Notes that `free` bytes are left on the disk of `store`, `inbox` or `home`.
    pub fn note(&self, disk: &'static str, free: u64) {
        self.lock().insert(disk, free);
    }

    /// Bytes that are left on the disk of `store`, `inbox` or `home`; `None` before the first look.
    pub fn free(&self, disk: &str) -> Option<u64> {
        self.lock().get(disk).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
