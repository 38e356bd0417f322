//! Peers of a broker: scripted ones, a wire between two brokers, and the one in `tests/clients`.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::Instant,
};

use super::{broker::Broker, client, stand_in::StandIn, tools::ClientFailure, wait::until};

/// A message that a peer was posted.
#[derive(Debug, Clone)]
pub struct Received {
    /// When it was there whole.
    pub at: Instant,
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Value,
}

impl Received {
    /// A header; names in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The id that it is taken once by.
    pub fn key(&self) -> String {
        let key = self.header("idempotency-key");
        key.unwrap_or_else(|| panic!("no key in {self:?}"))
            .to_owned()
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap_or_default()
    }

    /// The text in its payload.
    pub fn text(&self) -> &str {
        self.body["payload"]["text"].as_str().unwrap_or_default()
    }
}

/// What a peer does with a message.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Answers `{"status":"received"}`.
    Received,
    /// Answers with a status, a further header line or none, and a body.
    Status(u16, &'static str, &'static str),
    /// Says nothing and keeps the connection open.
    Hang,
    /// Reads the message and closes the connection.
    HangUp,
}

/// An address at which a peer will listen; until then, connections are refused.
pub struct PeerPort {
    socket: TcpSocket,
    address: SocketAddr,
}

impl PeerPort {
    /// One that nobody else gets.
    pub fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        Self { socket, address }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Listens from now on.
    pub fn open(self, script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Peer {
        let url = self.url();
        let listener = self.socket.listen(1024).unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&received), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                tokio::spawn(async move { serve(stream, &log, &*script).await });
            }
        });
        Peer {
            url,
            received,
            task,
        }
    }
}

/// A peer that does as it is told, by the number of the message (from 0) and its content.
pub struct Peer {
    url: String,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Peer {
    /// One that listens.
    pub fn start(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Self {
        PeerPort::reserve().open(script)
    }

    /// One that takes everything.
    pub fn that_takes_all() -> Self {
        Self::start(|_, _| Reply::Received)
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was posted so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The texts of what it was posted so far.
    pub fn texts(&self) -> Vec<String> {
        let received = self.received();
        received.iter().map(|one| one.text().to_owned()).collect()
    }

    /// Waits until it was posted so many messages or more.
    pub async fn until_received(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} messages at a peer");
        until(&what, || self.received(), |seen| seen.len() >= count).await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Received>>,
    script: &(dyn Fn(usize, &Received) -> Reply + Send + Sync),
) {
    let Some(message) = read_message(&mut stream).await else {
        return;
    };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(message.clone());
        log.len() - 1
    };
    let (status, header, body) = match script(number, &message) {
        Reply::Received => (200, "", r#"{"status":"received"}"#),
        Reply::Status(status, header, body) => (status, header, body),
        Reply::HangUp => return,
        Reply::Hang => {
            let mut byte = [0; 1];
            // Until the other side gives up.
            let _ = stream.read(&mut byte).await;
            return;
        }
    };
    let header = if header.is_empty() {
        String::new()
    } else {
        format!("{header}\r\n")
    };
    let answer = format!(
        "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n{header}\r\n{body}",
        body.len()
    );
    // The other side may be gone.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read_message(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let lower = head.to_lowercase();
        let length = lower.split("content-length: ").nth(1)?;
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        if body.len() >= length {
            return Some(Received {
                at: Instant::now(),
                head: head.to_owned(),
                body: serde_json::from_str(body).ok()?,
            });
        }
    }
}

/// An address that leads to a broker, also after it was started again at another port.
pub struct Wire {
    url: String,
    end: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Wire {
    /// One that leads nowhere yet: connections are closed.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let end: Arc<Mutex<Option<String>>> = Arc::default();
        let other_end = Arc::clone(&end);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let end = other_end.lock().unwrap().clone();
                tokio::spawn(lead(stream, end));
            }
        });
        Self { url, end, task }
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Leads new connections to this broker.
    pub fn lead_to(&self, broker: &Broker) {
        *self.end.lock().unwrap() = Some(broker.address().to_owned());
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn lead(mut stream: TcpStream, end: Option<String>) {
    let Some(end) = end else { return };
    let Ok(mut other) = TcpStream::connect(end).await else {
        return;
    };
    // Either side may break off.
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut other).await;
}

/// The peer in `tests/clients/seed_peer.py`; killed when dropped.
pub struct SeedPeer {
    server: StandIn,
    log: PathBuf,
}

impl SeedPeer {
    /// Starts one on a free port; its log lies in a folder.
    ///
    /// # Errors
    /// The interpreter is not installed, or the program is not there.
    pub fn start(folder: &Path, secret: &str) -> Result<Self, ClientFailure> {
        let log = folder.join("seed-peer.jsonl");
        let arguments = ["--secret", secret, "--log"].map(OsStr::new);
        let arguments = arguments.into_iter().chain([log.as_os_str()]);
        let server = StandIn::start("webhooks", "seed_peer.py", arguments)?;
        Ok(Self { server, log })
    }

    /// Its base URL.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// What it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// What it was posted: `headers`, `raw` body, the `status` that it answered.
    pub fn received(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        // The last line may be in the making.
        let whole = log
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits until it was posted so many messages or more.
    pub async fn until_received(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} messages at the seed's peer");
        until(&what, || self.received(), |seen| seen.len() >= count).await
    }

    /// Tells it how to answer the next messages, one each.
    pub async fn answer(&self, answers: &Value) {
        let headers = [("content-type", "application/json")];
        let told = client::send(
            self.url(),
            "POST",
            "/_answers",
            answers.to_string(),
            &headers,
        );
        assert_eq!(told.await.status, 200);
    }

    /// Has it post a message to a broker; the status and body that came back.
    pub async fn posts(&self, broker: &Broker, secret: &str, body: &Value) -> (u64, Value) {
        let order = json!({"url": broker.url(), "secret": secret, "body": body});
        let headers = [("content-type", "application/json")];
        let answer = client::send(self.url(), "POST", "/_send", order.to_string(), &headers).await;
        let told = answer.json();
        (told["status"].as_u64().unwrap(), told["body"].clone())
    }
}
