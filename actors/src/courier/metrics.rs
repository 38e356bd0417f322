//! What is counted about deliveries. Labels are names of peers and agents, which operators give.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::domain::{
    delivery_queue::CircuitChange,
    metric::{Buckets, Metric, MetricUnit},
};

const TRIES: &str = "postroom_delivery_tries_total";
const DURATION: &str = "postroom_delivery_try_duration_seconds";
const AGE: &str = "postroom_delivery_age_seconds";
const WAITING: &str = "postroom_deliveries_waiting";
/// Messages that a guard against loops refused, by `measure`.
pub const REFUSED: &str = "postroom_messages_refused_total";
const CIRCUIT: &str = "postroom_recipient_circuit_open";

/// What is counted about deliveries. The store counts how they end.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        TRIES,
        &["recipient", "result"],
        "Tries to deliver: taken, refused (4xx), status (another one), no_answer, impossible",
    ),
    Metric::seconds(DURATION, &["recipient"], "Time that a try to deliver took"),
    Metric::histogram(
        AGE,
        Buckets::Ages,
        &["recipient"],
        "Time from the acceptance of a message to its delivery",
    )
    .unit(MetricUnit::Seconds),
    Metric::gauge(WAITING, &[], "Deliveries that wait or are on their way"),
    Metric::counter(
        REFUSED,
        &["measure"],
        "Messages that a guard against loops refused",
    ),
    Metric::gauge(
        CIRCUIT,
        &["recipient"],
        "Whether a recipient is left alone because it fails: 0 no, 1 yes",
    ),
];

pub(super) fn tried(recipient: &str, result: &'static str, took: Duration) {
    counter!(TRIES, "recipient" => recipient.to_owned(), "result" => result).increment(1);
    histogram!(DURATION, "recipient" => recipient.to_owned()).record(took.as_secs_f64());
}

pub(super) fn delivered(recipient: &str, age: Duration) {
    histogram!(AGE, "recipient" => recipient.to_owned()).record(age.as_secs_f64());
}

pub(super) fn refused(measure: &'static str) {
    counter!(REFUSED, "measure" => measure).increment(1);
}

pub(super) fn waiting(deliveries: usize) {
    gauge!(WAITING).set(f64::from(u32::try_from(deliveries).unwrap_or(u32::MAX)));
}

pub(super) fn circuit(recipient: &str, change: CircuitChange) {
    let value = match change {
        CircuitChange::Opened => 1.0,
        CircuitChange::Closed => 0.0,
    };
    gauge!(CIRCUIT, "recipient" => recipient.to_owned()).set(value);
}
