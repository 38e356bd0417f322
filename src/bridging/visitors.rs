//! Keeps web pages of others out of a listener that asks for no credential.
//!
//! A page that a user happens to have open may send requests to this machine, and by a name that it
//! points at a loopback address it may even read the answers (DNS rebinding). So the name that a
//! request uses for us must be one of ours, and a page that asks must be one of ours too.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap};

use crate::http::error::ApiError;

/// Who may ask a listener.
#[derive(Debug, Clone, Default)]
pub struct Visitors {
    hosts: Vec<String>,
    origins: Vec<String>,
    by_address: bool,
}

impl Visitors {
    /// Loopback names and addresses, where we listen, and what was configured.
    pub fn new(listening: &str, hosts: &[String], origins: &[String]) -> Self {
        let is_everywhere = |host: &str| {
            host.parse::<IpAddr>()
                .is_ok_and(|address| address.is_unspecified())
        };
        let hosts = hosts.iter().map(String::as_str).chain([listening]);
        Self {
            hosts: hosts.map(|host| bare(host).to_ascii_lowercase()).collect(),
            origins: origins
                .iter()
                .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            // An address cannot be pointed anywhere else: only names can.
            by_address: is_everywhere(bare(listening)),
        }
    }

    /// Lets a request pass.
    ///
    /// # Errors
    /// 403 for a name that is not ours, or a page of others.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let text = |name: header::HeaderName| {
            let value = headers.get(name)?;
            Some(value.to_str().unwrap_or_default())
        };
        if let Some(host) = text(header::HOST)
            && !self.knows(without_port(host))
        {
            return Err(ApiError::foreign_host(host));
        }
        match text(header::ORIGIN) {
            Some(origin) if !self.trusts(origin) => Err(ApiError::foreign_origin(origin)),
            _ => Ok(()),
        }
    }

    fn knows(&self, host: &str) -> bool {
        let host = bare(host);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        is_loopback(&host)
            || self.hosts.contains(&host)
            || (self.by_address && host.parse::<IpAddr>().is_ok())
    }

    fn trusts(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let host = origin.split_once("://").map(|(_, host)| without_port(host));
        host.is_some_and(|host| is_loopback(bare(host))) || self.origins.contains(&origin)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// The name or address of a `Host`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.chars().all(|digit| digit.is_ascii_digit()) && is_whole(name) =>
        {
            name
        }
        _ => host,
    }
}

/// Not the beginning of an IPv6 address without its brackets.
fn is_whole(name: &str) -> bool {
    !name.contains(':') || name.ends_with(']')
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn allows(visitors: &Visitors, headers: &[(&'static str, &str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        visitors.check(&map).is_ok()
    }

    #[test]
    fn only_names_of_this_machine_and_configured_ones_are_ours() {
        let hosts = ["Bridge.example".to_owned()];
        let visitors = Visitors::new("127.0.0.1", &hosts, &[]);
        for host in [
            "127.0.0.1",
            "127.0.0.1:18800",
            "127.8.9.10:1",
            "LOCALHOST:18800",
            "localhost.",
            "[::1]:18800",
            "[::ffff:127.0.0.1]",
            "bridge.example:18800",
        ] {
            assert!(allows(&visitors, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:18800",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "[2001:db8::1]:18800",
            "",
            "localhost:x",
        ] {
            assert!(!allows(&visitors, &[("host", host)]), "{host}");
        }
        assert!(allows(&visitors, &[]), "no browser leaves the name out");
    }

    #[test]
    fn pages_of_others_are_refused() {
        let origins = ["https://chat.example/".to_owned()];
        let visitors = Visitors::new("127.0.0.1", &[], &origins);
        let asks = |origin: &str| allows(&visitors, &[("host", "localhost"), ("origin", origin)]);
        for origin in [
            "http://localhost:3000",
            "http://127.0.0.1",
            "http://[::1]:8080",
            "https://chat.example",
        ] {
            assert!(asks(origin), "{origin}");
        }
        for origin in [
            "null",
            "https://evil.example",
            "http://localhost.evil.example",
            "https://chat.example.evil",
            "",
        ] {
            assert!(!asks(origin), "{origin}");
        }
    }

    #[test]
    fn whoever_listens_everywhere_is_reached_by_any_address_but_not_by_any_name() {
        let visitors = Visitors::new("0.0.0.0", &[], &[]);
        assert!(allows(&visitors, &[("host", "192.0.2.1:18800")]));
        assert!(!allows(&visitors, &[("host", "evil.example")]));
    }
}
