//! What operators do with a store's files: copy, check, compact, put back.

mod check;
mod compact;
mod copy;
mod error;
mod facts;
mod replace;

use std::path::Path;

pub use self::{
    check::{Checked, Finding, InboxCheck, check},
    compact::{Compacted, compact},
    copy::copy,
    error::UpkeepError,
    facts::{StoreFacts, facts},
    replace::{ClaimedStore, Replaced},
};

/// The database's name in the store's folder, and in a backup.
pub const DATABASE: &str = "postroom.db";

/// Hears how far something is: what is done of all, in bytes.
pub type Progress<'a> = dyn FnMut(u64, u64) + 'a;

/// Finishes putting a store in place that was ready when somebody ended the command, and removes what
/// was not. The caller has the folder's lock.
pub(super) fn finish_begun(folder: &Path) -> std::io::Result<()> {
    replace::finish(folder)?;
    replace::forget_begun(folder)?;
    compact::forget_begun(folder)
}
