//! Follows the commits in their order: tells the inbox writer, then answers the handler.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::{AcceptError, Accepted};
use crate::{
    activity::Activity,
    delivery::{DeliveryError, Mailbox},
    domain::{
        activity::{Fact, short},
        envelope::{PendingItem, Sequence, StoredMessage},
    },
    inbox_writer::{AppendToInbox, InboxWriter},
    ports::{SendFuture, StoreError},
};

/// A message on its way to the disk.
pub(super) struct Commit {
    pub(super) receipt: SendFuture<Result<Sequence, StoreError>>,
    pub(super) message: Arc<StoredMessage>,
    pub(super) reply: oneshot::Sender<Result<Accepted, AcceptError>>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// The way to the inbox.
pub(super) struct Inbox {
    pub(super) writer: Mailbox<InboxWriter>,
    pub(super) is_behind: watch::Receiver<bool>,
    /// Told of what is kept.
    pub(super) activity: Activity,
}

impl Inbox {
    /// Waits while the inbox writer is behind, a bounded time: that slows the next answers to the
    /// speed of the disk.
    async fn catch_up(&mut self) {
        if *self.is_behind.borrow() {
            let caught_up = self.is_behind.wait_for(|is_behind| !is_behind);
            // Too late is no failure: the message is kept, its file comes later.
            tokio::time::timeout(LONGEST_HOLD, caught_up).await.ok();
        }
    }
}

/// How long one answer is held back at most by an inbox that is behind: some 500 messages a second
/// are accepted however long the inbox takes.
const LONGEST_HOLD: Duration = Duration::from_millis(2);

/// How long the inbox writer may take for one append before we say so in the log.
const SLOW_APPEND: Duration = Duration::from_secs(5);

/// Runs until the router is gone and its last commit is answered.
///
/// The store commits in the order of the calls, so waiting for one receipt after the other costs
/// nothing. A slow inbox writer slows this task, and with it the accepting: that is meant.
pub(super) async fn follow(mut queue: mpsc::Receiver<Commit>, mut inbox: Inbox) {
    while let Some(Commit {
        receipt,
        message,
        reply,
        permit,
    }) = queue.recv().await
    {
        match receipt.await {
            Ok(sequence) => {
                tell(&inbox.activity, &message);
                let accepted = Accepted {
                    message: message.id,
                    exchange: 0,
                };
                // First, so that a backend's reply to this message never overtakes it.
                append(&inbox.writer, sequence, message).await;
                // A client that has gone is no reason to forget its message.
                reply.send(Ok(accepted)).ok();
                drop(permit);
                inbox.catch_up().await;
            }
            Err(error) => {
                reply.send(Err(AcceptError::Store(error))).ok();
            }
        }
    }
}

/// For whoever watches; without anyone it costs nothing.
fn tell(activity: &Activity, message: &StoredMessage) {
    activity.tell_of_mailbox(|| Fact::MessageAccepted {
        message: message.id,
        context_id: message.context_id.as_ref().map(|id| short(id.as_str())),
    });
}

async fn append(
    inbox_writer: &Mailbox<InboxWriter>,
    sequence: Sequence,
    message: Arc<StoredMessage>,
) {
    let item = PendingItem::of(sequence, &message);
    let mut append = AppendToInbox { item, message };
    loop {
        append = match inbox_writer.try_deliver_or_return(append) {
            Err((DeliveryError::Full(_), back)) => back,
            // A restarted inbox writer reads what is pending from the store.
            Ok(()) | Err((DeliveryError::Closed(_) | DeliveryError::TimedOut(_), _)) => return,
        };
        if inbox_writer.wait_for_room(SLOW_APPEND).await.is_err() {
            tracing::warn!("the inbox writer takes long; accepting waits for it");
        }
    }
}
