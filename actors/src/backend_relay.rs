//! Admits relays, chooses backends, and records replies.
//!
//! The bytes of a relay flow in the HTTP worker's own task (`forwarding` of the root package).
//! This actor decides which backends such a task may try, hears how the tries went, and at the
//! end keeps the reply: first in the store, then by [`ReplyArrived`](crate::inbox_writer::ReplyArrived) in the inbox.
//!
//! | message | sent by | reply |
//! |---|---|---|
//! | [`AdmitRelay`] | relay tasks | the backends to try, in order |
//! | [`AdmitRetry`] | relay tasks | whether one more try may be made |
//! | [`RelayProgress`] | relay tasks | none |
//! | [`GetStatus`] | HTTP handlers | its state |

mod config;
mod fleet;
pub mod metrics;
mod recording;

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture};
use chrono::{DateTime, Utc};
use thiserror::Error;

pub use self::config::{BackendConfig, OnDisconnect};
use self::{fleet::Fleet, recording::Recorder};
use crate::{
    delivery::{Depth, Mailbox},
    domain::{
        circuit::CircuitSettings, envelope::RecordedReply, ids::MessageId, retry::AttemptFailure,
    },
    inbox_writer::InboxWriter,
    lifecycle::{ActorStatus, GetStatus},
    ports::{Clock, MessageStore},
};

/// Relays that run at once; each holds its request, and an answer of up to 20 MiB while it is
/// checked.
const MAX_IN_FLIGHT: usize = 1024;

/// Names one relay while it runs. Never used twice by one actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RelayId(u64);

/// Asks which backends a request may be relayed to.
///
/// Whoever is answered with a plan must send [`RelayProgress::Ended`] for it, whatever happens.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<RelayPlan, RelayRefused>")]
pub struct AdmitRelay {
    /// The message that is relayed.
    pub message: MessageId,
}

/// An admitted relay.
#[derive(Debug, Clone)]
pub struct RelayPlan {
    /// Names it in what follows.
    pub relay: RelayId,
    /// The backends to try, best first; at least one.
    pub backends: Vec<Arc<BackendConfig>>,
}

/// Why a request is not relayed.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum RelayRefused {
    /// Every backend has failed so often that it is left alone for a while.
    #[error("the circuits of all backends are open; they are probed again within 30 s")]
    CircuitsOpen,
    /// As many relays as may run at once are running.
    #[error("{MAX_IN_FLIGHT} relays are running already; the message is kept without a reply")]
    TooMany,
    /// There is none.
    #[error("no backend is configured; set `[backend] url`")]
    NoBackend,
}

/// Asks for one more try with a backend of the plan. The reply says whether it may be made.
#[derive(Debug, Clone, Message)]
#[rtype(result = "bool")]
pub struct AdmitRetry {
    /// The relay.
    pub relay: RelayId,
    /// The backend.
    pub backend: Arc<str>,
}

/// How a relay goes.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub enum RelayProgress {
    /// A try failed before anything of it went to the client.
    AttemptFailed {
        /// The relay.
        relay: RelayId,
        /// The backend that was tried.
        backend: Arc<str>,
        /// Why.
        failure: AttemptFailure,
    },
    /// A usable answer has begun.
    FirstByte {
        /// The relay.
        relay: RelayId,
        /// The backend that answers.
        backend: Arc<str>,
        /// Since the relay began.
        elapsed: Duration,
    },
    /// The relay is over.
    Ended {
        /// The relay; `None` where it was never admitted.
        relay: Option<RelayId>,
        /// The reply to keep; `None` where its message was not accepted.
        reply: Option<RecordedReply>,
        /// Since the relay began.
        elapsed: Duration,
    },
}

/// What the actor needs.
#[derive(Clone)]
pub struct BackendRelayParts {
    /// Keeps replies.
    pub store: Arc<dyn MessageStore>,
    /// Hears of replies.
    pub inbox_writer: Mailbox<InboxWriter>,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// The main backend first; then those that only stand in. None: every relay is refused.
    pub backends: Vec<BackendConfig>,
    /// When a failing backend is left alone.
    pub circuits: CircuitSettings,
    /// The actor's own count of waiting messages.
    pub depth: Depth,
}

/// The actor.
pub struct BackendRelay {
    fleet: Fleet,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    depth: Depth,
    in_flight: HashMap<RelayId, Running>,
    next_relay: u64,
}

