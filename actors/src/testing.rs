//! Fakes, recorders and a clock that follows tokio's, for tests.

mod agents;
mod memory_deliveries;
mod memory_home;
mod memory_inbox;
mod memory_store;
mod memory_tasks;
mod scripted_launcher;
mod scripted_peers;

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use tokio::time::Instant;
use uuid::Uuid;

pub use self::{
    agents::{SharedFakes, agent_profile, no_activity},
    memory_deliveries::MemoryDeliveries,
    memory_home::MemoryHome,
    memory_inbox::MemoryInbox,
    memory_store::MemoryStore,
    memory_tasks::MemoryTasks,
    scripted_launcher::{ScriptedLauncher, ScriptedTurn, done, exit},
    scripted_peers::{PeerMood, Posted, ScriptedPeers},
};
use crate::{
    domain::{
        envelope::Envelope,
        ids::{ContextId, MessageId},
    },
    ports::{Clock, IdSource},
};

/// A wall clock that goes with tokio's time, also where that is paused.
#[derive(Debug)]
pub struct TokioClock(Instant);

impl TokioClock {
    /// A clock that shows [`start_time`] now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> DateTime<Utc> {
        start_time() + TimeDelta::from_std(self.0.elapsed()).unwrap_or_default()
    }
}

/// The time at which tests begin: a fixed day in 2026.
pub fn start_time() -> DateTime<Utc> {
    Utc.timestamp_opt(1_795_000_000, 0)
        .single()
        .unwrap_or_default()
}

/// Ids one after the other.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl CountingIds {
    /// Ids that begin after this number.
    pub const fn starting_at(number: u64) -> Self {
        Self(AtomicU64::new(number))
    }
}

impl IdSource for CountingIds {
    fn message_id(&self, _: DateTime<Utc>) -> MessageId {
        MessageId::new(Uuid::from_u128(u128::from(
            self.0.fetch_add(1, Ordering::Relaxed) + 1,
        )))
    }
}

/// A chat request with one user message, as an envelope.
pub fn envelope(number: u128, context: Option<&str>, prompt: &str) -> Envelope {
    let body = serde_json::json!({
        "model": "local-agent",
        "messages": [{"role": "user", "content": prompt}],
    });
    Envelope {
        traceparent: None,
        id: MessageId::new(Uuid::from_u128(number)),
        received_at: start_time(),
        context_id: context.map(ContextId::new),
        prompt: Some(prompt.into()),
        body: body.to_string().into(),
    }
}
