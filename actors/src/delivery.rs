//! Every send is bounded, and says so when it does not get through.
//!
//! actix's own means do not bound: `do_send` ignores the capacity, each clone of an address has a
//! free slot, and a panic leaves the address dead for good. A [`Mailbox`] is one shared address
//! that survives a restart of its actor; all sends of the broker go through it.

use std::{
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{
    Actor, Addr, Context, Handler, Message,
    dev::{MessageResponse, ToEnvelope},
    prelude::SendError,
};
use thiserror::Error;

use crate::lifecycle::GetStatus;

/// Why a message did not reach an actor.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum DeliveryError {
    /// Its mailbox is full; try again shortly.
    #[error("the mailbox of `{0}` is full")]
    Full(&'static str),
    /// It is not running, or ended while it worked on the message.
    #[error("`{0}` is not running")]
    Closed(&'static str),
    /// It did not answer in time; the message may still be worked on.
    #[error("`{0}` did not answer in time")]
    TimedOut(&'static str),
}

/// Messages that wait in one actor's mailbox; shared by its senders and its handlers.
#[derive(Debug, Clone, Default)]
pub struct Depth(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    taken: AtomicU64,
}

impl Depth {
    /// A handler has begun with a message. Call it first in every handler.
    pub fn taken(&self) {
        self.left();
        self.0.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// How many messages wait now.
    pub fn now(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// How many messages handlers have begun with, since the start.
    pub fn taken_so_far(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    fn entered(&self) {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// One that entered is not in there any more.
    fn left(&self) {
        // A restarted actor may take what was counted for its predecessor: never below zero.
        let lower = |depth: usize| Some(depth.saturating_sub(1));
        self.0
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower)
            .ok();
    }

    fn reset(&self) {
        self.0.waiting.store(0, Ordering::Relaxed);
    }
}

/// The way to an actor: one address for all senders, replaced when the actor is started anew.
pub struct Mailbox<A: Actor> {
    name: &'static str,
    current: Arc<RwLock<Option<Addr<A>>>>,
    depth: Depth,
    /// How often it was pointed to a run of its actor.
    runs: Arc<AtomicU64>,
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            current: Arc::clone(&self.current),
            depth: self.depth.clone(),
            runs: Arc::clone(&self.runs),
        }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mailbox")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<A: Actor<Context = Context<A>>> Mailbox<A> {
    /// A mailbox whose actor does not run yet: sends fail as [`DeliveryError::Closed`].
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            current: Arc::default(),
            depth: Depth::default(),
            runs: Arc::default(),
        }
    }

    /// The actor's name in metrics and errors.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The count that the actor's handlers lower.
    pub fn depth(&self) -> Depth {
        self.depth.clone()
    }

    /// How often its actor was started anew.
    pub fn restarts(&self) -> u64 {
        self.runs.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Points the mailbox to a new run of the actor; what waited for the old one is gone.
    pub fn connect(&self, address: Addr<A>) {
        self.depth.reset();
        self.runs.fetch_add(1, Ordering::Relaxed);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    /// Cuts the mailbox off: sends fail from now on.
    pub fn disconnect(&self) {
        self.depth.reset();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Puts a message in the mailbox, or says at once that it cannot.
    ///
    /// # Errors
    /// [`DeliveryError::Full`] or [`DeliveryError::Closed`]; the message is dropped.
    pub fn try_deliver<M>(&self, message: M) -> Result<(), DeliveryError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.try_deliver_or_return(message)
            .map_err(|(error, _)| error)
    }

    /// Puts a message in the mailbox, or gives it back.
    ///
    /// # Errors
    /// As [`Self::try_deliver`], with the message.
    pub fn try_deliver_or_return<M>(&self, message: M) -> Result<(), (DeliveryError, M)>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let Some(address) = current.as_ref() else {
            return Err((self.refused("closed"), message));
        };
        self.depth.entered();
        address.try_send(message).map_err(|error| {
            self.depth.left();
            match error {
                SendError::Full(message) => (self.refused("full"), message),
                SendError::Closed(message) => (self.refused("closed"), message),
            }
        })
    }

    /// Waits until the actor has worked through what is in its mailbox now.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn wait_for_room(&self, deadline: Duration) -> Result<(), DeliveryError>
    where
        A: Handler<GetStatus>,
    {
        self.ask(GetStatus, deadline).await.map(|_| ())
    }

    /// Waits for room in the mailbox, then for the reply.
    ///
    /// # Errors
    /// [`DeliveryError::Closed`] or, after `deadline`, [`DeliveryError::TimedOut`].
    ///
    /// # Cancel safety
    /// None: a message whose sender no longer waits is dropped unhandled by actix.
    pub async fn ask<M>(&self, message: M, deadline: Duration) -> Result<M::Result, DeliveryError>
    where
        M: Message + Send + Unpin + 'static,
        M::Result: Send + MessageResponse<A, M>,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let address = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current
                .as_ref()
                .ok_or_else(|| self.refused("closed"))?
                .clone()
        };
        self.depth.entered();
        match tokio::time::timeout(deadline, address.send(message)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => {
                self.depth.left();
                Err(self.refused("closed"))
            }
            Err(_) => {
                self.depth.left();
                Err(self.refused("timed_out"))
            }
        }
    }

    fn refused(&self, reason: &'static str) -> DeliveryError {
        metrics::counter!("postroom_actor_refused_total", "actor" => self.name, "reason" => reason)
            .increment(1);
        match reason {
            "full" => DeliveryError::Full(self.name),
            "timed_out" => DeliveryError::TimedOut(self.name),
            _ => DeliveryError::Closed(self.name),
        }
    }
}
