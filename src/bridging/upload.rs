//! The client's body, on its way up.

use std::{cell::Cell, rc::Rc, time::Duration};

use actix_web::{HttpRequest, http::header, web::Payload};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use postroom_actors::ports::passing::{BodyEnded, PassedBody};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use crate::http::{
    body::{BodyLimits, cut_upload},
    error::ApiError,
};

/// What is waited for before a body is passed on piece by piece. A body that is all here by then
/// can be sent again where a reused connection turns out to be dead.
const GATHERED_WITHIN: Duration = Duration::from_millis(10);

/// The most that is waited for, in bytes.
const GATHERED: usize = 256 << 10;

/// Pieces that may wait for a slow upstream before the client has to wait too.
const PIECES_IN_FLIGHT: usize = 8;

/// Why the rest of a body is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    TooLarge,
    Stalled,
    Broken,
}

/// Tells, after the exchange has failed, whether the client's body was at fault.
#[derive(Clone, Default)]
pub(super) struct Faults(Rc<Cell<Option<Fault>>>);

impl Faults {
    /// What the client is to be told about its body, where that was at fault.
    pub(super) fn error(&self, limits: BodyLimits) -> Option<ApiError> {
        self.0.get().map(|fault| fault.error(limits))
    }
}

impl Fault {
    fn error(self, limits: BodyLimits) -> ApiError {
        match self {
            Self::TooLarge => ApiError::body_too_large(limits.size),
            Self::Stalled => ApiError::body_stalled(),
            Self::Broken => ApiError::body_broken(),
        }
    }
}

/// Takes the body of a request. Large and slow ones go on coming in while they are sent.
///
/// # Errors
/// 413 where it says itself that it is too large; 400 where it breaks off at once.
pub(super) async fn take(
    request: &HttpRequest,
    payload: Payload,
    limits: BodyLimits,
) -> Result<(PassedBody, Faults), ApiError> {
    let faults = Faults::default();
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    let length = announced(request).filter(|_| !chunked);
    if !chunked && length.unwrap_or(0) == 0 {
        return Ok((PassedBody::Whole(Bytes::new()), faults));
    }
    if length.is_some_and(|length| length > limits.size) {
        cut_upload(request.headers(), payload);
        return Err(ApiError::body_too_large(limits.size));
    }
    let mut upload = Upload {
        payload,
        chunked,
        size: 0,
        limits,
    };
    let begin = match upload.gather(length.unwrap_or(0)).await {
        Ok(Gathered::All(bytes)) => return Ok((PassedBody::Whole(bytes), faults)),
        Ok(Gathered::Begin(bytes)) => bytes,
        Err(fault) => {
            upload.cut();
            return Err(fault.error(limits));
        }
    };
    let (pieces, mut received) = mpsc::channel(PIECES_IN_FLIGHT);
    actix_web::rt::spawn(upload.pump(pieces, faults.clone()));
    let begin = (!begin.is_empty()).then_some(Ok(begin));
    let rest = stream::poll_fn(move |context| received.poll_recv(context));
    let body = PassedBody::Streamed {
        length,
        pieces: Box::pin(stream::iter(begin).chain(rest)),
    };
    Ok((body, faults))
}

enum Gathered {
    All(Bytes),
    Begin(Bytes),
}

struct Upload {
    payload: Payload,
    chunked: bool,
    size: u64,
    limits: BodyLimits,
}

impl Upload {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let Some(piece) = self.payload.next().await else {
            return Ok(None);
        };
        let piece = piece.map_err(|_broken| Fault::Broken)?;
        self.size += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if self.size > self.limits.size {
            return Err(Fault::TooLarge);
        }
        Ok(Some(piece))
    }

    /// Gathers what comes at once; `announced` bytes are expected.
    async fn gather(&mut self, announced: u64) -> Result<Gathered, Fault> {
        let until = Instant::now() + GATHERED_WITHIN;
        let expected = usize::try_from(announced).unwrap_or(GATHERED);
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        loop {
            match timeout_at(until, self.next()).await {
                Ok(piece) => match piece? {
                    None => return Ok(Gathered::All(joined(first, whole))),
                    // A body of one piece, the usual case, is not copied.
                    Some(piece) if first.is_empty() && whole.is_empty() => first = piece,
                    Some(piece) => {
                        if whole.is_empty() {
                            whole.reserve(expected.min(GATHERED));
                            whole.extend_from_slice(&std::mem::take(&mut first));
                        }
                        whole.extend_from_slice(&piece);
                    }
                },
                Err(_elapsed) => return Ok(Gathered::Begin(joined(first, whole))),
            }
            if first.len().max(whole.len()) > GATHERED {
                return Ok(Gathered::Begin(joined(first, whole)));
            }
        }
    }

    /// Passes the rest on until it ends, or nobody wants it any more.
    async fn pump(mut self, pieces: mpsc::Sender<Result<Bytes, BodyEnded>>, faults: Faults) {
        loop {
            let idle = self.limits.idle;
            let next = tokio::select! {
                next = timeout(idle, self.next()) => next.unwrap_or(Err(Fault::Stalled)),
                () = pieces.closed() => return self.cut(),
            };
            let piece = match next {
                Ok(None) => return,
                Ok(Some(piece)) => Ok(piece),
                Err(fault) => {
                    faults.0.set(Some(fault));
                    Err(BodyEnded)
                }
            };
            let is_last = piece.is_err();
            if pieces.send(piece).await.is_err() || is_last {
                return self.cut();
            }
        }
    }

    fn cut(self) {
        if self.chunked {
            let mut headers = header::HeaderMap::new();
            let chunked = header::HeaderValue::from_static("chunked");
            headers.insert(header::TRANSFER_ENCODING, chunked);
            cut_upload(&headers, self.payload);
        }
    }
}

/// The one piece, or what several were copied to.
fn joined(first: Bytes, whole: BytesMut) -> Bytes {
    if whole.is_empty() {
        first
    } else {
        whole.freeze()
    }
}

fn announced(request: &HttpRequest) -> Option<u64> {
    let value = request.headers().get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}
