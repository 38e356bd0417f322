//! TLS for `https` backends, set up when the first one is asked.

use std::{fmt, sync::Arc};

use hyper_rustls::ConfigBuilderExt;
use postroom_actors::ports::UpstreamError;
use rustls::ClientConfig;
use tokio::sync::OnceCell;

/// The system's root certificates, read once for all threads and only when needed.
///
/// Reading them takes tens of milliseconds and some megabytes, which plain `http` backends
/// (the usual case: another process on this machine) need not pay for. Clones share them.
#[derive(Clone, Default)]
pub struct TlsSetup(Arc<OnceCell<ClientConfig>>);

impl TlsSetup {
    pub(in crate::adapters) async fn config(&self) -> Result<ClientConfig, UpstreamError> {
        self.0.get_or_try_init(read).await.cloned()
    }
}

impl fmt::Debug for TlsSetup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TlsSetup")
    }
}

async fn read() -> Result<ClientConfig, UpstreamError> {
    let reading = tokio::task::spawn_blocking(|| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_native_roots()
            .map_err(|error| failed(&error))?;
        Ok(builder.with_no_client_auth())
    });
    reading.await.map_err(|error| failed(&error))?
}

fn failed(error: &dyn std::error::Error) -> UpstreamError {
    UpstreamError::Connect(format!("TLS is not usable here: {error}").into())
}
