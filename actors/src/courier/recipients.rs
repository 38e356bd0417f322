//! What is known of a recipient: its schedule, its limits, its name in numbers and logs.

use std::{sync::Arc, time::Duration};

use super::CourierParts;
use crate::domain::{
    after_attempt::longest_span, delivery_queue::Terms, party::Party, peer::DEFAULT_CONCURRENCY,
};

/// The pauses before each try to this recipient.
pub(super) fn schedule(parts: &CourierParts, to: &Party) -> Arc<[Duration]> {
    let peer = to.peer().and_then(|name| parts.peers.find(name));
    Arc::clone(peer.map_or(&parts.schedule, |peer| &peer.schedule))
}

/// What this recipient is sent by.
pub(super) fn terms(parts: &CourierParts, to: &Party) -> Terms {
    let peer = to.peer().and_then(|name| parts.peers.find(name));
    let schedule = schedule(parts, to);
    Terms {
        concurrency: peer.map_or(DEFAULT_CONCURRENCY, |peer| peer.concurrency.max(1)),
        span: longest_span(&schedule),
        longest_pause: schedule.iter().max().copied().unwrap_or_default(),
    }
}

/// A recipient's label: names of the configuration alone, so that there are not too many.
pub(super) fn label(parts: &CourierParts, to: &Party) -> String {
    match to {
        Party::Peer(name) if parts.peers.find(name).is_none() => "unknown".to_owned(),
        Party::Agent(name) if parts.agents.find(name).is_none() => "unknown".to_owned(),
        known => known.label().to_owned(),
    }
}
