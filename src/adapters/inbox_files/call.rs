//! One call of `write`: its files side by side, then what must be in order.
//!
//! The jobs of a step share one `Arc`; whichever lets go of it last goes on with the next step.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use fail::fail_point;
use postroom_actors::{
    domain::ids::ContextId,
    ports::{InboxError, InboxFile, RenderFile, WrittenFile},
};
use tokio::{
    sync::{OwnedSemaphorePermit, oneshot},
    time::Instant,
};

use super::{
    SYNC_DURATION,
    folder::{Folder, OpenFolder},
    mark_name,
    pool::{Job, Pool, THREADS},
};

/// Files that one thread writes before another one is woken. A short call leaves most of the
/// disk's queue to the commits of the store, which clients wait for.
const FILES_OF_ONE_THREAD: usize = 4;

type Outcome = Result<Vec<WrittenFile>, InboxError>;

/// What a call works with, from its beginning to its answer.
pub(super) struct Call {
    pub(super) folder: Arc<Folder>,
    pub(super) marks: Arc<Folder>,
    pub(super) pool: Pool,
    pub(super) answer: oneshot::Sender<Outcome>,
    /// When it had its place in the queue.
    pub(super) began: Instant,
    /// Held until the call is answered.
    pub(super) places: OwnedSemaphorePermit,
}

/// A file that is synced under its temporary name.
struct Ready {
    name: String,
    size_bytes: u64,
    marks: Option<ContextId>,
}

/// The first step: files under temporary names.
struct Writing {
    call: Call,
    open: Arc<OpenFolder>,
    ready: Mutex<Vec<Option<Result<Ready, InboxError>>>>,
}

/// The last step: the files are in the inbox, their contexts get marks.
struct Marking {
    call: Call,
    open: Arc<OpenFolder>,
    written: Vec<WrittenFile>,
}

impl Call {
    /// Queues the call.
    pub(super) fn start(self, files: Vec<RenderFile>) {
        let pool = self.pool.clone();
        let job = Box::new(move || match self.folder.current() {
            Err(error) => {
                let error = self.folder.error("", error);
                self.answer(Err(error));
            }
            Ok(open) => Writing::start(self, open, files),
        });
        // Without a thread the answer's sender is dropped here, which tells the caller.
        pool.queue(vec![job]).unwrap_or_default();
    }

    fn answer(self, outcome: Outcome) {
        // A caller that went away needs no answer.
        self.answer.send(outcome).unwrap_or_default();
        drop(self.places);
    }
}

impl Writing {
    fn start(call: Call, open: Arc<OpenFolder>, files: Vec<RenderFile>) {
        let writing = Arc::new(Self {
            ready: Mutex::new(files.iter().map(|_| None).collect()),
            open,
            call,
        });
        let pool = writing.call.pool.clone();
        let share = files.len().div_ceil(THREADS).max(FILES_OF_ONE_THREAD);
        let mut files = files.into_iter().enumerate().peekable();
        let mut jobs: Vec<Job> = Vec::new();
        while files.peek().is_some() {
            let files: Vec<_> = files.by_ref().take(share).collect();
            let writing = Arc::clone(&writing);
            jobs.push(Box::new(move || writing.write_all(files)));
        }
        drop(writing);
        pool.share(jobs);
    }

    fn write_all(self: Arc<Self>, files: Vec<(usize, RenderFile)>) {
        for (number, file) in files {
            self.write(number, file);
        }
        if let Some(writing) = Arc::into_inner(self) {
            writing.publish();
        }
    }

    fn write(&self, number: usize, file: RenderFile) {
        // A panic must not take away the slot by which the others' files are cleared up.
        let made = catch_unwind(AssertUnwindSafe(file.render));
        let unmade = |_panic| unmade(&self.call.folder);
        let outcome = made.map_err(unmade).and_then(|file| self.write_temp(file));
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = ready.get_mut(number) {
            *slot = Some(outcome);
        }
    }

    fn write_temp(&self, file: InboxFile) -> Result<Ready, InboxError> {
        let written = self.open.write_temp(&file.name, file.content.as_bytes());
        written.map_err(|source| self.call.folder.error(&file.name, source))?;
        Ok(Ready {
            size_bytes: u64::try_from(file.content.len()).unwrap_or(u64::MAX),
            name: file.name,
            marks: file.marks,
        })
    }

