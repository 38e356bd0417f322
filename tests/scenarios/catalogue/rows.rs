//! One bad request, and how it is sent.

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, tcp::OwnedWriteHalf},
};

use crate::support::{
    broker::Broker,
    raw::{self, RawAnswer},
};

/// Longest wait for the first byte of an answer: longer than the broker waits for a body.
const PATIENCE: Duration = Duration::from_secs(13);

/// Longest wait for the end of a connection that should be closed.
pub(crate) const CLOSING: Duration = Duration::from_secs(4);

/// How long after an answer the connection is watched for more, where it should stay open.
const OPEN: Duration = Duration::from_millis(400);

/// Bytes that are written at a time, so that an early answer can still be read.
const PIECE: usize = 8 << 10;

/// What a row is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Status of the first answer; 0: none.
    pub(crate) status: u16,
    /// How many answers come.
    pub(crate) answers: usize,
    /// Whether the broker hangs up.
    pub(crate) closed: bool,
}

/// A bad request and its answer.
pub(crate) struct Row {
    /// What is bad about it.
    pub(crate) name: &'static str,
    bytes: Vec<u8>,
    /// What it is answered.
    pub(crate) expected: Expected,
    kept: usize,
}

impl Row {
    /// A request that is answered once, on a connection that stays open.
    pub(crate) fn answered(name: &'static str, bytes: impl Into<Vec<u8>>, status: u16) -> Self {
        Self::new(name, bytes.into(), status, 1, false)
    }

    /// A request that is answered once and hung up on.
    pub(crate) fn closed(name: &'static str, bytes: impl Into<Vec<u8>>, status: u16) -> Self {
        Self::new(name, bytes.into(), status, 1, true)
    }

    /// A request that is answered, and the rest of the bytes too, then hung up on.
    pub(crate) fn closed_after(
        name: &'static str,
        bytes: impl Into<Vec<u8>>,
        status: u16,
        answers: usize,
    ) -> Self {
        Self::new(name, bytes.into(), status, answers, true)
    }

    fn new(name: &'static str, bytes: Vec<u8>, status: u16, answers: usize, closed: bool) -> Self {
        let expected = Expected {
            status,
            answers,
            closed,
        };
        Self {
            name,
            bytes,
            expected,
            kept: 0,
        }
    }

    /// The same, and a message of it lies in the inbox.
    pub(crate) fn and_kept(mut self) -> Self {
        self.kept = 1;
        self
    }

    /// How many messages of it lie in the inbox.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// Sends it and reads what comes.
    pub(crate) async fn send(self, broker: &Broker) -> RawAnswer {
        let patience = if self.expected.closed { CLOSING } else { OPEN };
        exchange(broker, &self.bytes, None, patience).await
    }
}

/// Sends bytes, one each `dribble` or in pieces, and reads at the same time.
pub(crate) async fn exchange(
    broker: &Broker,
    bytes: &[u8],
    dribble: Option<Duration>,
    silence: Duration,
) -> RawAnswer {
    let stream = TcpStream::connect(broker.address()).await.unwrap();
    let (mut incoming, outgoing) = stream.into_split();
    // The other side may hang up before everything is written: what counts is its answer.
    let sending = tokio::task::spawn_local(write(outgoing, bytes.to_vec(), dribble));
    let first = raw::read_chunks(&mut incoming, PATIENCE, 1).await;
    let rest = raw::read(&mut incoming, silence).await;
    sending.abort();
    RawAnswer {
        text: first.text + &rest.text,
        closed: first.closed || rest.closed,
    }
}

async fn write(mut stream: OwnedWriteHalf, bytes: Vec<u8>, dribble: Option<Duration>) {
    let (size, pause) = match dribble {
        Some(pause) => (1, pause),
        None => (PIECE, Duration::from_millis(2)),
    };
    for piece in bytes.chunks(size) {
        if stream.write_all(piece).await.is_err() {
            return;
        }
        if bytes.len() > size {
            tokio::time::sleep(pause).await;
        }
    }
    // Dropped, this half would tell the broker that the client has gone.
    std::future::pending::<()>().await;
}

/// A chat request with these headers beside its length, and this body.
pub(crate) fn post(broker: &Broker, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = raw::head(
        broker,
        &format!("Content-Length: {}\r\n{headers}", body.len()),
    );
    bytes.extend_from_slice(body);
    bytes
}

/// A chat request with these headers, and these bytes after them.
pub(crate) fn framed(broker: &Broker, headers: &str, rest: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = raw::head(broker, headers);
    bytes.extend_from_slice(rest.as_ref());
    bytes
}

/// Any request line with the operator key, without a body.
pub(crate) fn line(broker: &Broker, line: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = line.as_ref().to_vec();
    let headers = format!(
        "\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        broker.address(),
        broker.key()
    );
    bytes.extend_from_slice(headers.as_bytes());
    bytes
}
