//! The backends, each with its circuit and its retry budget.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};

use super::{BackendConfig, RelayRefused, metrics};
use crate::domain::{
    circuit::{Admission, Circuit, CircuitSettings, CircuitState},
    retry::{AttemptFailure, RetryBudget},
};

/// The backends to try, and those among them whose circuit waits for the try.
pub(super) type Admitted = (Vec<Arc<BackendConfig>>, Vec<Arc<str>>);

pub(super) struct Fleet {
    /// The main backend and its stand-ins, in the order in which they are tried.
    chain: Vec<Arc<str>>,
    backends: HashMap<Arc<str>, Backend>,
}

struct Backend {
    config: Arc<BackendConfig>,
    circuit: Circuit,
    budget: RetryBudget,
}

impl Fleet {
    pub(super) fn new(
        configs: Vec<BackendConfig>,
        circuits: CircuitSettings,
        now: DateTime<Utc>,
    ) -> Self {
        let main = configs.first().map(|config| Arc::clone(&config.name));
        let backends: HashMap<_, _> = configs
            .into_iter()
            .map(|config| {
                let backend = Backend {
                    config: Arc::new(config),
                    circuit: Circuit::new(circuits),
                    budget: RetryBudget::new(now),
                };
                (Arc::clone(&backend.config.name), backend)
            })
            .collect();
        let chain = chain(main, &backends);
        Self { chain, backends }
    }

    pub(super) fn admit(&mut self, now: DateTime<Utc>) -> Result<Admitted, RelayRefused> {
        let mut admitted = Vec::new();
        let mut probes = Vec::new();
        for name in &self.chain {
            let Some(backend) = self.backends.get_mut(name) else {
                continue;
            };
            match backend.circuit.admit(now) {
                Admission::Refused => continue,
                Admission::Allowed => {}
                Admission::Probe => probes.push(Arc::clone(name)),
            }
            if admitted.is_empty() {
                backend.budget.deposit();
            }
            metrics::circuit(name, backend.circuit.state(now));
            admitted.push(Arc::clone(&backend.config));
        }
        if !admitted.is_empty() {
            Ok((admitted, probes))
        } else if self.chain.is_empty() {
            Err(RelayRefused::NoBackend)
        } else {
            Err(RelayRefused::CircuitsOpen)
        }
    }

    /// A retry needs a circuit that has not opened meanwhile, and budget.
    pub(super) fn admit_retry(&mut self, backend: &str, now: DateTime<Utc>) -> bool {
        self.backends.get_mut(backend).is_some_and(|backend| {
            backend.circuit.state(now) == CircuitState::Closed && backend.budget.withdraw(now)
        })
    }

    pub(super) fn attempt_failed(
        &mut self,
        backend: &str,
        failure: AttemptFailure,
        now: DateTime<Utc>,
    ) {
        if let Some(found) = self.backends.get_mut(backend) {
            if failure.counts_against_backend() {
                found.circuit.record_failure(now);
            } else if failure == AttemptFailure::Unaskable {
                found.circuit.release_probe(now);
            } else {
                found.circuit.record_success();
            }
            metrics::circuit(backend, found.circuit.state(now));
        }
    }

    pub(super) fn answered(&mut self, backend: &str) {
        if let Some(found) = self.backends.get_mut(backend) {
            found.circuit.record_success();
            metrics::circuit(backend, CircuitState::Closed);
        }
    }

    pub(super) fn release_probe(&mut self, backend: &str, now: DateTime<Utc>) {
        if let Some(found) = self.backends.get_mut(backend) {
            found.circuit.release_probe(now);
        }
    }

    /// `ok`, or the backends that are left alone.
    pub(super) fn describe(&self, now: DateTime<Utc>) -> String {
        let open: Vec<&str> = self
            .chain
            .iter()
            .filter(|name| {
                let backend = self.backends.get(*name);
                backend.is_some_and(|found| found.circuit.state(now) != CircuitState::Closed)
            })
            .map(|name| &**name)
            .collect();
        if open.is_empty() {
            "ok".to_owned()
        } else {
            format!("circuit open: {}", open.join(", "))
        }
    }
}

/// Follows `fallback` from the main backend; a name that is unknown or comes again ends it.
fn chain(main: Option<Arc<str>>, backends: &HashMap<Arc<str>, Backend>) -> Vec<Arc<str>> {
    let mut chain = Vec::new();
    let mut next = main;
    while let Some(name) = next.take().filter(|name| !chain.contains(name)) {
        let Some(backend) = backends.get(&name) else {
            break;
        };
        next.clone_from(&backend.config.fallback);
        chain.push(name);
    }
    chain
}
