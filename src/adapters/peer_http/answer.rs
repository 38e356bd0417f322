//! What is kept of an answer: little, and nothing that could harm whoever reads it.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use http_body_util::BodyExt;
use hyper::{Response, body::Incoming, header::RETRY_AFTER};
use postroom_actors::{domain::retry::parse_retry_after, ports::courier::PostAnswer};
use tokio::time::{Instant, timeout_at};

/// As much of a body is read, in bytes; then the connection is dropped.
const MOST_READ: usize = 64 * 1024;

/// As long is waited for a body: the status has said what counts.
const BODY_TIME: Duration = Duration::from_secs(2);

/// The longest excerpt, in characters.
const EXCERPT: usize = 300;

/// Reads an answer whose head has come. `secret` is taken out of the excerpt.
pub(super) async fn read(
    response: Response<Incoming>,
    deadline: Instant,
    now: DateTime<Utc>,
    secret: Option<&Arc<str>>,
) -> PostAnswer {
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|value| parse_retry_after(value, now));
    let status = response.status();
    let until = deadline.min(Instant::now() + BODY_TIME);
    let body = beginning(response.into_body(), until).await;
    let excerpt = if status.is_success() {
        String::new()
    } else {
        excerpt(&body, secret.map(AsRef::as_ref))
    };
    PostAnswer {
        status: status.as_u16(),
        retry_after,
        excerpt,
    }
}

/// The beginning of a body; how it ends does not matter.
async fn beginning(mut body: Incoming, until: Instant) -> BytesMut {
    let mut read = BytesMut::new();
    while read.len() < MOST_READ {
        match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
            }
            _ => break,
        }
    }
    read
}

/// The first characters of a body, what does not print escaped.
fn excerpt(body: &[u8], secret: Option<&str>) -> String {
    let text = String::from_utf8_lossy(body);
    let text = match secret {
        Some(secret) => text.replace(secret, "***"),
        None => text.into_owned(),
    };
    let escaped = text.trim().chars().flat_map(|character| {
        let is_plain = matches!(character, '"' | '\'' | '\\');
        let escape = (!is_plain).then(|| character.escape_debug());
        escape
            .into_iter()
            .flatten()
            .chain(is_plain.then_some(character))
    });
    escaped.take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_printable_and_without_our_secret() {
        assert_eq!(
            excerpt(b" {\"error\":\"it's full\"}\n", None),
            "{\"error\":\"it's full\"}"
        );
        assert_eq!(
            excerpt(b"a\x1b[31mb\r\nc\0", None),
            "a\\u{1b}[31mb\\r\\nc\\0"
        );
        assert_eq!(excerpt("a\u{202e}b".as_bytes(), None), "a\\u{202e}b");
        assert_eq!(excerpt(b"a\xff", None), "a\u{fffd}");
        assert_eq!(
            excerpt(b"not s3cret but s3cret!", Some("s3cret")),
            "not *** but ***!"
        );
        assert_eq!(
            excerpt("ä".repeat(1000).as_bytes(), None).chars().count(),
            300
        );
        assert_eq!(excerpt(&[0; 1000], None).chars().count(), 300);
    }
}
