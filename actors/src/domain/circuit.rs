//! When a backend that keeps failing is left alone.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitSettings {
    /// Failures in a row that open it. Default: 5.
    pub failures_to_open: u32,
    /// How long it stays open; then one probe is let through. Default: 30 s.
    pub open_for: Duration,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self {
            failures_to_open: 5,
            open_for: Duration::from_secs(30),
        }
    }
}

/// What a circuit says to one more try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Go on.
    Allowed,
    /// Go on: this try decides whether the circuit closes. Its end must be told.
    Probe,
    /// Leave it alone.
    Refused,
}

/// How a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Tries go through.
    Closed,
    /// A probe is let through, or is on its way.
    HalfOpen,
    /// Tries are refused.
    Open,
}

/// The circuit breaker of one backend.
#[derive(Debug)]
pub struct Circuit {
    settings: CircuitSettings,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: DateTime<Utc>,
    },
    /// One probe is on its way. Where its end is never told, another may follow after `until`.
    Probing {
        until: DateTime<Utc>,
    },
}

impl Circuit {
    /// A closed circuit.
    pub const fn new(settings: CircuitSettings) -> Self {
        Self {
            settings,
            state: State::Closed { failures: 0 },
        }
    }

    /// Asks for one try.
    pub fn admit(&mut self, now: DateTime<Utc>) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Allowed,
            State::Open { until } | State::Probing { until } if now < until => Admission::Refused,
            State::Open { .. } | State::Probing { .. } => {
                let until = now + self.settings.open_for;
                self.state = State::Probing { until };
                Admission::Probe
            }
        }
    }

    /// The backend answered.
    pub fn record_success(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// The backend did not answer, or not as a healthy one would.
    pub fn record_failure(&mut self, now: DateTime<Utc>) {
        let until = now + self.settings.open_for;
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.settings.failures_to_open => {
                State::Closed {
                    failures: failures + 1,
                }
            }
            // Tries that began before it opened do not prolong it.
            State::Open { until } => State::Open { until },
            State::Closed { .. } | State::Probing { .. } => State::Open { until },
        };
    }

    /// The probe was not made after all: another may be.
    pub fn release_probe(&mut self, now: DateTime<Utc>) {
        if matches!(self.state, State::Probing { .. }) {
            self.state = State::Open { until: now };
        }
    }

    /// Until when tries are refused; `None` while it is closed. May lie in the past: then the next
    /// try is a probe.
    pub const fn reopens_at(&self) -> Option<DateTime<Utc>> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { until } | State::Probing { until } => Some(until),
        }
    }

    /// How it stands at a moment.
    pub fn state(&self, now: DateTime<Utc>) -> CircuitState {
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { until } if now < until => CircuitState::Open,
            State::Open { .. } | State::Probing { .. } => CircuitState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_800_000_000 + seconds, 0).unwrap()
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::new(CircuitSettings::default());
        for _ in 0..5 {
            circuit.record_failure(at(0));
        }
        circuit
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut circuit = Circuit::new(CircuitSettings::default());
        for _ in 0..4 {
            circuit.record_failure(at(0));
        }
        circuit.record_success();
        for _ in 0..4 {
            circuit.record_failure(at(0));
        }
        assert_eq!(circuit.admit(at(1)), Admission::Allowed);
        circuit.record_failure(at(1));
        assert_eq!(circuit.admit(at(1)), Admission::Refused);
        assert_eq!(circuit.state(at(1)), CircuitState::Open);
    }

    #[test]
    fn after_its_time_one_probe_goes_through() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(at(29)), Admission::Refused);
        assert_eq!(circuit.reopens_at(), Some(at(30)));
        assert_eq!(circuit.admit(at(30)), Admission::Probe);
        assert_eq!(circuit.admit(at(30)), Admission::Refused);
        circuit.record_success();
        assert_eq!(circuit.reopens_at(), None);
        assert_eq!(circuit.admit(at(30)), Admission::Allowed);
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_the_whole_time() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(at(31)), Admission::Probe);
        circuit.record_failure(at(35));
        assert_eq!(circuit.admit(at(64)), Admission::Refused);
        assert_eq!(circuit.admit(at(65)), Admission::Probe);
    }

    #[test]
    fn late_failures_do_not_keep_it_open_longer() {
        let mut circuit = opened();
        circuit.record_failure(at(29));
        assert_eq!(circuit.admit(at(30)), Admission::Probe);
    }

    #[test]
    fn a_probe_that_was_not_made_or_not_heard_of_gives_way_to_another() {
        let mut circuit = opened();
        assert_eq!(circuit.admit(at(30)), Admission::Probe);
        circuit.release_probe(at(30));
        assert_eq!(circuit.admit(at(30)), Admission::Probe);
        assert_eq!(circuit.admit(at(59)), Admission::Refused);
        assert_eq!(circuit.admit(at(60)), Admission::Probe);
    }
}
