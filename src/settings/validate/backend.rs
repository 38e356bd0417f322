//! `[backend]` and `[backends.NAME]`.

use std::{collections::BTreeMap, net::IpAddr};

use hyper::Uri;

use super::{
    Checker,
    server::{bare, is_loopback},
};
use crate::settings::{
    BackendAuth, BackendSettings, OnDisconnect, Origin, ServerSettings,
    duration::DurationValue,
    layers::Layer,
    problem::{did_you_mean, shorten},
    raw::{RawBackend, RawConfig},
};

impl Checker<'_> {
    /// The main backend and the others by name.
    pub(super) fn backends(
        &mut self,
        raw: &RawConfig,
        server: &ServerSettings,
    ) -> (Option<BackendSettings>, BTreeMap<String, BackendSettings>) {
        let main = self.main_backend(raw, server);
        let mut others = BTreeMap::new();
        for (name, written) in &raw.backends {
            let table = format!("backends.{name}");
            if written.url.as_deref().unwrap_or_default().is_empty() {
                self.refuse(&format!("{table}.url"), "the URL is missing");
                continue;
            }
            let whole = over(written, &raw.backend);
            others.extend(
                self.backend(&table, &whole, server)
                    .map(|backend| (name.clone(), backend)),
            );
        }
        self.check_fallbacks(raw);
        (main, others)
    }

    fn main_backend(
        &mut self,
        raw: &RawConfig,
        server: &ServerSettings,
    ) -> Option<BackendSettings> {
        if !raw.backend.url.as_deref().unwrap_or_default().is_empty() {
            return self.backend("backend", &raw.backend, server);
        }
        let told = self.layers.iter().any(|(path, leaf)| {
            leaf.source.layer > Layer::Default
                && path.first().is_some_and(|first| first == "backend")
        });
        if told {
            self.warnings
                .push("`[backend]` has no `url`: requests are kept and not relayed".to_owned());
        }
        None
    }

    fn backend(
        &mut self,
        table: &str,
        raw: &RawBackend,
        server: &ServerSettings,
    ) -> Option<BackendSettings> {
        let at = |key: &str| format!("{table}.{key}");
        let url = self.url(&at("url"), raw.url.as_deref().unwrap_or_default());
        if url.as_deref().is_some_and(|url| is_ourselves(url, server)) {
            self.refuse(
                &at("url"),
                "this is our own address; a request would go round for ever",
            );
        }
        let model = raw.model.clone().unwrap_or_default();
        if model.is_empty() && self.origin == Origin::Native {
            self.warnings.push(format!(
                "`{}` is not set: a request for `local-agent`, `openclaw…` or an agent gets the first model that the backend lists",
                at("model")
            ));
        }
        Some(BackendSettings {
            url: url?,
            api_key: raw.api_key.clone(),
            auth: raw.auth.unwrap_or(BackendAuth::Bearer),
            model,
            instruction: raw.instruction.clone().unwrap_or_default(),
            connect_timeout: self.at_least_a_moment(&at("connect_timeout"), raw.connect_timeout),
            first_byte_timeout: self
                .at_least_a_moment(&at("first_byte_timeout"), raw.first_byte_timeout),
            idle_timeout: self.at_least_a_moment(&at("idle_timeout"), raw.idle_timeout),
            timeout: self.at_least_a_moment(&at("timeout"), raw.timeout),
            on_disconnect: raw.on_disconnect.unwrap_or(OnDisconnect::Finish),
            fallback: raw.fallback.clone().filter(|name| !name.is_empty()),
        })
    }

    /// Checks a base URL and takes the slash from its end. The URL is not repeated in messages where it may hold a password.
    pub(super) fn url(&mut self, key: &str, written: &str) -> Option<String> {
        match base_url(written) {
            Ok(url) => Some(url),
            Err(error) => {
                self.refuse(key, error);
                None
            }
        }
    }

    fn check_fallbacks(&mut self, raw: &RawConfig) {
        let next = |backend: &RawBackend| backend.fallback.clone().filter(|name| !name.is_empty());
        let starts = raw
            .backends
            .iter()
            .map(|(name, backend)| (format!("backends.{name}"), next(backend)));
        let starts: Vec<_> = [("backend".to_owned(), next(&raw.backend))]
            .into_iter()
            .chain(starts)
            .collect();
        for (table, first) in starts {
            let Some(first) = first else { continue };
            let key = format!("{table}.fallback");
            if !raw.backends.contains_key(&first) {
                let near = did_you_mean(&first, raw.backends.keys().map(String::as_str));
                self.refuse(
                    &key,
                    format!("there is no `[backends.{}]`{near}", shorten(&first)),
                );
                continue;
            }
            let hops =
                std::iter::successors(Some(first), |name| raw.backends.get(name).and_then(next));
            if hops.take(raw.backends.len() + 1).count() > raw.backends.len() {
                self.refuse(&key, "the fallbacks go round in a circle");
            }
        }
    }
}

/// What a named backend does not say, it has from the main one, but for what tells them apart.
fn over(named: &RawBackend, main: &RawBackend) -> RawBackend {
    let longer = |own: Option<DurationValue>, main: Option<DurationValue>| own.or(main);
    RawBackend {
        connect_timeout: longer(named.connect_timeout, main.connect_timeout),
        first_byte_timeout: longer(named.first_byte_timeout, main.first_byte_timeout),
        idle_timeout: longer(named.idle_timeout, main.idle_timeout),
        timeout: longer(named.timeout, main.timeout),
        on_disconnect: named.on_disconnect.or(main.on_disconnect),
        instruction: named
            .instruction
            .clone()
            .or_else(|| main.instruction.clone()),
        ..named.clone()
    }
}

/// A base URL without a slash at its end.
pub(super) fn base_url(written: &str) -> Result<String, String> {
    let url = written.trim();
    if url.contains(['?', '#']) {
        return Err("a base URL has no query and no fragment".to_owned());
    }
    if url.contains('@') {
        return Err("a base URL holds no user or password; use `api_key`".to_owned());
    }
    let scheme_missing = || {
        format!(
            "expected a URL that begins with http:// or https://, found `{}`",
            shorten(url)
        )
    };
    let (scheme, _) = url.split_once("://").ok_or_else(scheme_missing)?;
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(scheme_missing());
    }
    let host_missing = || format!("`{}` is no URL", shorten(url));
    let parsed: Uri = url.parse().map_err(|_invalid| host_missing())?;
    if parsed.host().is_none_or(str::is_empty)
        || parsed.port().is_some_and(|port| port.as_u16() == 0)
    {
        return Err(host_missing());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

fn is_ourselves(url: &str, server: &ServerSettings) -> bool {
    leads_to(url, &server.host, server.port)
}

/// Whether a URL leads to a listener of ours, as far as names tell.
pub(super) fn leads_to(url: &str, host: &str, port: u16) -> bool {
    let Ok(uri) = url.parse::<Uri>() else {
        return false;
    };
    let https = uri.scheme_str() == Some("https");
    let theirs_port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let theirs = bare(uri.host().unwrap_or_default());
    let ours = bare(host);
    let here = |host: &str| is_loopback(host) || is_unspecified(host);
    theirs_port == port && (theirs.eq_ignore_ascii_case(ours) || (here(theirs) && here(ours)))
}

fn is_unspecified(host: &str) -> bool {
    host.parse::<IpAddr>()
        .is_ok_and(|address| address.is_unspecified())
}
