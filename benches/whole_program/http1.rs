//! Just enough HTTP/1.1 for a load generator and a mock backend that cost next to nothing.
//!
//! One message at a time, no pipelining, no trailers. A chunked body is taken to end where the
//! bytes read so far end in the last chunk: true for every body this benchmark sends.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READ_AHEAD: usize = 64 * 1024;
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The loopback address of `port`: the only kind of address this benchmark talks to.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// How a message without a stated length ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unstated {
    /// It has no body: a request.
    Empty,
    /// It ends with the connection: an answer.
    UntilClose,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(usize),
    Chunked,
    UntilClose,
}

/// What the head of a message says about its body.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    /// Where the body begins in the buffer. Unit: bytes.
    pub(crate) length: usize,
    /// The peer closes the connection after this message.
    pub(crate) close: bool,
    body: Body,
}

impl Head {
    fn parse(bytes: &[u8], unstated: Unstated) -> Option<Self> {
        let length = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let mut head = Self {
            length,
            close: false,
            body: match unstated {
                Unstated::Empty => Body::Length(0),
                Unstated::UntilClose => Body::UntilClose,
            },
        };
        for line in bytes.get(..length)?.split(|byte| *byte == b'\n').skip(1) {
            head.note(line);
        }
        Some(head)
    }

    fn note(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
            self.body = Body::Length(length.unwrap_or(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.body = Body::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.close = value.eq_ignore_ascii_case(b"close");
        }
    }

    fn is_complete(self, buffer: &[u8]) -> bool {
        match self.body {
            Body::Length(length) => buffer.len() >= self.length + length,
            Body::Chunked => buffer.len() > self.length && buffer.ends_with(LAST_CHUNK),
            Body::UntilClose => false,
        }
    }
}

/// A connection and the last message read from it.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Wire {
    /// Connects to `address` without Nagle's delay.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self> {
        Self::accepted(TcpStream::connect(address).await?)
    }

    /// Takes over a connection that a listener accepted.
    pub(crate) fn accepted(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(READ_AHEAD),
        })
    }

    /// Sends `bytes` as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// The bytes of the message that is being read, head and all.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The status code of the answer that was read; 0 when it is none.
    pub(crate) fn status(&self) -> u16 {
        let digits = self
            .buffer
            .get(9..12)
            .and_then(|three| std::str::from_utf8(three).ok());
        digits.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Reads one whole message; `None` when the peer closed before its first byte.
    ///
    /// # Errors
    /// The connection broke, or ended in the middle of the message.
    pub(crate) async fn receive(&mut self, unstated: Unstated) -> Result<Option<Head>> {
        self.receive_noting(unstated, |_| ()).await
    }

    /// The same, and calls `arrived` with all bytes so far whenever more of them have come.
    pub(crate) async fn receive_noting(
        &mut self,
        unstated: Unstated,
        mut arrived: impl FnMut(&[u8]),
    ) -> Result<Option<Head>> {
        self.buffer.clear();
        let mut known: Option<Head> = None;
        loop {
            self.buffer.reserve(READ_AHEAD);
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .context("reading")?;
            if read == 0 {
                return self.ended(known);
            }
            arrived(&self.buffer);
            known = known.or_else(|| Head::parse(&self.buffer, unstated));
            if let Some(head) = known.filter(|head| head.is_complete(&self.buffer)) {
                return Ok(Some(head));
            }
        }
    }

    fn ended(&self, known: Option<Head>) -> Result<Option<Head>> {
        match known {
            None if self.buffer.is_empty() => Ok(None),
            Some(head) if head.body == Body::UntilClose => Ok(Some(Head {
                close: true,
                ..head
            })),
            _ => bail!(
                "the connection ended inside a message of {} bytes",
                self.buffer.len()
            ),
        }
    }
}
