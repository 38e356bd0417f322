//! Requests byte by byte, for what no client library would send.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::broker::Broker;

/// What came back on a raw connection until it was closed or fell silent.
#[derive(Debug)]
pub struct RawAnswer {
    /// Everything that came.
    pub text: String,
    /// Whether the other side closed the connection.
    pub closed: bool,
}

impl RawAnswer {
    /// The status code of the first answer; 0 where none came.
    pub fn status(&self) -> u16 {
        self.text
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0)
    }
}

/// Sends bytes and reads until the connection is closed or nothing came for `silence`.
pub async fn exchange(broker: &Broker, bytes: &[u8], silence: Duration) -> RawAnswer {
    let mut stream = TcpStream::connect(broker.address()).await.unwrap();
    // A server may refuse and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    read(&mut stream, silence).await
}

/// Reads until the connection is closed or nothing came for `silence`.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), silence: Duration) -> RawAnswer {
    read_chunks(stream, silence, usize::MAX).await
}

/// As [`read`], and no more than so many chunks.
pub async fn read_chunks(
    stream: &mut (impl AsyncRead + Unpin),
    silence: Duration,
    most: usize,
) -> RawAnswer {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut chunks = 0;
    let closed = loop {
        if chunks == most {
            break false;
        }
        match tokio::time::timeout(silence, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break true,
            Ok(Ok(read)) => bytes.extend_from_slice(&buffer[..read]),
            Err(_) => break false,
        }
        chunks += 1;
    };
    RawAnswer {
        text: String::from_utf8_lossy(&bytes).into_owned(),
        closed,
    }
}

/// A chat request's head with the operator key; the body is the caller's.
pub fn head(broker: &Broker, headers: &str) -> Vec<u8> {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{headers}\r\n",
        broker.address(),
        broker.key()
    )
    .into_bytes()
}
