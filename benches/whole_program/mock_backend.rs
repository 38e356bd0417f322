//! A backend that costs next to nothing: a fixed JSON answer, or a stream of timed events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use crate::http1::{Unstated, Wire, loopback};
use crate::options::Script;

/// Stands in front of the time at which an event was sent (µs since 1970, 16 digits).
pub(crate) const SENT_AT: &[u8] = b"\"sent_us\":";
/// Digits of such a time.
pub(crate) const SENT_AT_DIGITS: usize = 16;

const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
     Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
const MODELS: &str =
    r#"{"object":"list","data":[{"id":"mock","object":"model","created":0,"owned_by":"bench"}]}"#;

/// Serves on the loopback `port` until the process is ended.
pub(crate) fn serve(port: u16, script: Script) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(loopback(port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // A client that goes away in the middle is its own affair.
                drop(answer_all(stream, script).await);
            });
        }
    })
}

async fn answer_all(stream: TcpStream, script: Script) -> Result<()> {
    let json = json_answer(&completion());
    let models = json_answer(MODELS);
    let mut wire = Wire::accepted(stream)?;
    while wire.receive(Unstated::Empty).await?.is_some() {
        if wire.bytes().starts_with(b"GET ") {
            wire.send(&models).await?;
        } else if script.events > 0 {
            send_stream(&mut wire, script).await?;
        } else {
            wire.send(&json).await?;
        }
    }
    Ok(())
}

async fn send_stream(wire: &mut Wire, script: Script) -> Result<()> {
    wire.send(STREAM_HEAD.as_bytes()).await?;
    let begin = Instant::now();
    let gap = Duration::from_millis(script.gap_ms);
    for event in 0..script.events {
        sleep_until(begin + gap * event).await;
        wire.send(&chunk(&format!(
            "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"mock\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"word \"}},\"finish_reason\":null}}],\
             \"sent_us\":{:016}}}\n\n",
            wall_clock_us()
        )))
        .await?;
    }
    let last = [chunk("data: [DONE]\n\n"), b"0\r\n\r\n".to_vec()].concat();
    wire.send(&last).await
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

fn json_answer(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// 500 bytes of an ordinary answer.
fn completion() -> String {
    let words = "the parcel lies on the second shelf, next to the window. ".repeat(5);
    format!(
        r#"{{"id":"chatcmpl-mock","object":"chat.completion","created":0,"model":"mock","choices":[{{"index":0,"message":{{"role":"assistant","content":"{words}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":60,"total_tokens":69}}}}"#
    )
}

/// Microseconds since 1970: the one clock that two processes share.
#[expect(
    clippy::disallowed_methods,
    reason = "compares times across processes, tests nothing"
)]
pub(crate) fn wall_clock_us() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
