//! The runtime file: how commands of the same user find this service, for as long as it runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::StartError;
use crate::runtime_file::{RuntimeFile, fresh_key};

/// What this run tells, with a key of its own.
pub(super) fn runtime_file(
    endpoint: String,
    certificate: Option<String>,
) -> Result<RuntimeFile, StartError> {
    Ok(RuntimeFile {
        pid: std::process::id(),
        endpoint,
        certificate,
        key: fresh_key().map_err(StartError::Random)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Removes the file when dropped.
pub(super) struct Told {
    runtime: Mutex<RuntimeFile>,
    home: PathBuf,
}

/// Writes the file. Without it the service works, and its commands do not find it.
pub(super) fn tell(runtime: &RuntimeFile, home: &Path) -> Option<Arc<Told>> {
    if let Err(error) = runtime.write(home) {
        tracing::warn!(%error, "commands such as `postroom status` will not find this service");
        return None;
    }
    Some(Arc::new(Told {
        runtime: Mutex::new(runtime.clone()),
        home: home.to_owned(),
    }))
}

impl Told {
    /// Writes the file again, with another certificate.
    pub(super) fn certificate(&self, fingerprint: String) {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        runtime.certificate = Some(fingerprint);
        if let Err(error) = runtime.write(&self.home) {
            tracing::warn!(%error, "commands such as `postroom status` will not take the certificate");
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let runtime = self
            .runtime
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = runtime.remove(&self.home) {
            tracing::warn!(%error, "the runtime file stays; it is told as stale");
        }
    }
}
