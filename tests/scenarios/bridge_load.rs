//! Many streams at once through the bridge.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::interval,
};

use crate::support::sides::{Side, request};

const STREAMS: usize = 512;

/// Events of each stream, 20 ms apart. Whether they are on time is the benchmark's business.
const EVENTS: usize = 50;

const MEMORY: u64 = 150 << 20;

/// An API that streams to everybody.
async fn streaming_api() -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(stream_to(stream));
        }
    });
    (url, task)
}

async fn stream_to(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = [0; 4096];
    let _ = stream.read(&mut head).await?;
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await?;
    let mut ticks = interval(Duration::from_millis(20));
    for number in 0..EVENTS {
        ticks.tick().await;
        let event = format!("data: {{\"number\": {number:04}}}\n\n");
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        stream.write_all(chunk.as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await
}

#[actix_web::test]
async fn five_hundred_streams_at_once_are_whole_and_cost_little_memory() {
    let (api, task) = streaming_api().await;
    let bridge = Arc::new(Side::bridge(&api, &[]).await);
    let mut clients = JoinSet::new();
    for _ in 0..STREAMS {
        clients.spawn(read_stream(Arc::clone(&bridge)));
    }
    while let Some(read) = clients.join_next().await {
        let text = read.unwrap();
        assert_eq!(text.matches("data: ").count(), EVENTS, "{text}");
        assert!(text.ends_with("0\r\n\r\n"), "{text}");
    }
    let peak = bridge.peak_memory_bytes();
    assert!(peak < MEMORY, "{} MiB", peak >> 20);
    task.abort();
}

async fn read_stream(bridge: Arc<Side>) -> String {
    let mut stream = TcpStream::connect(bridge.address()).await.unwrap();
    let text = request(&bridge, "GET /v1/stream", "");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"0\r\n\r\n") {
        let read = stream.read_buf(&mut heard).await.unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&heard));
    }
    String::from_utf8(heard).unwrap()
}
