//! Why there are no embeddings.

use std::{sync::Arc, time::Duration};

use postroom_actors::{domain::retry::AttemptFailure, ports::UpstreamError};
use serde_json::Value;
use thiserror::Error;

use super::admission::MAX_IN_FLIGHT;

/// How much of a backend's own words is passed on, in characters.
const MAX_WORDS: usize = 500;

/// Why there are no embeddings, in words for the client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EmbeddingsError {
    /// As many requests as may run at once are running.
    #[error("{MAX_IN_FLIGHT} requests for embeddings are running already; try again shortly")]
    TooMany,
    /// The backend has failed so often that it is not asked now.
    #[error(
        "the embeddings backend has failed too often and is left alone for a moment; try again later"
    )]
    LeftAlone {
        /// For how long, at least 1 s.
        retry_after: Duration,
    },
    /// The backend found the request itself at fault.
    #[error("the embeddings backend refused the request: {words}")]
    Refused {
        /// 400, 404, 413 or 422.
        status: u16,
        /// Its own words, cut and made safe.
        words: String,
    },
    /// The backend wants fewer requests.
    #[error("the embeddings backend takes no more requests for now; try again later")]
    RateLimited {
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The backend takes our key for none.
    #[error(
        "the embeddings backend refused our own key ({status}); the operator should look at `embeddings.api_key` or `backend.api_key`"
    )]
    KeyRefused {
        /// 401 or 403.
        status: u16,
    },
    /// A bound in time was passed.
    #[error("the embeddings backend did not answer in time")]
    TimedOut,
    /// There is no usable answer.
    #[error("the embeddings backend {0}")]
    Failed(Arc<str>),
}

/// A failed try, and how to put it.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: AttemptFailure,
    /// For the log.
    pub(super) error: Arc<str>,
    /// The backend's own words about a request at fault.
    words: String,
}

impl Failed {
    pub(super) fn broken(error: &str) -> Self {
        Self {
            failure: AttemptFailure::Broken,
            error: error.into(),
            words: String::new(),
        }
    }

    pub(super) fn refused(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        Self {
            failure: AttemptFailure::Status {
                status,
                retry_after,
            },
            error: "the backend answered with an error status".into(),
            words: words(body),
        }
    }
}

/// What the body of an error says to people: `error.message`, `error`, `message` or `detail`.
fn words(body: &[u8]) -> String {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let places = ["/error/message", "/error", "/message", "/detail"];
    let said = places
        .iter()
        .find_map(|place| document.pointer(place)?.as_str());
    let said = said.unwrap_or("it gave no reason");
    said.escape_debug().take(MAX_WORDS).collect()
}

impl From<UpstreamError> for Failed {
    fn from(error: UpstreamError) -> Self {
        let failure = match &error {
            UpstreamError::Connect(_) => AttemptFailure::Connect,
            UpstreamError::TimedOut(_) => AttemptFailure::TimedOut,
            UpstreamError::Broken(_) => AttemptFailure::Broken,
            UpstreamError::Unaskable(_) => AttemptFailure::Unaskable,
        };
        Self {
            failure,
            error: error.to_string().into(),
            words: String::new(),
        }
    }
}

/// The log has the details; a client learns no address and no words of a failure that is not its.
impl From<Failed> for EmbeddingsError {
    fn from(failed: Failed) -> Self {
        let words = failed.words;
        match failed.failure {
            AttemptFailure::TimedOut => Self::TimedOut,
            AttemptFailure::Connect => Self::Failed("cannot be reached".into()),
            AttemptFailure::Broken => Self::Failed("gave no usable answer".into()),
            AttemptFailure::Unaskable => Self::Failed("cannot be asked".into()),
            AttemptFailure::Status {
                status,
                retry_after,
            } => match status {
                400 | 404 | 413 | 422 => Self::Refused { status, words },
                401 | 403 => Self::KeyRefused { status },
                429 => Self::RateLimited { retry_after },
                _ => Self::Failed(format!("answered with status {status}").into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_backends_words_made_safe() {
        for (body, words) in [
            (r#"{"error":{"message":"no model\n`x`"}}"#, r"no model\n`x`"),
            (r#"{"error":"too long"}"#, "too long"),
            (r#"{"detail":"bad"}"#, "bad"),
            ("<html>", "it gave no reason"),
        ] {
            let failed = Failed::refused(400, None, body.as_bytes());
            let expected = EmbeddingsError::Refused {
                status: 400,
                words: words.to_owned(),
            };
            assert_eq!(EmbeddingsError::from(failed), expected);
        }
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(9999));
        let failed = Failed::refused(422, None, long.as_bytes());
        assert!(EmbeddingsError::from(failed).to_string().len() < 600);
    }

    #[test]
    fn what_is_not_the_clients_fault_tells_nothing_of_the_backend() {
        let connect = UpstreamError::Connect("10.0.0.7:80 refused".into());
        let told = EmbeddingsError::from(Failed::from(connect)).to_string();
        assert_eq!(told, "the embeddings backend cannot be reached");
        let failed = Failed::refused(500, None, br#"{"error":"secret trace"}"#);
        let told = EmbeddingsError::from(failed).to_string();
        assert_eq!(told, "the embeddings backend answered with status 500");
    }
}
