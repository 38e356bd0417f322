//! The inbox folder on disk.
//!
//! A file is written under a dot-name, synced and renamed into place, so that whoever lists
//! `*.json` sees whole files only. The syncs of a call run side by side on a few threads; its
//! files then become visible in order, and one sync of the folder makes that lasting.

use std::{path::Path, sync::Arc};

use postroom_actors::{
    domain::{ids::ContextId, metric::Metric},
    ports::{InboxError, InboxStore, RenderFile, SendFuture, WrittenFile},
};
use sha2::{Digest, Sha256};
use tokio::{
    sync::{Semaphore, oneshot},
    time::Instant,
};

use call::Call;
use folder::Folder;
use pool::Pool;

mod call;
mod folder;
mod pool;
#[cfg(test)]
mod tests;

/// The folder beside the inbox in which contexts are marked as seen.
const MARKS_FOLDER: &str = ".context_ids";

/// How many files may be on their way to the disk. A call with more takes all the places.
const MAX_FILES_IN_FLIGHT: u32 = 1024;

const SYNC_DURATION: &str = "postroom_inbox_sync_seconds";

/// What is counted about inbox folders.
pub const METRICS: &[Metric] = &[Metric::seconds(
    SYNC_DURATION,
    &[],
    "Time of one write of inbox files: from its place in the queue until files and folder are synced",
)];

/// The inbox folder and the marks of contexts beside it.
#[derive(Debug)]
pub struct InboxFiles {
    folder: Arc<Folder>,
    marks: Arc<Folder>,
    places: Arc<Semaphore>,
    pool: Pool,
}

impl InboxFiles {
    /// Opens the inbox, creates what is missing and removes what a crash left half-written.
    ///
    /// # Errors
    /// [`InboxError`] where a folder cannot be created, opened or listed.
    pub fn open(folder: &Path) -> Result<Self, InboxError> {
        let folder = Folder::open(folder, folder::PRIVATE)?;
        folder.sweep()?;
        let beside = folder.path().parent().unwrap_or(Path::new("/"));
        let marks = Folder::open(&beside.join(MARKS_FOLDER), folder::LISTABLE)?;
        let places = usize::try_from(MAX_FILES_IN_FLIGHT).unwrap_or(usize::MAX);
        Ok(Self {
            folder: Arc::new(folder),
            marks: Arc::new(marks),
            places: Arc::new(Semaphore::new(places)),
            pool: Pool::new(),
        })
    }

    /// The inbox, links resolved.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl InboxStore for InboxFiles {
    /// # Cancel safety
    /// Once the files have a place in the queue, dropping the future takes nothing back.
    fn write(&self, files: Vec<RenderFile>) -> SendFuture<Result<Vec<WrittenFile>, InboxError>> {
        let wanted = u32::try_from(files.len()).unwrap_or(MAX_FILES_IN_FLIGHT);
        let places = Arc::clone(&self.places);
        let (folder, marks) = (Arc::clone(&self.folder), Arc::clone(&self.marks));
        let pool = self.pool.clone();
        Box::pin(async move {
            if files.is_empty() {
                return Ok(Vec::new());
            }
            let wanted = wanted.min(MAX_FILES_IN_FLIGHT);
            let stopped = || folder.error("", std::io::Error::other("the writer stopped"));
            let held = places.acquire_many_owned(wanted).await;
            let held = held.map_err(|_closed| stopped())?;
            let (answer, outcome) = oneshot::channel();
            let call = Call {
                folder: Arc::clone(&folder),
                marks,
                pool,
                answer,
                began: Instant::now(),
                places: held,
            };
            call.start(files);
            outcome.await.unwrap_or_else(|_dropped| Err(stopped()))
        })
    }

    fn is_context_seen(&self, context_id: &ContextId) -> bool {
        fail::fail_point!("inbox::is_context_seen");
        let mark = self.marks.path().join(mark_name(context_id));
        mark.symlink_metadata().is_ok()
    }
}

/// The name of a context's mark: the SHA-256 of its id, in lower-case hex.
fn mark_name(context_id: &ContextId) -> String {
    base16ct::lower::encode_string(&Sha256::digest(context_id.as_str()))
}