struct Running {
    since: DateTime<Utc>,
    /// Backends whose circuit waits for this relay's try.
    probes: Vec<Arc<str>>,
}

impl BackendRelay {
    /// Relays that may wait in its mailbox before senders wait.
    pub const MAILBOX: usize = 256;

    /// Makes the actor; nothing happens before a message comes.
    pub fn new(parts: BackendRelayParts) -> Self {
        Self {
            fleet: Fleet::new(parts.backends, parts.circuits, parts.clock.now()),
            recorder: Recorder {
                store: parts.store,
                inbox_writer: parts.inbox_writer,
            },
            clock: parts.clock,
            depth: parts.depth,
            in_flight: HashMap::new(),
            next_relay: 0,
        }
    }

    fn attempt_failed(&mut self, relay: RelayId, backend: &str, failure: AttemptFailure) {
        self.probe_made(relay, backend);
        self.fleet
            .attempt_failed(backend, failure, self.clock.now());
        metrics::attempt_failed(backend, failure.reason());
    }

    fn first_byte(&mut self, relay: RelayId, backend: &str, elapsed: Duration) {
        self.probe_made(relay, backend);
        self.fleet.answered(backend);
        metrics::first_byte(backend, elapsed);
    }

    fn probe_made(&mut self, relay: RelayId, backend: &str) {
        if let Some(running) = self.in_flight.get_mut(&relay) {
            running.probes.retain(|probe| **probe != *backend);
        }
    }

    fn forget(&mut self, relay: RelayId) {
        let running = self.in_flight.remove(&relay);
        for probe in running.into_iter().flat_map(|running| running.probes) {
            self.fleet.release_probe(&probe, self.clock.now());
        }
        metrics::in_flight(self.in_flight.len());
    }
}

impl Actor for BackendRelay {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(Self::MAILBOX);
    }
}

impl Handler<AdmitRelay> for BackendRelay {
    type Result = Result<RelayPlan, RelayRefused>;

    fn handle(&mut self, _admit: AdmitRelay, _context: &mut Self::Context) -> Self::Result {
        let _handling = self.depth.taken();
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            return Err(RelayRefused::TooMany);
        }
        let now = self.clock.now();
        let (backends, probes) = self.fleet.admit(now)?;
        self.next_relay += 1;
        let relay = RelayId(self.next_relay);
        self.in_flight.insert(relay, Running { since: now, probes });
        metrics::in_flight(self.in_flight.len());
        Ok(RelayPlan { relay, backends })
    }
}

impl Handler<AdmitRetry> for BackendRelay {
    type Result = bool;

    fn handle(&mut self, retry: AdmitRetry, _context: &mut Self::Context) -> bool {
        let _handling = self.depth.taken();
        let is_admitted = self.in_flight.contains_key(&retry.relay)
            && self.fleet.admit_retry(&retry.backend, self.clock.now());
        if is_admitted {
            metrics::retried(&retry.backend);
        }
        is_admitted
    }
}

impl Handler<RelayProgress> for BackendRelay {
    type Result = ();

    fn handle(&mut self, progress: RelayProgress, context: &mut Self::Context) {
        let _handling = self.depth.taken();
        match progress {
            RelayProgress::AttemptFailed {
                relay,
                backend,
                failure,
            } => self.attempt_failed(relay, &backend, failure),
            RelayProgress::FirstByte {
                relay,
                backend,
                elapsed,
            } => self.first_byte(relay, &backend, elapsed),
            RelayProgress::Ended {
                relay,
                reply,
                elapsed,
            } => {
                if let Some(relay) = relay {
                    self.forget(relay);
                }
                if let Some(reply) = reply {
                    metrics::ended(&reply.backend, reply.outcome, elapsed);
                    context.spawn(self.recorder.clone().record(reply).into_actor(self));
                }
            }
        }
    }
}

impl Handler<GetStatus> for BackendRelay {
    type Result = ActorStatus;

    fn handle(&mut self, _get: GetStatus, _context: &mut Self::Context) -> ActorStatus {
        let _handling = self.depth.taken();
        let now = self.clock.now();
        let oldest = self.in_flight.values().map(|running| running.since).min();
        ActorStatus {
            actor: "backend_relay",
            waiting: self.in_flight.len(),
            oldest_waiting_ms: oldest
                .map(|since| u64::try_from((now - since).num_milliseconds()).unwrap_or_default()),
            state: self.fleet.describe(now),
        }
    }
}

#[cfg(test)]
mod tests;
