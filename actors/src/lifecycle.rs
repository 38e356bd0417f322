//! The messages that every actor answers, and what keeps an actor running.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context, Message};
use serde::Serialize;

use crate::{
    delivery::Mailbox,
    domain::{
        metric::Metric,
        restart::{Decision, RestartIntensity},
    },
    ports::Clock,
};

const RESTARTS: &str = "postroom_actor_restarts_total";

/// What is counted about the lives of actors.
pub const METRICS: &[Metric] = &[Metric::counter(
    RESTARTS,
    &["actor"],
    "Failures of an actor; after each but the last of many it is started anew",
)];

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

/// Keeps an actor running: starts it anew when it panics, parks it when that happens too often.
///
/// `actix::Supervisor` does not survive a panic, so this holds the handle of the spawned context.
/// Each run is made by `make` from what it shares with the others; state comes from the store.
/// Ends when the actor stops of its own accord, or is parked. The mailbox takes messages as soon as
/// this is called; they are worked on once the future runs.
pub fn keep_running<A, F>(
    mailbox: Mailbox<A>,
    clock: Arc<dyn Clock>,
    make: F,
) -> impl Future<Output = ()>
where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A,
{
    let first = Context::new();
    mailbox.connect(first.address());
    run_again_and_again(mailbox, clock, make, first)
}

async fn run_again_and_again<A, F>(
    mailbox: Mailbox<A>,
    clock: Arc<dyn Clock>,
    mut make: F,
    mut context: Context<A>,
) where
    A: Actor<Context = Context<A>>,
    F: FnMut() -> A,
{
    let mut intensity = RestartIntensity::default();
    let actor = mailbox.name();
    loop {
        let run = actix_rt::spawn(context.into_future(make()));
        let Err(failure) = run.await else {
            break;
        };
        metrics::counter!(RESTARTS, "actor" => actor).increment(1);
        match intensity.failed(clock.now()) {
            Decision::RestartAfter(pause) => {
                tracing::error!(actor, %failure, ?pause, "actor failed; starting it again");
                tokio::time::sleep(pause).await;
                context = Context::new();
                mailbox.connect(context.address());
            }
            Decision::Park => {
                tracing::error!(actor, %failure, "actor failed too often; parked");
                break;
            }
        }
    }
    mailbox.disconnect();
}

#[cfg(test)]
mod tests;
