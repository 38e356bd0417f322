//! Writes accepted messages into the inbox folder, batched per context, in order.
//!
//! At start it reads from the store what is not written yet, and takes nothing else before that.
//! Bodies are kept in memory only as long as there is room; else they are read back when due.
//!
//! | message | from | reply |
//! |---|---|---|
//! | [`AppendToInbox`] | `Router`, in the order of the commits | none |
//! | [`ReplyArrived`] | `BackendRelay` | none |
//! | [`Drain`] | shutdown | when everything is written |
//! | [`GetStatus`] | HTTP handlers | [`ActorStatus`] |

mod pace;
mod recovery;
mod write;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, Message, ResponseFuture, SpawnHandle};
use chrono::TimeDelta;
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    delivery::{Depth, Mailbox},
    domain::{
        batching::{Batcher, DueLane},
        envelope::{PendingItem, RelayOutcome, Sequence, StoredMessage},
        ids::MessageId,
        inbox_item::ItemExtras,
        metric::{Buckets, Metric},
    },
    lifecycle::{ActorStatus, Drain, GetStatus},
    ports::{Clock, InboxStore, MessageStore},
    router::Router,
};

const PENDING: &str = "postroom_inbox_pending";
const FILES_WRITTEN: &str = "postroom_inbox_files_written_total";
const WRITE_FAILURES: &str = "postroom_inbox_write_failures_total";
const BATCH_SIZE: &str = "postroom_inbox_batch_size";

/// What is counted about the inbox.
pub const METRICS: &[Metric] = &[
    Metric::gauge(
        PENDING,
        &[],
        "Accepted messages whose file is not written yet",
    ),
    Metric::counter(FILES_WRITTEN, &[], "Inbox files written and synced"),
    Metric::counter(
        WRITE_FAILURES,
        &[],
        "Inbox writes that failed and are tried again",
    ),
    Metric::histogram(
        BATCH_SIZE,
        Buckets::Counts,
        &[],
        "Messages in one inbox file",
    ),
];

/// A message was accepted and belongs in the inbox.
///
/// Sent by the router after the commit, in the order of acceptance.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct AppendToInbox {
    /// What is kept in memory of it while it waits.
    pub item: PendingItem,
    /// The message itself, so that it need not be read back.
    pub message: Arc<StoredMessage>,
}

/// The relay of a message has ended, and its reply, if any, is in the store.
///
/// Sent by the backend relay. Where it never comes, the item is written at its `reply_due`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ReplyArrived {
    /// The message.
    pub message: MessageId,
    /// The assistant's text, where there was some.
    pub text: Option<Arc<str>>,
    /// How the relay ended. After [`RelayOutcome::ToolCalls`] the item goes on waiting.
    pub outcome: RelayOutcome,
}

/// What an inbox writer works with.
#[derive(Clone)]
pub struct InboxWriterParts {
    /// How long messages of one context are gathered into one file; 0: not at all.
    pub batch_window: Duration,
    /// What every inbox file says besides the message.
    pub extras: Arc<ItemExtras>,
    /// Where messages are kept.
    pub store: Arc<dyn MessageStore>,
    /// The folder.
    pub inbox: Arc<dyn InboxStore>,
    /// Hears which contexts are marked.
    pub router: Mailbox<Router>,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// The inbox writer's own count of waiting messages.
    pub depth: Depth,
    /// Told when the writer falls behind, and when it has caught up.
    pub is_behind: watch::Sender<bool>,
}

/// The inbox writer actor.
pub struct InboxWriter {
    parts: InboxWriterParts,
    batcher: Batcher,
    cached: HashMap<Sequence, Arc<StoredMessage>>,
    cached_bytes: usize,
    writes_in_flight: usize,
    last_write: Option<Instant>,
    lag: TimeDelta,
    timer: Option<(Instant, SpawnHandle)>,
    failures_in_a_row: u32,
    alone_next: usize,
    recovered_through: Sequence,
    drained: Vec<oneshot::Sender<()>>,
}

/// Files that one write call is given at most.
const MAX_FILES_PER_WRITE: usize = 64;

/// Write calls at once; more would only wait for the same disk.
const MAX_WRITES_IN_FLIGHT: usize = 2;

/// Bodies kept in memory while they wait, in bytes.
const MAX_CACHED_BYTES: usize = 16 << 20;

const MAILBOX_CAPACITY: usize = 1024;

impl InboxWriter {
    /// An inbox writer that has not started.
    pub fn new(parts: InboxWriterParts) -> Self {
        let window = TimeDelta::from_std(parts.batch_window).unwrap_or(TimeDelta::MAX);
        Self {
            batcher: Batcher::new(window),
            parts,
            cached: HashMap::new(),
            cached_bytes: 0,
            writes_in_flight: 0,
            last_write: None,
            lag: TimeDelta::zero(),
            timer: None,
            failures_in_a_row: 0,
            alone_next: 0,
            recovered_through: Sequence(0),
            drained: Vec::new(),
        }
    }

