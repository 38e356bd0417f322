//! Names of ours, and whose web pages may ask.

use super::{Checker, bare, is_host};
use crate::settings::{problem::shorten, raw::RawServer};

impl Checker<'_> {
    pub(super) fn allowed_hosts(&mut self, raw: &RawServer) -> Vec<String> {
        let mut hosts = Vec::new();
        for text in raw.allowed_hosts.iter().flatten() {
            if is_host(bare(text)) {
                hosts.push(bare(text).to_ascii_lowercase());
            } else {
                self.refuse(
                    "server.allowed_hosts",
                    format!(
                        "expected names or addresses without a port, found `{}`",
                        shorten(text)
                    ),
                );
            }
        }
        hosts
    }

    pub(super) fn allowed_origins(&mut self, raw: &RawServer) -> Vec<String> {
        let mut origins = Vec::new();
        for text in raw.allowed_origins.iter().flatten() {
            let origin = text.trim_end_matches('/').to_ascii_lowercase();
            if is_origin(&origin) {
                origins.push(origin);
            } else {
                self.refuse(
                    "server.allowed_origins",
                    format!(
                        "expected origins such as `https://chat.example` or `http://chat.example:8080`, found `{}`",
                        shorten(text)
                    ),
                );
            }
        }
        origins
    }
}

/// A scheme and a host, as browsers write them; `*` and `null` stand for anybody.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else {
        return false;
    };
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_in_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    !scheme.is_empty()
        && scheme.chars().all(is_scheme)
        && !host.is_empty()
        && host.chars().all(is_in_host)
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for origin in [
            "https://chat.example",
            "http://10.0.0.1:8080",
            "http://[2001:db8::1]:80",
            "chrome-extension://abcdef",
            "tauri://localhost",
        ] {
            assert!(is_origin(origin), "{origin}");
        }
        for text in [
            "*",
            "null",
            "",
            "chat.example",
            "https://",
            "https://a/b",
            "https://*.a",
        ] {
            assert!(!is_origin(text), "{text}");
        }
    }
}
