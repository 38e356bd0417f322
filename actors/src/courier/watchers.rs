//! Who waits for the ends of deliveries.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::DeliveryEnd;
use crate::domain::ids::MessageId;

/// Watchers that are kept; further ones are dropped.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_message: HashMap<MessageId, Vec<oneshot::Sender<DeliveryEnd>>>,
    count: usize,
}

impl Watchers {
    pub(super) fn add(&mut self, id: MessageId, watcher: oneshot::Sender<DeliveryEnd>) {
        if self.count >= MOST {
            self.sweep();
        }
        if self.count < MOST {
            self.count = self.count.saturating_add(1);
            self.by_message.entry(id).or_default().push(watcher);
        }
    }

    pub(super) fn tell(&mut self, id: MessageId, end: &DeliveryEnd) {
        let watchers = self.by_message.remove(&id).unwrap_or_default();
        self.count = self.count.saturating_sub(watchers.len());
        for watcher in watchers {
            // Whoever asked may have stopped waiting.
            watcher.send(end.clone()).ok();
        }
    }

    /// Drops those who have stopped waiting.
    fn sweep(&mut self) {
        self.by_message.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.is_closed());
            !watchers.is_empty()
        });
        self.count = self.by_message.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn too_many_are_dropped_unless_others_have_gone() {
        let mut watchers = Watchers::default();
        let id = MessageId::new(Uuid::from_u128(1));
        let mut receivers = Vec::new();
        for _ in 0..MOST {
            let (watcher, receiver) = oneshot::channel();
            watchers.add(id, watcher);
            receivers.push(receiver);
        }
        let (watcher, mut late) = oneshot::channel();
        watchers.add(id, watcher);
        assert_eq!(late.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        receivers.clear();
        let (watcher, mut lucky) = oneshot::channel();
        watchers.add(id, watcher);
        watchers.tell(id, &DeliveryEnd::Delivered);
        assert_eq!(lucky.try_recv(), Ok(DeliveryEnd::Delivered));
        assert_eq!(watchers.count, 0);
    }
}
