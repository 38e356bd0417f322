//! The runtime file: how commands of the same user find this service, for as long as it runs.

use std::path::{Path, PathBuf};

use super::StartError;
use crate::runtime_file::{RuntimeFile, fresh_key};

/// What this run tells, with a key of its own.
pub(super) fn runtime_file(endpoint: String) -> Result<RuntimeFile, StartError> {
    Ok(RuntimeFile {
        pid: std::process::id(),
        endpoint,
        key: fresh_key().map_err(StartError::Random)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Removes the file when dropped.
pub(super) struct Told {
    runtime: RuntimeFile,
    home: PathBuf,
}

/// Writes the file. Without it the service works, and its commands do not find it.
pub(super) fn tell(runtime: &RuntimeFile, home: &Path) -> Option<Told> {
    if let Err(error) = runtime.write(home) {
        tracing::warn!(%error, "commands such as `postroom status` will not find this service");
        return None;
    }
    Some(Told {
        runtime: runtime.clone(),
        home: home.to_owned(),
    })
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Err(error) = self.runtime.remove(&self.home) {
            tracing::warn!(%error, "the runtime file stays; it is told as stale");
        }
    }
}
