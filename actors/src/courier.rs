//! Messages to peers and between agents: kept, delivered in order per conversation, tried again on
//! their schedule, and kept as dead letters where nothing helps.
//!
//! | message | from | reply |
//! |---|---|---|
//! | [`SendMessage`] | HTTP handlers | by its own oneshot, after the commit |
//! | [`WatchDelivery`], [`CancelDelivery`], [`RetryDelivery`] | HTTP handlers | by their own oneshots |

mod messages;

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler};

pub use self::messages::{
    CancelDelivery, DeliveryEnd, OutgoingMessage, RetryDelivery, SendError, SendMessage, Sent,
    WatchDelivery,
};
use crate::{
    agent_directory::Agents,
    delivery::Depth,
    domain::peer::Peers,
    ports::{
        Clock,
        courier::{DeliveryStore, PeerTransport},
    },
};

/// What keeps agents from talking to each other without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardSettings {
    /// Messages that may lead to one; default 8.
    pub hops: u32,
    /// Messages a minute from one agent to one recipient; 0: no limit; default 60.
    pub pair_rate: u32,
    /// How often the same may be said to the same recipient in one conversation within ten minutes;
    /// 0: no limit; default 5.
    pub repeats: u32,
}

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
}

/// The courier actor.
pub struct Courier {
    parts: CourierParts,
}

impl Courier {
    /// A courier that begins with what waits in the store.
    pub fn new(parts: CourierParts) -> Self {
        Self { parts }
    }
}

impl Actor for Courier {
    type Context = Context<Self>;
}

impl Handler<SendMessage> for Courier {
    type Result = ();

    fn handle(&mut self, _: SendMessage, _: &mut Self::Context) {
        self.parts.depth.taken();
    }
}

impl Handler<WatchDelivery> for Courier {
    type Result = ();

    fn handle(&mut self, _: WatchDelivery, _: &mut Self::Context) {
        self.parts.depth.taken();
    }
}

impl Handler<CancelDelivery> for Courier {
    type Result = ();

    fn handle(&mut self, _: CancelDelivery, _: &mut Self::Context) {
        self.parts.depth.taken();
    }
}

impl Handler<RetryDelivery> for Courier {
    type Result = ();

    fn handle(&mut self, _: RetryDelivery, _: &mut Self::Context) {
        self.parts.depth.taken();
    }
}
