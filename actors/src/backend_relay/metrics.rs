//! The numbers of relays.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::domain::{circuit::CircuitState, envelope::RelayOutcome, metric::Metric};

const IN_FLIGHT: &str = "postroom_relays_in_flight";
const DURATION: &str = "postroom_relay_duration_seconds";
const FIRST_BYTE: &str = "postroom_relay_first_byte_seconds";
const OUTCOMES: &str = "postroom_relay_outcomes_total";
const RETRIES: &str = "postroom_relay_retries_total";
const ATTEMPT_FAILURES: &str = "postroom_relay_attempt_failures_total";
const CIRCUIT: &str = "postroom_backend_circuit_state";
const NOT_RECORDED: &str = "postroom_relay_replies_not_recorded_total";
const NOTICES_DROPPED: &str = "postroom_relay_notices_dropped_total";

/// What is counted about relays.
pub const METRICS: &[Metric] = &[
    Metric::gauge(IN_FLIGHT, &[], "Relays to a backend that run now"),
    Metric::seconds(
        DURATION,
        &["backend"],
        "Time from a relay's start to its end",
    ),
    Metric::seconds(
        FIRST_BYTE,
        &["backend"],
        "Time from a relay's start to the first byte of its answer",
    ),
    Metric::counter(
        OUTCOMES,
        &["backend", "outcome"],
        "Relays that ended: complete, tool-calls, partial, failed, cancelled",
    ),
    Metric::counter(RETRIES, &["backend"], "Tries made again"),
    Metric::counter(
        ATTEMPT_FAILURES,
        &["backend", "reason"],
        "Failed tries: connect, timeout, broken, unaskable, status",
    ),
    Metric::gauge(
        CIRCUIT,
        &["backend"],
        "Circuit of a backend: 0 closed, 1 half open, 2 open",
    ),
    Metric::counter(NOT_RECORDED, &[], "Replies that the store did not take"),
    Metric::counter(
        NOTICES_DROPPED,
        &[],
        "Replies that the inbox writer was not told of",
    ),
];

pub(super) fn in_flight(relays: usize) {
    gauge!(IN_FLIGHT).set(f64::from(u32::try_from(relays).unwrap_or(u32::MAX)));
}

pub(super) fn first_byte(backend: &str, elapsed: Duration) {
    histogram!(FIRST_BYTE, "backend" => backend.to_owned()).record(elapsed.as_secs_f64());
}

pub(super) fn ended(backend: &str, outcome: RelayOutcome, elapsed: Duration) {
    histogram!(DURATION, "backend" => backend.to_owned()).record(elapsed.as_secs_f64());
    let outcome = match outcome {
        RelayOutcome::Complete => "complete",
        RelayOutcome::ToolCalls => "tool-calls",
        RelayOutcome::Partial => "partial",
        RelayOutcome::Failed => "failed",
        RelayOutcome::Cancelled => "cancelled",
    };
    counter!(OUTCOMES, "backend" => backend.to_owned(), "outcome" => outcome).increment(1);
}

pub(super) fn retried(backend: &str) {
    counter!(RETRIES, "backend" => backend.to_owned()).increment(1);
}

pub(super) fn attempt_failed(backend: &str, reason: &'static str) {
    counter!(ATTEMPT_FAILURES, "backend" => backend.to_owned(), "reason" => reason).increment(1);
}

pub(super) fn circuit(backend: &str, state: CircuitState) {
    let value = match state {
        CircuitState::Closed => 0.0,
        CircuitState::HalfOpen => 1.0,
        CircuitState::Open => 2.0,
    };
    gauge!(CIRCUIT, "backend" => backend.to_owned()).set(value);
}

pub(super) fn reply_not_recorded() {
    counter!(NOT_RECORDED).increment(1);
}

pub(super) fn notice_dropped() {
    counter!(NOTICES_DROPPED).increment(1);
}
