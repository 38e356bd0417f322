//! Request lines: verbs, targets, versions.

use super::rows::{Row, line};
use crate::support::broker::Broker;

/// Each with the operator key.
pub(crate) fn rows(broker: &Broker) -> Vec<Row> {
    let mut rows = verbs(broker);
    rows.extend(paths(broker));
    rows.extend(no_http(broker));
    rows
}

fn verbs(broker: &Broker) -> Vec<Row> {
    let row = |name, text: &str, status| Row::answered(name, line(broker, text), status);
    vec![
        row(
            "a verb in small letters",
            "post /v1/chat/completions HTTP/1.1",
            405,
        ),
        row("PUT", "PUT /v1/chat/completions HTTP/1.1", 405),
        row("a verb of our own", "BREW /v1/models HTTP/1.1", 405),
        Row::closed(
            "a verb with a sign",
            line(broker, "P@ST /v1/models HTTP/1.1"),
            400,
        ),
        row("OPTIONS of everything", "OPTIONS * HTTP/1.1", 404),
        row("TRACE", "TRACE /v1/models HTTP/1.1", 405),
        row("CONNECT", "CONNECT 192.0.2.1:443 HTTP/1.1", 404),
        row("HEAD", "HEAD /v1/models HTTP/1.1", 405),
    ]
}

fn paths(broker: &Broker) -> Vec<Row> {
    let long = format!("GET /{} HTTP/1.1", "y".repeat(70 << 10));
    let row = |name, target: &str, status| {
        Row::answered(name, line(broker, format!("GET {target} HTTP/1.1")), status)
    };
    vec![
        Row::closed("a target of 70 KB", line(broker, long), 400),
        row(
            "another host's target",
            "http://elsewhere.example/v1/models",
            200,
        ),
        row(
            "another host's unknown target",
            "http://elsewhere.example/x",
            404,
        ),
        row("two dots, escaped", "/%2e%2e%2fetc/passwd", 404),
        row("two dots", "/v1/../../etc/passwd", 404),
        row("two dots, escaped twice", "/%252e%252e%252fetc/passwd", 404),
        row("a NUL, escaped", "/v1/models%00", 404),
        row("a byte that is no UTF-8", "/%ff", 404),
        row("an escape that is none", "/%zz", 404),
        row("a line break, escaped", "/x%0d%0aERROR%20forged", 404),
        row("a file's name", "//etc/passwd", 404),
        row("a slash at the end", "/v1/models/", 404),
        row("a query that nobody reads", "/healthz?a=%00&a=../", 200),
        row("a model above its folder", "/v1/models/../../admin", 404),
        row("a model, escaped", "/v1/models/%2e%2e%2f%00%ff", 404),
    ]
}

fn no_http(broker: &Broker) -> Vec<Row> {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    vec![
        Row::closed("TLS", hello, 400),
        Row::closed("HTTP/0.9", "GET /\r\n\r\n", 400),
        Row::closed("HTTP/9.9", line(broker, "GET /healthz HTTP/9.9"), 400),
        Row::closed(
            "HTTP/2 by prior knowledge",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            400,
        ),
        Row::closed("no words", "\0\0\0\0\r\n\r\n", 400),
        Row::closed("two spaces", line(broker, "GET  /healthz HTTP/1.1"), 400),
    ]
}
