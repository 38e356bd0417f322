//! Keeps a reply, then tells the inbox.

use std::{sync::Arc, time::Duration};

use super::metrics;
use crate::{
    activity::Activity,
    delivery::Mailbox,
    domain::{activity::Fact, envelope::RecordedReply},
    inbox_writer::{InboxWriter, ReplyArrived},
    ports::{MessageStore, StoreError},
};

/// Tries to keep a reply before the inbox is told without; some 3 s in all.
const TRIES: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) store: Arc<dyn MessageStore>,
    pub(super) inbox_writer: Mailbox<InboxWriter>,
    pub(super) activity: Activity,
}

impl Recorder {
    /// Keeps the reply in the store and tells the inbox writer, in this order.
    ///
    /// A store that goes on refusing does not keep the reply from the inbox.
    pub(super) async fn record(self, reply: RecordedReply) {
        let arrived = ReplyArrived {
            message: reply.message,
            text: reply.text.clone(),
            outcome: reply.outcome,
        };
        let ended = self
            .activity
            .is_mailbox_watched()
            .then(|| Fact::RelayEnded {
                message: reply.message,
                backend: reply.backend.clone(),
                outcome: reply.outcome,
            });
        if let Err(error) = self.keep(reply).await {
            let message_id = arrived.message;
            tracing::error!(%message_id, %error, "reply not recorded");
            metrics::reply_not_recorded();
        } else if let Some(ended) = ended {
            self.activity.tell_of_mailbox(|| ended);
        }
        self.tell(arrived);
    }

    fn tell(&self, arrived: ReplyArrived) {
        let message_id = arrived.message;
        if let Err(error) = self.inbox_writer.try_deliver(arrived) {
            tracing::warn!(%message_id, %error, "inbox not told of a reply; its item is written when its wait is over");
            metrics::notice_dropped();
        }
    }

    async fn keep(&self, reply: RecordedReply) -> Result<(), StoreError> {
        let mut wait = FIRST_WAIT;
        for _ in 1..TRIES {
            match self.store.record_reply(reply.clone()).await {
                Err(StoreError::Busy | StoreError::Full | StoreError::Io(_)) => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                recorded_or_hopeless => return recorded_or_hopeless,
            }
        }
        self.store.record_reply(reply).await
    }
}
