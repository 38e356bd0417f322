//! Postroom: an actor-based message broker for AI agents.
//!
//! This package is everything that touches the outside world; the broker itself, its actors and
//! its rules, is the package `postroom-actors`. Start reading at [`startup`].

pub mod adapters;
pub mod bridging;
pub mod cli;
pub mod failpoints;
pub mod forwarding;
pub mod http;
pub mod post_address;
pub mod runtime_file;
pub mod settings;
pub mod shutdown;
pub mod startup;
pub mod telemetry;
pub mod turn_runner;
pub mod turn_tokens;
pub mod webhook_signature;
