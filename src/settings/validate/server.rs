//! `[server]` and `[keys.NAME]`: who may listen where, and who may ask.

mod origins;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    thread,
};

use postroom_actors::domain::ids::AgentId;

use super::Checker;
use crate::settings::{
    KeySettings, Role, Secret, ServerSettings, StoredKey, TlsFiles,
    problem::{Problem, shorten},
    raw::{RawConfig, RawServer},
    stored_keys,
};

const SHORT_KEY: usize = 16;

impl Checker<'_> {
    /// The listener; `more_keys`: there are keys besides its own.
    pub(super) fn server(&mut self, raw: &RawServer, more_keys: bool) -> ServerSettings {
        self.warn_of_a_short_key("server.key", raw.key.as_ref());
        let allow_unauthenticated = raw.allow_unauthenticated.unwrap_or_default();
        let has_keys = raw.key.is_some() || more_keys;
        let written = raw.host.clone().unwrap_or_default();
        let host = self.host(&written, has_keys || allow_unauthenticated);
        let (trusted_proxies, tls) = (self.trusted_proxies(raw), self.tls(raw));
        if has_keys && tls.is_none() && trusted_proxies.is_empty() && !is_loopback(&host) {
            self.warnings.push(format!(
                "keys and messages come to `{host}` unencrypted: set `server.tls_cert` and `server.tls_key`, \
                 or name the TLS proxy in front in `server.trusted_proxies`"
            ));
        }
        ServerSettings {
            host,
            port: raw.port.unwrap_or(7011),
            key: raw.key.clone(),
            workers: self.workers(raw.workers.unwrap_or_default()),
            public_url: self.public_url(raw),
            allow_unauthenticated,
            trusted_proxies,
            allowed_hosts: self.allowed_hosts(raw),
            allowed_origins: self.allowed_origins(raw),
            tls,
        }
    }

    fn tls(&mut self, raw: &RawServer) -> Option<TlsFiles> {
        const CERT: &str = "server.tls_cert";
        const KEY: &str = "server.tls_key";
        let given = |path: &Option<PathBuf>| {
            let path = path.clone();
            path.filter(|path| !path.as_os_str().is_empty())
        };
        match (given(&raw.tls_cert), given(&raw.tls_key)) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some(TlsFiles {
                cert: self.path(CERT, &cert),
                key: self.path(KEY, &key),
            }),
            (Some(_), None) => {
                self.refuse(CERT, format!("needs `{KEY}` too, the private key's file"));
                None
            }
            (None, Some(_)) => {
                self.refuse(KEY, format!("needs `{CERT}` too, the certificate's file"));
                None
            }
        }
    }

    /// Keys that a command made. Of two with one name, the configured one counts.
    pub(super) fn stored_keys(
        &mut self,
        home: &Path,
        configured: &BTreeMap<String, KeySettings>,
    ) -> Vec<StoredKey> {
        let mut keys = match stored_keys::read(home) {
            Ok(keys) => keys,
            Err(error) => {
                let place = home.join(stored_keys::NAME).display().to_string();
                self.problems.push(Problem::new(place, error.to_string()));
                return Vec::new();
            }
        };
        keys.retain(|key| {
            let is_configured = configured.contains_key(&key.name);
            if is_configured {
                self.warnings.push(format!(
                    "`[keys.{}]` goes before the key of that name that `postroom keys add` made: the latter is not taken",
                    key.name
                ));
            }
            !is_configured
        });
        keys
    }

    fn host(&mut self, written: &str, guarded: bool) -> String {
        const KEY: &str = "server.host";
        let host = bare(written).to_owned();
        if !is_host(&host) {
            self.refuse(
                KEY,
                format!(
                    "`{}` is neither an address nor a host name",
                    shorten(written)
                ),
            );
            return host;
        }
        if guarded || is_loopback(&host) {
            return host;
        }
        if self.layers.is_told(KEY) {
            self.refuse(KEY, format!(
                "refusing to listen on `{host}` without a key: set `server.key` (`KEY`, `--key`), or listen on 127.0.0.1, \
                 or allow it with `--allow-unauthenticated`"
            ));
            return host;
        }
        self.warnings.push(format!("no key is set: listening on 127.0.0.1 instead of {host}; set a key to be reached from outside"));
        self.layers.resolve("server", "host", "127.0.0.1");
        "127.0.0.1".to_owned()
    }

    fn workers(&mut self, written: u16) -> usize {
        let workers = if written == 0 {
            cores()
        } else {
            usize::from(written)
        };
        self.layers
            .resolve("server", "workers", i64::try_from(workers).unwrap_or(1));
        workers
    }

    fn public_url(&mut self, raw: &RawServer) -> Option<String> {
        let written = raw.public_url.as_deref().filter(|url| !url.is_empty())?;
        self.url("server.public_url", written)
    }

    fn trusted_proxies(&mut self, raw: &RawServer) -> Vec<IpAddr> {
        let mut proxies = Vec::new();
        for text in raw.trusted_proxies.iter().flatten() {
            match text.parse() {
                Ok(address) => proxies.push(address),
                Err(_) => self.refuse(
                    "server.trusted_proxies",
                    format!("expected IP addresses, found `{}`", shorten(text)),
                ),
            }
        }
        proxies
    }

    /// All named keys.
    pub(super) fn keys(&mut self, raw: &RawConfig) -> BTreeMap<String, KeySettings> {
        let mut keys: BTreeMap<String, KeySettings> = BTreeMap::new();
        for (name, entry) in &raw.keys {
            let at = |key: &str| format!("keys.{name}.{key}");
            let Some(key) = entry.key.clone() else {
                self.refuse(&at("key"), "the key is missing; set `key` or `key_file`");
                continue;
            };
            self.warn_of_a_short_key(&at("key"), Some(&key));
            let twice = keys
                .iter()
                .find(|(_, other)| other.key == key)
                .map(|(other, _)| format!("keys.{other}"));
            let main = (raw.server.key.as_ref() == Some(&key)).then(|| "server.key".to_owned());
            if let Some(other) = twice.or(main) {
                self.refuse(
                    &at("key"),
                    format!("is the same as `{other}`; each key belongs to one name"),
                );
            }
            let role = entry.role.unwrap_or(Role::Client);
            let agent = self.agent_of_key(&at("agent"), role, entry.agent.as_deref());
            let webhook = self.webhook(name, entry);
            let settings = KeySettings {
                key,
                role,
                agent,
                webhook,
            };
            keys.insert(name.clone(), settings);
        }
        keys
    }

    fn agent_of_key(&mut self, at: &str, role: Role, written: Option<&str>) -> Option<AgentId> {
        match (role, written.filter(|agent| !agent.is_empty())) {
            (Role::Agent, Some(agent)) => AgentId::parse(agent)
                .map_err(|error| self.refuse(at, error.to_string()))
                .ok(),
            (Role::Agent, None) => {
                self.refuse(
                    at,
                    "a key with `role = \"agent\"` needs the id of its agent",
                );
                None
            }
            (_, Some(_)) => {
                self.refuse(at, "is only for `role = \"agent\"`");
                None
            }
            (_, None) => None,
        }
    }

    pub(super) fn warn_of_a_short_key(&mut self, name: &str, key: Option<&Secret>) {
        if key.is_some_and(|key| key.expose().len() < SHORT_KEY) {
            self.warnings.push(format!(
                "`{name}` is shorter than {SHORT_KEY} bytes and can be guessed"
            ));
        }
    }
}

/// The number of cores that we may use, at least 1.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A host without the brackets of an IPv6 address.
pub(super) fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host)
}

/// Whether only this machine can reach it.
pub(in crate::settings) fn is_loopback(host: &str) -> bool {
    let host = bare(host);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// An address, or a name that is not an address gone wrong such as `256.1.1.1`.
pub(super) fn is_host(host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let named = host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    named && !last.is_empty() && !last.chars().all(|c| c.is_ascii_digit())
}