    /// Makes the files visible in order; none of them where one could not be written.
    fn publish(self) {
        let slots = self
            .ready
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut ready = Vec::with_capacity(slots.len());
        let mut failed = None;
        for slot in slots {
            match slot.unwrap_or_else(|| Err(unmade(&self.call.folder))) {
                Ok(file) => ready.push(file),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        let outcome = match failed {
            Some(error) => Err((0, error)),
            None => publish_in_order(&self.call.folder, &self.open, &ready),
        };
        match outcome {
            Ok(()) => {
                metrics::histogram!(SYNC_DURATION).record(self.call.began.elapsed());
                Marking::start(self.call, ready);
            }
            Err((visible, error)) => {
                let hidden = ready.iter().skip(visible);
                hidden.for_each(|file| self.open.discard_temp(&file.name));
                self.call.answer(Err(error));
            }
        }
    }
}

/// Renames the files and syncs their folder; a failure tells how many are visible.
fn publish_in_order(
    folder: &Folder,
    open: &OpenFolder,
    files: &[Ready],
) -> Result<(), (usize, InboxError)> {
    for (number, file) in files.iter().enumerate() {
        let renamed = open.publish(&file.name);
        renamed.map_err(|source| (number, folder.error(&file.name, source)))?;
    }
    let synced = open.sync().and_then(|()| after_folder_sync());
    synced.map_err(|source| (files.len(), folder.error("", source)))
}

#[cfg_attr(
    not(feature = "failpoints"),
    expect(clippy::unnecessary_wraps, reason = "as the build that has them")
)]
fn after_folder_sync() -> io::Result<()> {
    fail_point!("inbox::after_folder_sync", |_| Err(io::Error::other(
        "injected"
    )));
    Ok(())
}

impl Marking {
    fn start(call: Call, files: Vec<Ready>) {
        let mut contexts = Vec::new();
        let mut written = Vec::with_capacity(files.len());
        for file in files {
            written.push(WrittenFile {
                path: call.folder.path().join(file.name),
                size_bytes: file.size_bytes,
            });
            contexts.extend(file.marks);
        }
        contexts.dedup();
        if contexts.is_empty() {
            return call.answer(Ok(written));
        }
        let open = match call.marks.current() {
            Ok(open) => open,
            Err(error) => {
                not_marked(&call.marks.error("", error));
                return call.answer(Ok(written));
            }
        };
        let marking = Arc::new(Self {
            call,
            open,
            written,
        });
        marking.queue(contexts);
    }

    fn queue(self: Arc<Self>, contexts: Vec<ContextId>) {
        let pool = self.call.pool.clone();
        let jobs = contexts.into_iter().map(|context| {
            let marking = Arc::clone(&self);
            let job: Job = Box::new(move || marking.mark(&context));
            job
        });
        let jobs = jobs.collect();
        drop(self);
        pool.share(jobs);
    }

    fn mark(self: Arc<Self>, context: &ContextId) {
        let name = mark_name(context);
        if let Err(source) = self.create_mark(&name, context) {
            not_marked(&self.call.marks.error(&name, source));
        }
        if let Some(marking) = Arc::into_inner(self) {
            marking.finish();
        }
    }

    fn create_mark(&self, name: &str, context: &ContextId) -> io::Result<()> {
        fail_point!("inbox::before_mark", |_| Err(io::Error::other("injected")));
        self.open.write_new(name, format!("{context}\n").as_bytes())
    }

    fn finish(self) {
        if let Err(source) = self.open.sync() {
            not_marked(&self.call.marks.error("", source));
        }
        self.call.answer(Ok(self.written));
    }
}

/// A context without its mark costs room, nothing else: its next message is whole once more. The
/// files are safe, and writing them again would bring back what the agent has consumed.
fn not_marked(error: &InboxError) {
    tracing::warn!(%error, "a context is not marked as seen");
}

fn unmade(folder: &Folder) -> InboxError {
    let source = io::Error::other("the content of a file could not be made");
    folder.error("", source)
}
