//! `[bridge]` and `[upstream_proxy]`: who may listen where, and what may be asked without TLS.

use hyper::Uri;

use super::{
    Checker,
    backend::{base_url, leads_to},
    server::{bare, is_host, is_loopback},
};
use crate::settings::{
    Secret,
    bridge::{BridgeModel, BridgeSettings, PassingTimeouts, RemoteSettings, UpstreamProxySettings},
    duration::DurationValue,
    layers::Layer,
    problem::shorten,
    raw::{RawBridge, RawBridgeModel, RawUpstreamProxy},
};

const BASE_URL: &str = "upstream_proxy.base_url";

/// In this variable other programs find their API too: what it says must not stop `serve`.
const SHARED_VARIABLE: &str = "$OPENAI_BASE_URL";

impl Checker<'_> {
    pub(super) fn bridge(&mut self, raw: &RawBridge) -> BridgeSettings {
        let host = self.listening_host("bridge.host", raw.host.as_deref());
        let port = raw.port.unwrap_or(18800);
        let remote = self.remote(raw, &host, port);
        if raw.local_token.is_none() && remote.is_some() && !is_loopback(&host) {
            self.refuse(
                "bridge.host",
                format!(
                    "refusing to listen on `{host}` without `bridge.local_token`: everybody who can reach it could use \
                     the token; set one, or listen on 127.0.0.1"
                ),
            );
        }
        let of = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        BridgeSettings {
            host,
            port,
            remote,
            models: self.bridge_models(raw),
            local_token: raw.local_token.clone(),
            allowed_hosts: of(&raw.allowed_hosts),
            allowed_origins: of(&raw.allowed_origins),
            timeouts: self.passing(
                "bridge",
                [
                    raw.connect_timeout,
                    raw.first_byte_timeout,
                    raw.idle_timeout,
                ],
            ),
        }
    }

    fn remote(&mut self, raw: &RawBridge, host: &str, port: u16) -> Option<RemoteSettings> {
        const KEY: &str = "bridge.remote_url";
        let written = raw
            .remote_url
            .as_deref()
            .filter(|url| !url.trim().is_empty())?;
        let url = self.url(KEY, written)?;
        if leads_to(&url, host, port) {
            self.refuse(
                KEY,
                "this is the bridge's own address; a request would go round for ever",
            );
        }
        if let Some(problem) = insecure(&url, raw.allow_insecure, "bridge") {
            self.refuse(KEY, problem);
        }
        let token = self.remote_token(raw.token.as_ref())?;
        Some(RemoteSettings { url, token })
    }

    fn remote_token(&mut self, token: Option<&Secret>) -> Option<Secret> {
        if token.is_none() {
            self.refuse(
                "bridge.token",
                "is missing: the remote side at `bridge.remote_url` wants one (`token_file`, PROXY_BRIDGE_TOKEN)",
            );
        }
        token.cloned()
    }

    fn bridge_models(&mut self, raw: &RawBridge) -> Vec<BridgeModel> {
        let written = raw.models.iter().flatten();
        let model = |model: &RawBridgeModel| {
            let id = model.id.clone().filter(|id| !id.trim().is_empty())?;
            let name = model.name.clone().unwrap_or_else(|| id.clone());
            Some(BridgeModel { id, name })
        };
        let models: Vec<_> = written.map(model).collect();
        if models.contains(&None) {
            self.refuse("bridge.models", "each model needs an `id`");
        }
        models.into_iter().flatten().collect()
    }

    pub(super) fn upstream_proxy(&mut self, raw: &RawUpstreamProxy) -> UpstreamProxySettings {
        let max_in_flight = raw.max_in_flight.unwrap_or(1024);
        UpstreamProxySettings {
            host: self.listening_host("upstream_proxy.host", raw.host.as_deref()),
            port: raw.port.unwrap_or(8089),
            token: raw.token.clone(),
            base_url: self.api_url(raw),
            api_key: raw.api_key.clone(),
            may_lack_key: self.layers.is_told(BASE_URL),
            max_in_flight: usize::try_from(max_in_flight).unwrap_or(1024),
            timeouts: self.passing(
                "upstream_proxy",
                [
                    raw.connect_timeout,
                    raw.first_byte_timeout,
                    raw.idle_timeout,
                ],
            ),
        }
    }

    fn api_url(&mut self, raw: &RawUpstreamProxy) -> Option<String> {
        let written = raw.base_url.as_deref().unwrap_or_default();
        let url = base_url(written).and_then(|url| {
            match insecure(&url, raw.allow_insecure, "upstream_proxy") {
                Some(problem) => Err(problem),
                None => Ok(url),
            }
        });
        match url {
            Ok(url) => Some(url),
            Err(_) if self.layers.source(BASE_URL).place == SHARED_VARIABLE => None,
            Err(problem) => {
                self.refuse(BASE_URL, problem);
                None
            }
        }
    }

    fn listening_host(&mut self, key: &str, written: Option<&str>) -> String {
        let host = bare(written.unwrap_or_default()).to_owned();
        if !is_host(&host) {
            let found = shorten(&host);
            self.refuse(
                key,
                format!("`{found}` is neither an address nor a host name"),
            );
        }
        host
    }

    fn passing(&mut self, table: &str, values: [Option<DurationValue>; 3]) -> PassingTimeouts {
        let [connect, first_byte, idle] = values;
        let mut of = |key: &str, value| self.at_least_a_moment(&format!("{table}.{key}"), value);
        PassingTimeouts {
            connect: of("connect_timeout", connect),
            first_byte: of("first_byte_timeout", first_byte),
            idle: of("idle_timeout", idle),
        }
    }

    /// A file that says something of a bridge and leaves out the one thing that makes it one.
    pub(super) fn note_unused_bridge_keys(&mut self, raw: &RawBridge) {
        let has_remote = raw.remote_url.as_deref().is_some_and(|url| !url.is_empty());
        let told = self.layers.iter().any(|(path, leaf)| {
            leaf.source.layer == Layer::File && path.first().is_some_and(|first| first == "bridge")
        });
        if told && !has_remote {
            self.warnings
                .push("`[bridge]` has no `remote_url`: there is no bridge".to_owned());
        }
    }
}

/// Why a URL may not be asked without TLS.
fn insecure(url: &str, allowed: Option<bool>, table: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let is_plain = uri
        .scheme_str()
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
    let is_open = is_plain && !is_loopback(uri.host().unwrap_or_default());
    (is_open && !allowed.unwrap_or_default()).then(|| {
        format!(
            "`{}` is not on this machine and not encrypted: whoever is on the way could read the secret; use https://, \
             or allow it with `--allow-insecure` (`{table}.allow_insecure`)",
            shorten(url)
        )
    })
}
