//! Where a sender may have its answers posted.

use actix_web::http::Uri;

use crate::http::error::ApiError;

/// Checks a `reply_to`: an absolute URL without user info, on a host that is allowed. Which
/// addresses the host resolves to is checked when something is posted.
///
/// # Errors
/// 422 saying what is wrong with it.
pub(super) fn check(url: &str, allowed: &[String]) -> Result<(), ApiError> {
    let host = host(url).map_err(ApiError::reply_to_not_allowed)?;
    if allowed.iter().any(|allowed| matches(&host, allowed)) {
        return Ok(());
    }
    Err(ApiError::reply_to_not_allowed(
        "names a host that answers may not be posted to; an operator can allow it (`courier.reply_hosts`)",
    ))
}

fn host(url: &str) -> Result<String, &'static str> {
    const NO_URL: &str = "must be a URL that begins with `http://` or `https://`";
    let uri: Uri = url.parse().map_err(|_invalid| NO_URL)?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(NO_URL);
    }
    let authority = uri.authority().ok_or(NO_URL)?;
    if authority.as_str().contains('@') {
        return Err("must hold no user and no password");
    }
    let host = authority.host();
    if host.is_empty() {
        return Err(NO_URL);
    }
    Ok(host.to_ascii_lowercase())
}

/// `*.example.com` stands for every host below `example.com`, not for that one itself.
fn matches(host: &str, allowed: &str) -> bool {
    let allowed = allowed.to_ascii_lowercase();
    match allowed.strip_prefix("*.") {
        Some(domain) => host
            .strip_suffix(domain)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|name| !name.is_empty()),
        None => host == allowed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_to_allowed_hosts_alone() {
        let allowed = ["peer.example".to_owned(), "*.Inner.example".to_owned()];
        for url in [
            "https://peer.example/inbox?x=1",
            "http://PEER.example:8080",
            "https://a.inner.example/",
            "https://a.b.inner.example/",
        ] {
            assert_eq!(check(url, &allowed), Ok(()), "{url}");
        }
        for url in [
            "",
            "peer.example",
            "/inbox",
            "ftp://peer.example/",
            "file:///etc/passwd",
            "https://",
            "https://user:pass@peer.example/",
            "https://peer.example@evil.example/",
            "https://evil.example/peer.example",
            "https://peer.example.evil.example/",
            "https://inner.example/",
            "https://.inner.example/",
            "https://evilinner.example/",
            "https://peer.example\r\nx: y/",
            "http://169.254.169.254/",
            "http://[::1]/",
        ] {
            let refused = check(url, &allowed).unwrap_err();
            assert_eq!(refused.body().error.code, "reply_to_not_allowed", "{url}");
        }
        assert!(check("https://peer.example/", &[]).is_err());
    }
}
