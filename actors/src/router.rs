//! Accepts messages: chooses the form, commits, answers, and tells the inbox writer.
//!
//! Invariants: nobody hears "accepted" before the commit; the inbox writer hears of messages in
//! the order of the commits; a message whose sender has gone is kept all the same.
//!
//! | message | from | reply |
//! |---|---|---|
//! | [`Accept`] | HTTP handlers | by its own oneshot, after the commit |
//! | [`ContextsMarked`] | `InboxWriter` | none |
//! | [`GetStatus`] | HTTP handlers | [`ActorStatus`] |

mod commits;
mod tool_loop;

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use self::commits::Commit;
use crate::{
    delivery::{Depth, Mailbox},
    domain::{
        compaction::{AnnouncedContexts, Compaction},
        envelope::{Envelope, InboxForm, StoredMessage},
        ids::{ContextId, MessageId},
    },
    inbox_writer::InboxWriter,
    lifecycle::{ActorStatus, GetStatus},
    ports::{InboxStore, MessageStore, StoreError},
};

/// Takes a message in.
///
/// The mailbox has room for every permit of the door, so it is full only when the router hangs.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Accept {
    /// The message.
    pub envelope: Envelope,
    /// Until when its inbox item waits for a backend's reply; `None` without a relay.
    pub reply_due: Option<DateTime<Utc>>,
    /// For a further request of a tool loop: its new messages, as JSON. It is kept with the
    /// newest message of its context; where there is none it is a message of its own.
    pub continues: Option<Bytes>,
    /// Hears of the commit, or why there was none. Nobody listening takes nothing back.
    pub reply: oneshot::Sender<Result<Accepted, AcceptError>>,
    /// The place at the door that this message holds until it is committed.
    pub permit: OwnedSemaphorePermit,
}

/// A message is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The message; an earlier one where this was a step of its tool loop.
    pub message: MessageId,
    /// 0 for the message itself, else the number of the step.
    pub exchange: u32,
}

/// Why a message was not accepted.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum AcceptError {
    /// The store did not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Too much is being accepted right now.
    #[error("too many requests are being accepted right now; try again shortly")]
    Busy,
}

/// The marks of these contexts are on disk.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ContextsMarked(pub Vec<ContextId>);

/// The router actor.
pub struct Router {
    compaction: Compaction,
    store: Arc<dyn MessageStore>,
    inbox: Arc<dyn InboxStore>,
    commits: mpsc::Sender<Commit>,
    announced: AnnouncedContexts,
    depth: Depth,
    mailbox_capacity: usize,
}

/// Room in the mailbox besides the permits of the door: for marks and questions.
const OTHER_MESSAGES: usize = 64;

/// What a router works with.
#[derive(Clone)]
pub struct RouterParts {
    /// What later messages of a context hold.
    pub compaction: Compaction,
    /// Where messages are kept.
    pub store: Arc<dyn MessageStore>,
    /// Knows which contexts are marked.
    pub inbox: Arc<dyn InboxStore>,
    /// Hears of every commit.
    pub inbox_writer: Mailbox<InboxWriter>,
    /// The router's own count of waiting messages.
    pub depth: Depth,
    /// Whether the inbox writer has fallen behind.
    pub inbox_is_behind: watch::Receiver<bool>,
    /// Messages that may be on their way at once: the permits of the door.
    pub in_flight: usize,
}

impl Router {
    /// A router, and the task that follows its commits. Call it on the arbiter that runs it.
    pub fn new(parts: RouterParts) -> Self {
        let (commits, queue) = mpsc::channel(parts.in_flight.max(1));
        let inbox = commits::Inbox {
            writer: parts.inbox_writer,
            is_behind: parts.inbox_is_behind,
        };
        actix_rt::spawn(commits::follow(queue, inbox));
        Self {
            compaction: parts.compaction,
            store: parts.store,
            inbox: parts.inbox,
            commits,
            announced: AnnouncedContexts::default(),
            depth: parts.depth,
            mailbox_capacity: parts.in_flight.max(1).saturating_add(OTHER_MESSAGES),
        }
    }

    fn accept(&mut self, accept: Accept) {
        let Accept {
            envelope,
            reply_due,
            reply,
            permit,
            ..
        } = accept;
        let message = Arc::new(self.stored_message(envelope, reply_due));
        if message.form == InboxForm::Whole
            && let Some(context_id) = &message.context_id
        {
            self.announced.announce(context_id.clone());
        }
        let receipt = self.store.accept(Arc::clone(&message));
        let commit = Commit {
            receipt,
            message,
            reply,
            permit,
        };
        // There is room for every permit; without it, dropping `reply` tells the handler.
        if self.commits.try_send(commit).is_err() {
            tracing::error!("the queue of commits is gone or full; a message goes unanswered");
        }
    }

    fn stored_message(
        &self,
        envelope: Envelope,
        reply_due: Option<DateTime<Utc>>,
    ) -> StoredMessage {
        let context_id = envelope.context_id.as_ref();
        let is_marked = context_id.is_some_and(|id| self.inbox.is_context_seen(id));
        let form = self.announced.form(self.compaction, context_id, is_marked);
        StoredMessage {
            id: envelope.id,
            received_at: envelope.received_at,
            prompt: envelope.prompt,
            form,
            body: (form != InboxForm::Repeat).then_some(envelope.body),
            context_id: envelope.context_id,
            reply_due,
        }
    }
}

impl Actor for Router {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox_capacity);
    }
}

impl Handler<Accept> for Router {
    type Result = ();

    fn handle(&mut self, mut accept: Accept, ctx: &mut Self::Context) {
        let _handling = self.depth.taken();
        match (accept.continues.take(), accept.envelope.context_id.clone()) {
            (Some(request), Some(context_id)) => {
                tool_loop::accept_step(self, request, context_id, accept, ctx);
            }
            _ => self.accept(accept),
        }
    }
}

impl Handler<ContextsMarked> for Router {
    type Result = ();

    fn handle(&mut self, marked: ContextsMarked, _: &mut Self::Context) {
        let _handling = self.depth.taken();
        for context_id in &marked.0 {
            self.announced.forget(context_id);
        }
    }
}

impl Handler<GetStatus> for Router {
    type Result = ActorStatus;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> ActorStatus {
        let _handling = self.depth.taken();
        ActorStatus {
            actor: "router",
            waiting: self.commits.max_capacity() - self.commits.capacity(),
            oldest_waiting_ms: None,
            state: "ok".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
