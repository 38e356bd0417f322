//! Whether the embeddings backend is asked at all, and again.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
    time::Duration,
};

use postroom_actors::{
    domain::{
        circuit::{Admission, Circuit, CircuitSettings, CircuitState},
        retry::{AttemptFailure, RetryBudget},
    },
    ports::Clock,
};

use super::EmbeddingsError;

/// Requests that run at once on one worker; each may hold an answer of up to 20 MiB.
pub(super) const MAX_IN_FLIGHT: usize = 64;

/// What one worker thinks of the backend.
pub(super) struct Gate {
    clock: Arc<dyn Clock>,
    circuit: RefCell<Circuit>,
    budget: RefCell<RetryBudget>,
    in_flight: Cell<usize>,
}

/// The place of one request. Its end frees it, also where its client has gone.
pub(super) struct Place<'a> {
    gate: &'a Gate,
    is_probe: bool,
}

impl Gate {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let budget = RefCell::new(RetryBudget::new(clock.now()));
        Self {
            clock,
            circuit: RefCell::new(Circuit::new(CircuitSettings::default())),
            budget,
            in_flight: Cell::new(0),
        }
    }

    pub(super) fn enter(&self) -> Result<Place<'_>, EmbeddingsError> {
        if self.in_flight.get() >= MAX_IN_FLIGHT {
            return Err(EmbeddingsError::TooMany);
        }
        let now = self.clock.now();
        let mut circuit = self.circuit.borrow_mut();
        let is_probe = match circuit.admit(now) {
            Admission::Allowed => false,
            Admission::Probe => true,
            Admission::Refused => {
                let until = circuit.reopens_at().map(|until| (until - now).to_std());
                let retry_after = until.and_then(Result::ok).unwrap_or_default();
                return Err(EmbeddingsError::LeftAlone {
                    retry_after: retry_after.max(Duration::from_secs(1)),
                });
            }
        };
        self.budget.borrow_mut().deposit();
        self.in_flight.set(self.in_flight.get() + 1);
        Ok(Place {
            gate: self,
            is_probe,
        })
    }

    pub(super) fn answered(&self) {
        self.circuit.borrow_mut().record_success();
    }

    pub(super) fn failed(&self, failure: AttemptFailure) {
        let mut circuit = self.circuit.borrow_mut();
        if failure.counts_against_backend() {
            circuit.record_failure(self.clock.now());
        } else if failure != AttemptFailure::Unaskable {
            circuit.record_success();
        }
    }

    /// A retry needs a circuit that has not opened meanwhile, and budget.
    pub(super) fn may_retry(&self) -> bool {
        let now = self.clock.now();
        let is_closed = self.circuit.borrow().state(now) == CircuitState::Closed;
        is_closed && self.budget.borrow_mut().withdraw(now)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let gate = self.gate;
        gate.in_flight.set(gate.in_flight.get().saturating_sub(1));
        if self.is_probe {
            // Without effect where its end was told.
            gate.circuit.borrow_mut().release_probe(gate.clock.now());
        }
    }
}
