//! What the store's threads and its callers know of each other.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use postroom_actors::ports::StoreError;
use tokio::sync::watch;

use super::metrics;

/// Why the store refuses changes, and how much it holds.
#[derive(Debug, Default)]
pub(super) struct SharedState {
    /// Spares the callers the lock while all is well.
    is_troubled: AtomicBool,
    trouble: Mutex<Option<StoreError>>,
    messages: AtomicU64,
    pending: AtomicU64,
}

impl SharedState {
    pub(super) fn trouble(&self) -> Option<StoreError> {
        if !self.is_troubled.load(Ordering::Acquire) {
            return None;
        }
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn set_trouble(&self, trouble: Option<StoreError>) {
        let state = match &trouble {
            None => 0.0,
            Some(StoreError::Full) => 1.0,
            Some(_) => 2.0,
        };
        let is_troubled = trouble.is_some();
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        self.is_troubled.store(is_troubled, Ordering::Release);
        ::metrics::gauge!(metrics::STATE).set(state);
    }

    /// Messages kept, and messages whose inbox item is not written.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.messages.load(Ordering::Relaxed),
            self.pending.load(Ordering::Relaxed),
        )
    }

    pub(super) fn set_counts(&self, messages: u64, pending: u64) {
        self.messages.store(messages, Ordering::Relaxed);
        self.pending.store(pending, Ordering::Relaxed);
    }
}

/// Held by a thread of the store; whoever waits hears when it is gone, be it by a panic.
#[derive(Debug)]
pub(super) struct Alive {
    _sender: watch::Sender<()>,
}

impl Alive {
    pub(super) fn new() -> (Self, Ended) {
        let (sender, receiver) = watch::channel(());
        (Self { _sender: sender }, Ended(receiver))
    }
}

/// Tells when a thread has ended.
#[derive(Debug, Clone)]
pub(super) struct Ended(watch::Receiver<()>);

impl Ended {
    pub(super) async fn wait(mut self) {
        // Nothing is ever sent: an answer can only be that the sender is gone.
        while self.0.changed().await.is_ok() {}
    }
}
