//! `[bridge]` and `[upstream_proxy]` as they are meant.

use std::time::Duration;

use super::{ConfigError, Secret, validate::is_loopback};

/// How long each part of an exchange that is passed on may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassingTimeouts {
    /// Until the connection stands; default 10 s.
    pub connect: Duration,
    /// Until the answer begins; default 10 min.
    pub first_byte: Duration,
    /// Between two pieces of the answer; default 10 min.
    pub idle: Duration,
}

/// `[bridge]`
#[derive(Debug, Clone)]
pub struct BridgeSettings {
    /// Name or address to listen on; loopback where there is no `local_token`.
    pub host: String,
    /// Port to listen on; 0 lets the system choose. Default: 18800.
    pub port: u16,
    /// The other side; `None`: there is no bridge.
    pub remote: Option<RemoteSettings>,
    /// What is offered where the remote side has no list.
    pub models: Vec<BridgeModel>,
    /// What clients must show; `None`: nothing.
    pub local_token: Option<Secret>,
    /// Names besides loopback ones that clients may use for us.
    pub allowed_hosts: Vec<String>,
    /// Origins besides loopback ones whose pages may ask.
    pub allowed_origins: Vec<String>,
    /// Bounds in time.
    pub timeouts: PassingTimeouts,
}

impl BridgeSettings {
    /// Where requests are passed on to.
    ///
    /// # Errors
    /// There is no remote side.
    pub fn remote(&self) -> Result<&RemoteSettings, ConfigError> {
        self.remote.as_ref().ok_or_else(|| {
            ConfigError::one(
                "bridge.remote_url",
                "is not set; run `postroom bridge login`, or set PROXY_BRIDGE_URL and PROXY_BRIDGE_TOKEN",
            )
        })
    }
}

/// The remote side of the bridge.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// Its base URL, without a slash at its end; may end in `/v1`.
    pub url: String,
    /// The token that it wants.
    pub token: Secret,
}

/// One of `bridge.models`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeModel {
    /// What requests say in `model`.
    pub id: String,
    /// What people see; the id where nothing else was said.
    pub name: String,
}

/// `[upstream_proxy]`
#[derive(Debug, Clone)]
pub struct UpstreamProxySettings {
    /// Name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system choose. Default: 8089.
    pub port: u16,
    /// What clients must show.
    pub token: Option<Secret>,
    /// The API's base URL, without a slash at its end; `None`: what was said is not usable.
    pub base_url: Option<String>,
    /// The API's key.
    pub api_key: Option<Secret>,
    /// The API wants no key: another one than the built-in was named.
    pub may_lack_key: bool,
    /// Requests at once, streams included; 1 to 100,000. Default: 1024.
    pub max_in_flight: usize,
    /// Bounds in time.
    pub timeouts: PassingTimeouts,
}

impl UpstreamProxySettings {
    /// Where requests are passed on to. Only whoever runs the proxy needs it to be there.
    ///
    /// # Errors
    /// What is missing for it to run.
    pub fn runnable(&self) -> Result<&str, ConfigError> {
        let missing = |key: &str, text: &str| Err(ConfigError::one(key, text));
        if self.token.is_none() && !is_loopback(&self.host) {
            return missing(
                "upstream_proxy.token",
                "is not set: everybody who can reach the proxy could use its API key; set it (OPENAI_PROXY_TOKEN), \
                 or listen on 127.0.0.1",
            );
        }
        if self.api_key.is_none() && !self.may_lack_key {
            return missing(
                "upstream_proxy.api_key",
                "is not set; set it (OPENAI_API_KEY, on one line), or name an API that needs no key as `upstream_proxy.base_url`",
            );
        }
        self.base_url.as_deref().ok_or_else(|| {
            ConfigError::one(
                "$OPENAI_BASE_URL",
                "is no URL that can be asked: http:// or https:// (https:// where it is not on this machine), without \
                 user, password, query and fragment",
            )
        })
    }
}
