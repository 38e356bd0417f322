//! Keeps web pages of others away from whoever asks for no credential.
//!
//! A page that a user happens to have open may send requests to this machine, and by a name that it
//! points at a loopback address it may even read the answers (DNS rebinding). So the name that a
//! request uses for us must be one of ours, and a page that asks must be one of ours too.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap, HeaderName};

use super::error::ApiError;

/// What containers call the machine that they run on. Nobody can register names below `internal`.
const FROM_CONTAINERS: [&str; 3] = [
    "host.docker.internal",
    "gateway.docker.internal",
    "host.containers.internal",
];

/// Who may ask a listener.
#[derive(Debug, Clone, Default)]
pub struct Visitors {
    table: &'static str,
    names: Names,
    origins: Vec<String>,
}

/// The names that a listener is asked by.
#[derive(Debug, Clone, Default)]
enum Names {
    #[default]
    Any,
    /// Besides those of this machine.
    These {
        hosts: Vec<String>,
        /// An address cannot be pointed anywhere else: only names can.
        addresses_too: bool,
    },
}

impl Visitors {
    /// Loopback names and addresses, where we listen, and what was configured in `table`, which the
    /// refusals name.
    pub fn new(table: &'static str, listening: &str, hosts: &[String], origins: &[String]) -> Self {
        let is_everywhere = |host: &str| {
            host.parse::<IpAddr>()
                .is_ok_and(|address| address.is_unspecified())
        };
        let hosts = hosts.iter().map(String::as_str).chain([listening]);
        let origins = origins.iter();
        Self {
            table,
            names: Names::These {
                hosts: hosts.map(|host| bare(host).to_ascii_lowercase()).collect(),
                addresses_too: is_everywhere(bare(listening)),
            },
            origins: origins
                .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
        }
    }

    /// The same under any name.
    #[must_use]
    pub fn by_any_name(self) -> Self {
        Self {
            names: Names::Any,
            ..self
        }
    }

    /// The same with our own URL: its host is a name of ours, and its pages may ask.
    #[must_use]
    pub fn with_own_url(mut self, url: &str) -> Self {
        let url = url.to_ascii_lowercase();
        let Some((scheme, rest)) = url.split_once("://") else {
            return self;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        self.origins.push(format!("{scheme}://{authority}"));
        if let Names::These { hosts, .. } = &mut self.names {
            hosts.push(bare(without_port(authority)).to_owned());
        }
        self
    }

    /// Lets a request pass.
    ///
    /// # Errors
    /// 403 for a name that is not ours, or a page of others.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if let Some(host) = text(headers, &header::HOST)
            && !self.knows(without_port(host))
        {
            return Err(ApiError::foreign_host(host, self.table));
        }
        match text(headers, &header::ORIGIN) {
            Some(origin) if !self.trusts(origin) => {
                Err(ApiError::foreign_origin(origin, self.table))
            }
            _ => Ok(()),
        }
    }

    /// The page that asks, where it may.
    pub fn page<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        text(headers, &header::ORIGIN).filter(|origin| self.trusts(origin))
    }

    fn knows(&self, host: &str) -> bool {
        let Names::These {
            hosts,
            addresses_too,
        } = &self.names
        else {
            return true;
        };
        let host = bare(host);
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        is_of_this_machine(&host)
            || FROM_CONTAINERS.contains(&host.as_str())
            || hosts.contains(&host)
            || (*addresses_too && host.parse::<IpAddr>().is_ok())
    }

    fn trusts(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let host = origin.split_once("://").map(|(_, host)| without_port(host));
        host.is_some_and(|host| is_of_this_machine(bare(host))) || self.origins.contains(&origin)
    }
}

/// A header's text; empty, and so nobody's, where it is none.
fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or_default())
}

fn is_of_this_machine(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
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
mod tests;
