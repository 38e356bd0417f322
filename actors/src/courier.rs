//! Messages to peers and between agents: kept, delivered in order per conversation, tried again on
//! their schedule, and kept as dead letters where nothing helps.
//!
//! Start it once the agents are taken in: a kept message for an agent that is not known is a dead
//! letter. All state comes from the store; tries under way end with the actor, and are made again
//! by its next run (at least once, with the same id).
//!
//! | message | from | reply |
//! |---|---|---|
//! | [`SendMessage`] | HTTP handlers | by its own oneshot, after the commit |
//! | [`WatchDelivery`], [`CancelDelivery`], [`RetryDelivery`] | HTTP handlers | by their own oneshots |
//! | [`Drain`] | shutdown | when no try is under way; none is begun from then on |
//! | [`GetStatus`] | HTTP handlers | [`ActorStatus`] |

mod changes;
mod doors;
mod handover;
mod in_order;
mod intake;
mod messages;
pub mod metrics;
mod recipients;
mod recovery;
mod spans;
mod status;
mod steps;
mod telling;
mod tries;
mod watchers;

#[cfg(test)]
mod tests;

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, ResponseFuture, SpawnHandle};
use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

pub use self::messages::{
    CancelDelivery, DeliveryEnd, OutgoingMessage, RetryDelivery, SendError, SendMessage, Sent,
    WatchDelivery,
};
use self::{
    doors::Doors,
    in_order::InOrder,
    intake::{Committed, Incoming},
    watchers::Watchers,
};
pub use crate::domain::loop_guard::GuardSettings;
use crate::{
    activity::Activity,
    agent_directory::Agents,
    delivery::Depth,
    domain::{
        circuit::CircuitSettings, delivery_queue::DeliveryQueue, loop_guard::LoopGuard,
        peer::Peers, post::NewDelivery,
    },
    lifecycle::{ActorStatus, Drain, GetStatus},
    ports::{
        Clock,
        courier::{DeliveryStore, PeerTransport},
        traces::Traces,
    },
};

/// Messages that may wait in the mailbox; further ones are refused as busy.
const MAILBOX: usize = 1024;

/// How long to wait before asking a store again that could not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What a courier works with.
#[derive(Clone)]
pub struct CourierParts {
    /// Keeps deliveries.
    pub store: Arc<dyn DeliveryStore>,
    /// Recipients that are agents of ours.
    pub agents: Agents,
    /// Recipients that are peers.
    pub peers: Peers,
    /// The way out.
    pub transport: Rc<dyn PeerTransport>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// A random number from 0 to 1, for pauses.
    pub jitter: Rc<dyn Fn() -> f64>,
    /// Against loops.
    pub guard: GuardSettings,
    /// The schedule for recipients without one of their own: agents of ours, URLs.
    pub schedule: Arc<[Duration]>,
    /// Deliveries that may wait; more are refused.
    pub most_waiting: usize,
    /// The mailbox's count of waiting messages.
    pub depth: Depth,
    /// Told of what becomes of messages.
    pub activity: Activity,
    /// Where spans go.
    pub traces: Traces,
}

/// The courier actor.
pub struct Courier {
    parts: CourierParts,
    queue: DeliveryQueue,
    guard: LoopGuard,
    /// Messages to agents of ours, on their way into their queues.
    doors: Doors<Incoming>,
    /// Messages on their way to the disk.
    commits: InOrder<Committed>,
    /// Messages that have come in and are not answered yet.
    incoming: usize,
    /// Those of them that will wait for delivery.
    committing: usize,
    watchers: Watchers,
    /// The message that was kept last, so that its first try need not read it back.
    at_hand: Option<Arc<NewDelivery>>,
    timer: Option<(DateTime<Utc>, SpawnHandle)>,
    /// Why what waited before the start is not known yet, where reading it failed.
    cannot_read: Option<String>,
    is_draining: bool,
    drained: Vec<oneshot::Sender<()>>,
}

impl Courier {
    /// A courier that begins with what waits in the store.
    pub fn new(parts: CourierParts) -> Self {
        Self {
            queue: DeliveryQueue::new(CircuitSettings::default()),
            guard: LoopGuard::new(parts.guard),
            parts,
            doors: Doors::default(),
            commits: InOrder::default(),
            incoming: 0,
            committing: 0,
            watchers: Watchers::default(),
            at_hand: None,
            timer: None,
            cannot_read: None,
            is_draining: false,
            drained: Vec::new(),
        }
    }
}

impl Actor for Courier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        recovery::begin(self, ctx);
    }
}

impl Handler<SendMessage> for Courier {
    type Result = ();

    fn handle(&mut self, send: SendMessage, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.take_in(send, ctx);
    }
}

impl Handler<WatchDelivery> for Courier {
    type Result = ();

    fn handle(&mut self, watch: WatchDelivery, _: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.watch(watch);
    }
}

impl Handler<CancelDelivery> for Courier {
    type Result = ();

    fn handle(&mut self, cancel: CancelDelivery, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.cancel(cancel, ctx);
    }
}

impl Handler<RetryDelivery> for Courier {
    type Result = ();

    fn handle(&mut self, retry: RetryDelivery, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.retry(retry, ctx);
    }
}

impl Handler<Drain> for Courier {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) -> ResponseFuture<()> {
        let _handling = self.parts.depth.taken();
        let (sender, receiver) = oneshot::channel();
        self.is_draining = true;
        self.drained.push(sender);
        self.run(ctx);
        Box::pin(async move {
            // A courier that ends has nothing under way either.
            receiver.await.ok();
        })
    }
}

impl Handler<GetStatus> for Courier {
    type Result = ActorStatus;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> ActorStatus {
        let _handling = self.parts.depth.taken();
        self.status()
    }
}
