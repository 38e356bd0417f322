//! What a backend may do to us, and what comes of it.
//!
//! A raw socket plays the backend, so that every byte and every pause is chosen. The same cases
//! can be run with another client: [`awc_candidate`] shows why ours is not awc.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::let_underscore_must_use,
    reason = "a test that fails says so by a panic"
)]

#[path = "hostile_upstream/awc_candidate.rs"]
mod awc_candidate;
#[path = "hostile_upstream/cases.rs"]
mod cases;
#[path = "hostile_upstream/connections.rs"]
mod connections;
#[path = "hostile_upstream/peers.rs"]
mod peers;
#[path = "hostile_upstream/relay.rs"]
mod relay;
#[path = "hostile_upstream/server.rs"]
mod server;
#[path = "hostile_upstream/through_port.rs"]
mod through_port;
