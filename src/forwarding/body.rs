//! The body of a relayed answer, on its way to the client.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

/// Chunks that may wait for a slow client before the backend has to wait too.
pub(super) const CHUNKS_IN_FLIGHT: usize = 8;

/// The body of a relayed answer. Dropping it means that the client has gone.
pub struct RelayBody(Source);

enum Source {
    Whole(VecDeque<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl RelayBody {
    pub(super) fn whole(chunks: Vec<Bytes>) -> Self {
        Self(Source::Whole(chunks.into()))
    }

    pub(super) fn stream() -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(CHUNKS_IN_FLIGHT);
        (sender, Self(Source::Stream(receiver)))
    }

    /// Its length in bytes, where it is all there already.
    pub fn known_length(&self) -> Option<usize> {
        match &self.0 {
            Source::Whole(chunks) => Some(chunks.iter().map(Bytes::len).sum()),
            Source::Stream(_) => None,
        }
    }
}

impl fmt::Debug for RelayBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RelayBody")
    }
}

impl Stream for RelayBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.0 {
            Source::Whole(chunks) => Poll::Ready(chunks.pop_front().map(Ok)),
            Source::Stream(receiver) => receiver.poll_recv(context).map(|chunk| chunk.map(Ok)),
        }
    }
}
