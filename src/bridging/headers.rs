//! Which headers are passed on: all but those of the connection and those that prove who asks.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use postroom_actors::ports::passing::PassedHeaders;

/// Headers that no proxy passes on: they are about one connection, or about a body's length.
fn is_of_the_connection(name: &str) -> bool {
    name.starts_with("proxy-")
        || matches!(
            name,
            "connection"
                | "content-length"
                | "http2-settings"
                | "keep-alive"
                | "te"
                | "trailer"
                | "trailers"
                | "transfer-encoding"
                | "upgrade"
        )
}

/// Headers of a request that are ours to set, or that nobody upstream may see.
fn is_of_the_client(name: &str) -> bool {
    matches!(
        name,
        "authorization" | "cookie" | "expect" | "host" | "x-proxy-token"
    )
}

/// What of a client's request goes upstream. All of it shares one piece of memory.
pub(super) fn upwards(headers: &HeaderMap) -> PassedHeaders {
    let named = named_by_connection(headers);
    let is_passed = |name: &str| {
        !is_of_the_connection(name)
            && !is_of_the_client(name)
            && !named.iter().any(|named| named.eq_ignore_ascii_case(name))
    };
    let passed: Vec<_> = headers
        .iter()
        .filter(|(name, _)| is_passed(name.as_str()))
        .collect();
    let length = passed
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let mut text = BytesMut::with_capacity(length.sum());
    for (name, value) in &passed {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(value.as_bytes());
    }
    let mut text: Bytes = text.freeze();
    let pairs = passed.iter().map(|(name, value)| {
        let name = text.split_to(name.as_str().len());
        (name, text.split_to(value.len()))
    });
    pairs.collect()
}

/// What of an upstream's answer goes to the client.
pub(super) fn downwards(headers: PassedHeaders) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let named: Vec<String> = headers
        .iter()
        .filter(|(name, _)| name.as_ref() == b"connection")
        .filter_map(|(_, value)| str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    headers.into_iter().filter_map(move |(name, value)| {
        let text = str::from_utf8(&name).ok()?;
        if is_of_the_connection(text) || named.iter().any(|named| named == text) {
            return None;
        }
        let name = HeaderName::from_bytes(&name).ok()?;
        Some((name, HeaderValue::from_maybe_shared(value).ok()?))
    })
}

/// How long an answer says that its body is, in bytes.
pub(super) fn length(headers: &PassedHeaders) -> Option<u64> {
    let (_, value) = headers
        .iter()
        .find(|(name, _)| name.as_ref() == b"content-length")?;
    str::from_utf8(value).ok()?.trim().parse().ok()
}

/// Whether the client wants to speak something else than HTTP from here on.
pub(super) fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        || named_by_connection(headers)
            .iter()
            .any(|named| named.eq_ignore_ascii_case("upgrade"))
}

fn named_by_connection(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(header::CONNECTION)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[(&str, &str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let mut passed: Vec<_> = upwards(&map)
            .iter()
            .map(|(name, value)| format!("{}: {}", text(name), text(value)))
            .collect();
        passed.sort();
        passed
    }

    #[test]
    fn what_proves_who_asks_and_what_is_of_the_connection_stays_here() {
        for (name, value) in [
            ("authorization", "Bearer k"),
            ("connection", "keep-alive"),
            ("content-length", "3"),
            ("cookie", "a=b"),
            ("expect", "100-continue"),
            ("host", "127.0.0.1:18800"),
            ("http2-settings", "AAMAAABk"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-proxy-token", "mine"),
        ] {
            assert_eq!(sent(&[(name, value)]), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn everything_else_is_passed_on_as_often_as_it_came() {
        let headers = [
            ("accept-encoding", "gzip"),
            ("accept", "*/*"),
            ("openai-organization", "org"),
            ("x-stainless-lang", "js"),
            ("x-twice", "1"),
            ("x-twice", "2"),
        ];
        let expected: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(sent(&headers), expected);
    }

    #[test]
    fn headers_that_connection_names_are_of_the_connection() {
        let headers = [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("x-end", "2"),
        ];
        assert_eq!(sent(&headers), ["x-end: 2"]);
        let answer = headers.map(|(name, value)| {
            (
                Bytes::from(name.to_lowercase()),
                Bytes::from(value.to_owned()),
            )
        });
        let names: Vec<_> = downwards(answer.to_vec())
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(names, ["x-end"]);
    }

    #[test]
    fn a_wish_for_another_protocol_is_seen() {
        let of = |name: &'static str, value: &'static str| {
            let mut map = HeaderMap::new();
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
            wants_upgrade(&map)
        };
        assert!(of("upgrade", "websocket"));
        assert!(of("connection", "keep-alive, Upgrade"));
        assert!(!of("connection", "keep-alive"));
    }
}
