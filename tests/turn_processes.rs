//! Turns as real processes: whatever the program does, the turn ends in time, nothing of it is
//! left, and what is said of its end is true.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that fails says so by a panic, and starts processes of its own"
)]

#[path = "turn_processes/bench.rs"]
mod bench;
#[path = "turn_processes/broken_runners.rs"]
mod broken_runners;
#[path = "turn_processes/endings.rs"]
mod endings;
#[path = "turn_processes/hostile_programs.rs"]
mod hostile_programs;
#[path = "turn_processes/leftovers.rs"]
mod leftovers;
#[path = "turn_processes/plain_dialect.rs"]
mod plain_dialect;
#[path = "turn_processes/starts.rs"]
mod starts;
