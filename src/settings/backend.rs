//! `[backend]` and `[backends.NAME]` as they are meant.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Secret;

/// `[backend]` and `[backends.NAME]`
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// Base URL, without a slash at its end; may end in `/v1`.
    pub url: String,
    /// The key it wants.
    pub api_key: Option<Secret>,
    /// How it wants to be shown the key.
    pub auth: BackendAuth,
    /// The model to ask for; empty: the client's, or the backend's first.
    pub model: String,
    /// A system message put in front; empty: none.
    pub instruction: String,
    /// Until the connection stands.
    pub connect_timeout: Duration,
    /// Until the head of the answer.
    pub first_byte_timeout: Duration,
    /// Between two chunks.
    pub idle_timeout: Duration,
    /// The whole exchange.
    pub timeout: Duration,
    /// What becomes of a relay whose client has gone.
    pub on_disconnect: OnDisconnect,
    /// The backend that takes over.
    pub fallback: Option<String>,
}

/// `backend.auth`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackendAuth {
    /// `Authorization: Bearer`.
    Bearer,
    /// `X-Proxy-Token`.
    #[serde(rename = "x-proxy-token")]
    ProxyToken,
}

/// `backend.on_disconnect`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDisconnect {
    /// Read on, so that the reply still reaches the inbox.
    Finish,
    /// Stop asking.
    Cancel,
}
