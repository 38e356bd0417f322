//! Which paths are passed on.

use percent_encoding::percent_decode_str;

/// Whether a path lies below `/v1/` and stays there.
pub(super) fn is_passed_on(path: &str) -> bool {
    (path == "/v1" || path.starts_with("/v1/")) && !climbs(path)
}

/// Whether a path holds `.` or `..` as one of its parts, however it is written.
pub(super) fn climbs(path: &str) -> bool {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded
        .split(['/', '\\'])
        .any(|part| part == "." || part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_below_v1_is_passed_on() {
        for path in [
            "/v1",
            "/v1/models",
            "/v1/models/provider/model",
            "/v1/models/provider%2Fmodel",
            "/v1/files/a..b",
        ] {
            assert!(is_passed_on(path), "{path}");
        }
        for path in [
            "/",
            "/v10/models",
            "/models",
            "/v1/../admin",
            "/v1/%2e%2E/admin",
            "/v1/..%2fadmin",
            "/v1/..%5cadmin",
            "/v1/./models",
        ] {
            assert!(!is_passed_on(path), "{path}");
        }
    }
}
