//! A few plain threads for work that waits for the disk.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// How many threads wait for the disk at once; more gain nothing on a local disk.
pub(super) const THREADS: usize = 16;

/// Room for the deepest document that is rendered on a thread.
const STACK_BYTES: usize = 1 << 20;

/// Work of one thread.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// Threads that carry out jobs in the order of their arrival. They start when they are needed
/// and end with the last handle.
#[derive(Clone)]
pub(super) struct Pool {
    handle: Arc<Handle>,
}

struct Handle(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            handle: Arc::new(Handle(Arc::default())),
        }
    }

    /// Queues jobs. Whoever queues them bounds their number.
    ///
    /// # Errors
    /// Where not a single thread can be started; then none of the jobs is carried out.
    pub(super) fn queue(&self, jobs: Vec<Job>) -> std::io::Result<()> {
        let shared = &self.handle.0;
        let mut state = shared.state();
        let wanted = (state.jobs.len() + jobs.len()).saturating_sub(state.idle);
        for _ in 0..wanted.min(THREADS - state.threads) {
            let of_thread = Arc::clone(shared);
            let thread = thread::Builder::new().name("inbox-disk".to_owned());
            let started = thread
                .stack_size(STACK_BYTES)
                .spawn(move || of_thread.work());
            match started {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(error),
                Err(_) => break,
            }
        }
        let added = jobs.len();
        state.jobs.extend(jobs);
        drop(state);
        (0..added.min(THREADS)).for_each(|_| shared.work.notify_one());
        Ok(())
    }
}

impl Pool {
    /// Shares jobs between the thread that calls, one of the pool, and the others.
    pub(super) fn share(&self, jobs: Vec<Job>) {
        let mut jobs = jobs.into_iter();
        let own = jobs.next();
        // One thread is there, so this cannot fail.
        self.queue(jobs.collect()).unwrap_or_default();
        if let Some(job) = own {
            job();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.work.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The job's own handles report the failure when they are dropped.
            drop(catch_unwind(AssertUnwindSafe(job)));
        }
    }

    /// Waits for a job; none when the pool is closed and everything is done.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state.idle += 1;
            state = self
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Pool")
    }
}
