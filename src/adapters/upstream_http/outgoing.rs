//! Bodies of requests: whole, or piece by piece as the client sends them.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use postroom_actors::ports::passing::{BodyEnded, BodyPieces, PassedBody};

/// A body that may have to be sent a second time.
pub(super) enum Outgoing {
    /// As often as needed.
    Whole(Bytes),
    /// Once; `None`: that was it.
    Once(Option<OutgoingBody>),
}

impl Outgoing {
    pub(super) fn new(body: PassedBody) -> Self {
        match body {
            PassedBody::Whole(bytes) => Self::Whole(bytes),
            PassedBody::Streamed { length, pieces } => {
                Self::Once(Some(OutgoingBody::Streamed { length, pieces }))
            }
        }
    }

    /// The body for the next attempt; `None`: it has been sent, and cannot be sent again.
    pub(super) fn take(&mut self) -> Option<OutgoingBody> {
        match self {
            Self::Whole(bytes) => Some(OutgoingBody::Whole(bytes.clone())),
            Self::Once(body) => body.take(),
        }
    }
}

/// The body of one attempt.
pub(super) enum OutgoingBody {
    Whole(Bytes),
    Streamed {
        length: Option<u64>,
        pieces: BodyPieces,
    },
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = BodyEnded;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyEnded>>> {
        match self.get_mut() {
            Self::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Streamed { pieces, .. } => {
                let piece = pieces.as_mut().poll_next(context);
                piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Streamed { length, .. } => *length == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(0)),
            Self::Streamed {
                length: Some(length),
                ..
            } => SizeHint::with_exact(*length),
            Self::Streamed { length: None, .. } => SizeHint::default(),
        }
    }
}
