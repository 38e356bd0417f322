//! A backend that does what its script says, and remembers what it was asked.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// One step of an answer.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Sends the same bytes until the other side goes away.
    Forever(Vec<u8>),
    /// Holds the connection open until the other side goes away.
    Hold,
}

/// What a backend was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Value,
}

/// A backend on loopback.
pub struct ScriptedBackend {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::JoinHandle<()>,
}

impl ScriptedBackend {
    /// Answers every request with the same steps, then closes the connection.
    pub async fn start(steps: Vec<Step>) -> Self {
        Self::start_with(move |_, _| steps.clone()).await
    }

    /// Answers by number of the request (from 0) and its content.
    pub async fn start_with(
        script: impl Fn(usize, &Asked) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&asked), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                tokio::spawn(async move { serve(stream, &log, &*script).await });
            }
        });
        Self { url, asked, task }
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for ScriptedBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer with a JSON body.
pub fn json_answer(status: &str, body: &Value) -> Vec<Step> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    vec![Step::Send((head + &body).into_bytes())]
}

/// A chat completion that says this.
pub fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-backend", "object": "chat.completion", "created": 1, "model": "backend-model",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    })
}

/// The head of a close-delimited stream of events.
pub fn stream_head() -> Step {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
    Step::Send(head.as_bytes().to_vec())
}

/// One event of a streamed completion.
pub fn delta(text: &str) -> Step {
    let chunk = json!({
        "id": "chatcmpl-backend", "object": "chat.completion.chunk", "created": 1, "model": "backend-model",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}],
    });
    Step::Send(format!("data: {chunk}\n\n").into_bytes())
}

/// The end of a streamed completion.
pub fn stream_end() -> Step {
    let chunk = json!({
        "id": "chatcmpl-backend", "object": "chat.completion.chunk", "created": 1, "model": "backend-model",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    });
    Step::Send(format!("data: {chunk}\n\ndata: [DONE]\n\n").into_bytes())
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    script: &(dyn Fn(usize, &Asked) -> Vec<Step> + Send + Sync),
) {
    let Some(asked) = read_request(&mut stream).await else {
        return;
    };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(asked.clone());
        log.len() - 1
    };
    for step in script(number, &asked) {
        if carry_out(&mut stream, step).await.is_err() {
            return;
        }
    }
}

async fn carry_out(stream: &mut TcpStream, step: Step) -> std::io::Result<()> {
    match step {
        Step::Send(bytes) => stream.write_all(&bytes).await?,
        Step::Wait(duration) => tokio::time::sleep(duration).await,
        Step::Forever(bytes) => loop {
            stream.write_all(&bytes).await?;
        },
        Step::Hold => {
            let mut byte = [0; 1];
            while stream.read(&mut byte).await? > 0 {}
        }
    }
    stream.flush().await
}

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 16 << 10];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = content_length(&head);
            if bytes.len() >= end + 4 + length {
                let body = serde_json::from_slice(&bytes[end + 4..end + 4 + length]);
                return Some(Asked {
                    head,
                    body: body.unwrap_or_default(),
                });
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

fn content_length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}
