//! The messages that every actor answers.

use actix::Message;
use serde::Serialize;

/// Asks an actor how it is.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "ActorStatus")]
pub struct GetStatus;

/// How an actor is, for the health page and the metrics.
#[derive(Debug, Clone, Serialize, actix::MessageResponse)]
pub struct ActorStatus {
    /// The actor's name, e.g. `inbox_writer`.
    pub actor: &'static str,
    /// Items that wait for it now.
    pub waiting: usize,
    /// Age of the oldest waiting item, in milliseconds.
    pub oldest_waiting_ms: Option<u64>,
    /// What it would tell an operator, in a word or two (`ok`, `retrying`, …).
    pub state: String,
}

/// Asks an actor to finish what waits; answered when nothing does.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain;