    /// Starts writing what is due, as far as writes are free, and sets the timer for the rest.
    fn write_due(&mut self, ctx: &mut Context<Self>) {
        while self.writes_in_flight < MAX_WRITES_IN_FLIGHT && self.pause().is_none() {
            let due = self.take_due();
            if due.is_empty() {
                break;
            }
            self.start_write(due, ctx);
        }
        self.set_timer(ctx);
        self.report();
    }

    /// What the next write call is given. After a failure the lanes of the failed call go one by
    /// one, so that a file that cannot be written holds up its own lane alone.
    fn take_due(&mut self) -> Vec<DueLane> {
        let max_files = if self.alone_next > 0 {
            1
        } else {
            MAX_FILES_PER_WRITE
        };
        let due = self.batcher.take_due(self.parts.clock.now(), max_files);
        if !due.is_empty() {
            self.alone_next = self.alone_next.saturating_sub(1);
        }
        due
    }

    fn start_write(&mut self, due: Vec<DueLane>, ctx: &mut Context<Self>) {
        self.writes_in_flight += 1;
        self.last_write = Some(Instant::now());
        self.lag = self.lag_of(&due);
        let mut in_memory = HashMap::new();
        for due in due.iter().flat_map(|lane| &lane.files).flatten() {
            if let Some(message) = self.take_cached(due.item.sequence) {
                in_memory.insert(due.item.sequence, message);
            }
        }
        write::start(self, due, in_memory, ctx);
    }

    fn cache(&mut self, sequence: Sequence, message: Arc<StoredMessage>) {
        let size = memory_of(&message);
        if self.cached_bytes + size <= MAX_CACHED_BYTES {
            self.cached_bytes += size;
            self.cached.insert(sequence, message);
        }
    }

    fn take_cached(&mut self, sequence: Sequence) -> Option<Arc<StoredMessage>> {
        let message = self.cached.remove(&sequence)?;
        self.cached_bytes = self.cached_bytes.saturating_sub(memory_of(&message));
        Some(message)
    }

    fn report(&mut self) {
        metrics::gauge!(PENDING).set(count(self.batcher.len()));
        self.tell_whether_behind();
        if self.batcher.is_empty() {
            for drained in self.drained.drain(..) {
                // Whoever asked may have stopped waiting.
                drained.send(()).ok();
            }
        }
    }
}

/// What a message costs in memory, roughly, in bytes.
fn memory_of(message: &StoredMessage) -> usize {
    let body = message.body.as_ref().map_or(0, bytes::Bytes::len);
    let prompt = message.prompt.as_ref().map_or(0, |prompt| prompt.len());
    body + prompt + 256
}

fn count(items: usize) -> f64 {
    f64::from(u32::try_from(items).unwrap_or(u32::MAX))
}

impl Actor for InboxWriter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        recovery::load_pending(self, ctx);
    }
}

impl Handler<AppendToInbox> for InboxWriter {
    type Result = ();

    fn handle(&mut self, append: AppendToInbox, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        if append.item.sequence <= self.recovered_through {
            return;
        }
        self.cache(append.item.sequence, append.message);
        self.batcher.push(append.item);
        self.write_due(ctx);
    }
}

impl Handler<ReplyArrived> for InboxWriter {
    type Result = ();

    fn handle(&mut self, reply: ReplyArrived, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.batcher.reply(reply.message, reply.text, reply.outcome);
        self.write_due(ctx);
    }
}

impl Handler<Drain> for InboxWriter {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> ResponseFuture<()> {
        let _handling = self.parts.depth.taken();
        let (sender, receiver) = oneshot::channel();
        self.drained.push(sender);
        self.batcher.give_up_replies();
        self.write_due(ctx);
        Box::pin(async move {
            // A writer that ends has nothing more to write.
            receiver.await.ok();
        })
    }
}

impl Handler<GetStatus> for InboxWriter {
    type Result = ActorStatus;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> ActorStatus {
        let _handling = self.parts.depth.taken();
        let now = self.parts.clock.now();
        let age = self
            .batcher
            .oldest()
            .map(|oldest| now.signed_duration_since(oldest));
        ActorStatus {
            actor: "inbox_writer",
            waiting: self.batcher.len(),
            oldest_waiting_ms: age.and_then(|age| u64::try_from(age.num_milliseconds()).ok()),
            state: if self.failures_in_a_row == 0 {
                "ok"
            } else {
                "retrying"
            }
            .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
