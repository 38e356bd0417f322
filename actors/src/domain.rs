//! Plain data and pure decisions: no actor, no I/O, no clock, no randomness.
//!
//! Time, ids and jitter come in as arguments, so every rule of the broker is tested without one.

pub mod after_attempt;
pub mod after_turn;
pub mod agent;
pub mod agent_message;
pub mod agent_request;
pub mod backend_request;
pub mod batching;
pub mod circuit;
pub mod compaction;
pub mod completion;
pub mod context;
pub mod delivery_queue;
pub mod envelope;
pub mod excerpt;
pub mod ids;
pub mod inbox_item;
pub mod loop_guard;
pub mod narration;
pub mod openclaw;
pub mod party;
pub mod peer;
pub mod post;
pub mod predecessor;
pub mod prompt;
pub mod reply_text;
pub mod request;
pub mod response;
pub mod restart;
pub mod retry;
pub mod routing;
pub mod session;
pub mod task;
pub mod turn;
pub mod turn_queue;
