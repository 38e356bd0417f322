//! Requests that are passed on as they came, and their answers, headers and all.

use std::{fmt, pin::Pin};

use bytes::Bytes;
use futures_util::Stream;
use thiserror::Error;

use super::{Credential, LocalFuture, UpstreamBody, UpstreamError, UpstreamTimeouts};

/// Headers in their order: name in lower case, value as it came.
pub type PassedHeaders = Vec<(Bytes, Bytes)>;

/// The client's body broke off, or is refused from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the body of the request ended too early")]
pub struct BodyEnded;

/// Pieces of a request's body, in order.
pub type BodyPieces = Pin<Box<dyn Stream<Item = Result<Bytes, BodyEnded>> + Send>>;

/// The body of a request that is passed on.
pub enum PassedBody {
    /// All of it is here. Such a request may be sent once more where a reused connection is dead.
    Whole(Bytes),
    /// It is sent as it comes in. An error in it ends the exchange.
    Streamed {
        /// How long it is, in bytes; `None`: nobody knows yet.
        length: Option<u64>,
        /// What comes.
        pieces: BodyPieces,
    },
}

/// One request that is passed on.
pub struct PassedRequest {
    /// Any method.
    pub method: String,
    /// The absolute URL; its host and port become the header `Host`.
    pub url: String,
    /// Shown upstream, never to anyone else. Takes the place of a header of its name.
    pub credential: Credential,
    /// All other headers but those that tell how long the body is.
    pub headers: PassedHeaders,
    /// The body.
    pub body: PassedBody,
    /// Bounds in time.
    pub timeouts: UpstreamTimeouts,
}

/// The head of an answer, with its body to come.
pub struct PassedResponse {
    /// The status code.
    pub status: u16,
    /// All headers, those of the connection too.
    pub headers: PassedHeaders,
    /// The body. Bounds in time hold for it; dropping it ends the exchange.
    pub body: UpstreamBody,
}

impl fmt::Debug for PassedResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PassedResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The way out for requests of others: as [`super::Upstream`], with any method and all headers.
///
/// One client a thread: it is neither `Send` nor shared.
pub trait PassOn {
    /// Sends a request and resolves with the head of the answer.
    ///
    /// # Errors
    /// [`UpstreamError`]; a status of 400 and above is an answer, not an error.
    ///
    /// # Cancel safety
    /// Dropping the future or the body ends the exchange and closes its connection.
    fn pass_on(&self, request: PassedRequest)
    -> LocalFuture<Result<PassedResponse, UpstreamError>>;
}
