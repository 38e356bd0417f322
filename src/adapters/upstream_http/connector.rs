//! Connections that know how much they have read.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use hyper::{Uri, http::Extensions};
use hyper_util::{
    client::legacy::connect::{CaptureConnection, Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tower_service::Service;

/// What is known of one connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionFacts(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// Bytes that came in.
    read: AtomicU64,
    /// As many of them as belong to answers whose head has come; 0: none has yet.
    answered: AtomicU64,
}

impl ConnectionFacts {
    /// The facts of the connection that a request was given, if it was given one.
    pub(super) fn of(captured: &CaptureConnection) -> Option<Self> {
        let mut extras = Extensions::new();
        captured
            .connection_metadata()
            .as_ref()?
            .get_extras(&mut extras);
        extras.remove::<Self>()
    }

    /// Counts all that has come so far as part of an answer that began.
    pub(super) fn note_answered(&self) {
        let read = self.0.read.load(Ordering::Relaxed);
        self.0.answered.store(read, Ordering::Relaxed);
    }

    /// It has answered before, and nothing has come since.
    pub(super) fn died_idle(&self) -> bool {
        let answered = self.0.answered.load(Ordering::Relaxed);
        answered > 0 && answered == self.0.read.load(Ordering::Relaxed)
    }

    fn note_read(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.read.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// hyper's TCP connector, its connections counted.
#[derive(Debug, Clone)]
pub(super) struct WatchedConnector(HttpConnector);

impl WatchedConnector {
    pub(super) fn new(inner: HttpConnector) -> Self {
        Self(inner)
    }
}

impl Service<Uri> for WatchedConnector {
    type Response = TokioIo<WatchedStream>;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            let facts = ConnectionFacts::default();
            Ok(TokioIo::new(WatchedStream { stream, facts }))
        })
    }
}

/// A TCP connection that counts what it reads.
#[derive(Debug)]
pub(super) struct WatchedStream {
    stream: TcpStream,
    facts: ConnectionFacts,
}

impl Connection for WatchedStream {
    fn connected(&self) -> Connected {
        self.stream.connected().extra(self.facts.clone())
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.facts
            .note_read(buffer.filled().len().saturating_sub(before));
        polled
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
