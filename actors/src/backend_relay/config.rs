//! What is told about a backend.

use std::sync::Arc;

use crate::ports::{Credential, UpstreamTimeouts};

/// One backend.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// Its configured name; the main one is `main` unless told otherwise.
    pub name: Arc<str>,
    /// Base URL, without a slash at its end; may end in `/v1`.
    pub base_url: Arc<str>,
    /// How it is shown the key.
    pub credential: Credential,
    /// The model to ask for; `None`: the client's, or the backend's first.
    pub model: Option<String>,
    /// A system message put in front of each request.
    pub instruction: Option<String>,
    /// Bounds in time.
    pub timeouts: UpstreamTimeouts,
    /// What becomes of a relay whose client has gone.
    pub on_disconnect: OnDisconnect,
    /// The name of the backend that takes over where this one fails.
    pub fallback: Option<Arc<str>>,
}

/// What becomes of a relay whose client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It reads on within its bounds in time, so that the reply still reaches the inbox.
    Finish,
    /// It stops.
    Cancel,
}
