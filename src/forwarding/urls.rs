//! URLs of backends.

/// Puts a path that begins with `/v1/` behind a base URL, which may already end in `/v1`.
pub fn join_url(base: &str, path: &str) -> String {
    let base = base.trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    format!("{base}{path}")
}

#[cfg(test)]
mod tests {
    use super::join_url;

    #[test]
    fn a_base_that_ends_in_v1_is_not_given_a_second_one() {
        for (base, expected) in [
            ("http://h", "http://h/v1/models"),
            ("http://h/", "http://h/v1/models"),
            ("http://h/v1", "http://h/v1/models"),
            ("http://h/v1/", "http://h/v1/models"),
            ("http://h/api/v1", "http://h/api/v1/models"),
            ("http://h/apiv1", "http://h/apiv1/v1/models"),
        ] {
            assert_eq!(join_url(base, "/v1/models"), expected, "{base}");
        }
    }
}
