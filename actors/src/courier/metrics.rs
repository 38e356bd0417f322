//! What is counted about deliveries. Labels are names of peers and agents, which operators give.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::domain::{delivery_queue::CircuitChange, post::DeadCode};

const DELIVERIES: &str = "postroom_deliveries_total";
const TRIES: &str = "postroom_delivery_tries_total";
const DURATION: &str = "postroom_delivery_try_duration_seconds";
const AGE: &str = "postroom_delivery_age_seconds";
const WAITING: &str = "postroom_deliveries_waiting";
const DEAD: &str = "postroom_dead_letters_total";
const REFUSED: &str = "postroom_messages_refused_total";
const CIRCUIT: &str = "postroom_recipient_circuit_open";

/// Gives every metric its help text and unit.
pub fn describe() {
    describe_counter!(
        DELIVERIES,
        "Deliveries that ended, by recipient and outcome"
    );
    describe_counter!(TRIES, "Tries to deliver, by recipient and result");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time that a try to deliver took, by recipient"
    );
    describe_histogram!(
        AGE,
        Unit::Seconds,
        "Time from the acceptance of a message to its delivery, by recipient"
    );
    describe_gauge!(WAITING, "Deliveries that wait or are on their way");
    describe_counter!(DEAD, "Messages that were given up, by recipient and reason");
    describe_counter!(
        REFUSED,
        "Messages that the guard against loops refused, by measure"
    );
    describe_gauge!(
        CIRCUIT,
        "Whether a recipient is left alone because it fails: 0 no, 1 yes"
    );
}

pub(super) fn tried(recipient: &str, result: &'static str, took: Duration) {
    counter!(TRIES, "recipient" => recipient.to_owned(), "result" => result).increment(1);
    histogram!(DURATION, "recipient" => recipient.to_owned()).record(took.as_secs_f64());
}

pub(super) fn delivered(recipient: &str, age: Duration) {
    ended(recipient, "delivered");
    histogram!(AGE, "recipient" => recipient.to_owned()).record(age.as_secs_f64());
}

pub(super) fn held(recipient: &str) {
    ended(recipient, "held");
}

pub(super) fn cancelled(recipient: &str) {
    ended(recipient, "cancelled");
}

pub(super) fn died(recipient: &str, code: DeadCode) {
    ended(recipient, "dead");
    counter!(DEAD, "recipient" => recipient.to_owned(), "reason" => code.as_str()).increment(1);
}

fn ended(recipient: &str, outcome: &'static str) {
    counter!(DELIVERIES, "recipient" => recipient.to_owned(), "outcome" => outcome).increment(1);
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
