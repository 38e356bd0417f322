//! Where messages may be posted to: rules for URLs and for addresses, without a look at the
//! network.
//!
//! The configuration is checked by them at the start, and `adapters::peer_http` checks every
//! address once more as it was resolved, because a name can lead anywhere.

mod literal;
mod public;

use hyper::{Uri, http::uri::Scheme};
use thiserror::Error;

pub use self::{literal::literal_address, public::is_public};

/// Ports of services that would take an HTTP request for words of their own.
const REFUSED_PORTS: [u16; 46] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 53, 69, 79, 95, 110, 111, 119, 123,
    135, 137, 138, 139, 143, 161, 179, 389, 445, 465, 512, 513, 514, 515, 587, 636, 873, 993, 995,
    2049, 6379, 11211, 27017,
];

/// What is wrong with a URL that messages are to be posted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UrlProblem {
    /// Another scheme, or none.
    #[error("expected a URL that begins with http:// or https://")]
    NotHttp,
    /// It cannot be read.
    #[error("this is no URL")]
    Unreadable,
    /// It names a user, and perhaps a password.
    #[error("the URL holds a user or a password; take them out")]
    UserInfo,
    /// It ends in `#…`.
    #[error("the URL has a fragment (`#…`); take it out")]
    Fragment,
    /// Its port belongs to another protocol.
    #[error("port {0} is not one that messages are posted to; name the port of an HTTP service")]
    Port(u16),
    /// Its host is none of those that a `reply_to` may name.
    #[error("its host is not one of `courier.reply_hosts`")]
    HostNotAllowed,
}

/// Reads a URL that messages are to be posted to, as far as its text tells.
///
/// # Errors
/// [`UrlProblem`].
pub fn read_url(url: &str) -> Result<Uri, UrlProblem> {
    if url.contains('#') {
        return Err(UrlProblem::Fragment);
    }
    let is_http = |uri: &Uri| [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    let uri = url.parse::<Uri>().map_err(|_invalid| {
        let (scheme, _) = url.split_once("://").unwrap_or_default();
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => UrlProblem::Unreadable,
            _ => UrlProblem::NotHttp,
        }
    })?;
    if !is_http(&uri) {
        return Err(UrlProblem::NotHttp);
    }
    let authority = uri.authority().ok_or(UrlProblem::Unreadable)?;
    if authority.as_str().contains('@') {
        return Err(UrlProblem::UserInfo);
    }
    let names_no_port = authority.port().is_none();
    if authority.host().is_empty() || (names_no_port && authority.as_str() != authority.host()) {
        return Err(UrlProblem::Unreadable);
    }
    match authority.port() {
        Some(port) if REFUSED_PORTS.contains(&port.as_u16()) => {
            Err(UrlProblem::Port(port.as_u16()))
        }
        _ => Ok(uri),
    }
}

/// Reads a URL that a message names as its `reply_to`; `hosts` are those that it may name, written
/// without brackets and in any case.
///
/// # Errors
/// [`UrlProblem`].
pub fn read_reply_to(url: &str, hosts: &[String]) -> Result<Uri, UrlProblem> {
    let uri = read_url(url)?;
    let is_allowed = |host: &str| hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
    if is_allowed(host_of(&uri)) {
        Ok(uri)
    } else {
        Err(UrlProblem::HostNotAllowed)
    }
}

/// The host of a URL, without the brackets of an IPv6 address.
pub fn host_of(uri: &Uri) -> &str {
    bare(uri.host().unwrap_or_default())
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_a_service_is_read() {
        for (url, host) in [
            ("http://office.example", "office.example"),
            ("HTTPS://office.example:8443/a/b?c=d", "office.example"),
            ("http://[::1]:7011/", "::1"),
            ("http://127.1", "127.1"),
        ] {
            assert_eq!(host_of(&read_url(url).unwrap()), host, "{url}");
        }
    }

    #[test]
    fn what_is_no_such_url_is_named_by_what_is_wrong() {
        for (url, problem) in [
            ("", UrlProblem::NotHttp),
            ("office.example", UrlProblem::NotHttp),
            ("/message", UrlProblem::NotHttp),
            ("ftp://office.example", UrlProblem::NotHttp),
            ("file:///etc/passwd", UrlProblem::NotHttp),
            ("gopher://office.example/1", UrlProblem::NotHttp),
            ("http://", UrlProblem::Unreadable),
            ("http://:80/", UrlProblem::Unreadable),
            ("http://office.example:99999/", UrlProblem::Unreadable),
            ("http://a.example/\r\nX: y", UrlProblem::Unreadable),
            ("http://a b.example/", UrlProblem::Unreadable),
            ("http://u:p@office.example", UrlProblem::UserInfo),
            ("http://u@office.example", UrlProblem::UserInfo),
            ("http://office.example/#x", UrlProblem::Fragment),
            ("http://office.example:0", UrlProblem::Port(0)),
            ("http://office.example:25", UrlProblem::Port(25)),
            ("https://office.example:465/", UrlProblem::Port(465)),
            ("http://localhost:22", UrlProblem::Port(22)),
            ("http://office.example:587", UrlProblem::Port(587)),
            ("http://office.example:6379", UrlProblem::Port(6379)),
            ("http://office.example:11211", UrlProblem::Port(11211)),
        ] {
            assert_eq!(read_url(url).unwrap_err(), problem, "{url}");
        }
    }

    #[test]
    fn a_reply_to_names_an_allowed_host_exactly() {
        let hosts = ["office.example".to_owned(), "::1".to_owned()];
        for url in ["https://Office.Example:8443/a?b", "http://[::1]:7012/x"] {
            assert!(read_reply_to(url, &hosts).is_ok(), "{url}");
        }
        for url in [
            "https://a.office.example",
            "https://office.example.evil.example",
            "https://office.example.",
            "http://[::2]/",
        ] {
            let refused = read_reply_to(url, &hosts).unwrap_err();
            assert_eq!(refused, UrlProblem::HostNotAllowed, "{url}");
        }
        let nobody = read_reply_to("https://office.example", &[]);
        assert_eq!(nobody.unwrap_err(), UrlProblem::HostNotAllowed);
    }
}
