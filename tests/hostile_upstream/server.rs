//! A backend that does exactly what its script says.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// One thing that the backend does after it has read a request.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes over and over, until the other side closes, with a pause in between.
    Repeat(Vec<u8>, Duration),
    /// Does nothing for so long.
    Wait(Duration),
    /// Reads the next request.
    NextRequest,
    /// Closes with a reset instead of an orderly end.
    Reset,
}

pub(crate) fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

pub(crate) const FOREVER: Duration = Duration::from_hours(1);

/// A running backend; it ends with the test's runtime.
pub(crate) struct HostileServer {
    pub(crate) address: SocketAddr,
    connections: Rc<Cell<usize>>,
    requests: Requests,
}

/// The requests that came, whole, as text.
type Requests = Rc<RefCell<Vec<String>>>;

impl HostileServer {
    /// Plays the first script on the first connection, and so on; the last one on all further.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Rc::new(Cell::new(0));
        let counter = Rc::clone(&connections);
        let requests = Requests::default();
        let seen = Rc::clone(&requests);
        actix_rt::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let number = counter.get();
                counter.set(number + 1);
                let script = scripts[number.min(scripts.len() - 1)].clone();
                actix_rt::spawn(play(socket, script, Rc::clone(&seen)));
            }
        });
        Self {
            address,
            connections,
            requests,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.get()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }
}

async fn play(mut socket: TcpStream, script: Vec<Step>, seen: Requests) {
    // A client that gives up early is part of many cases.
    let _ = perform(&mut socket, script, &seen).await;
}

async fn perform(
    socket: &mut TcpStream,
    script: Vec<Step>,
    seen: &Requests,
) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let request = read_request(socket).await?;
    seen.borrow_mut().push(request);
    for step in script {
        match step {
            Step::Send(bytes) => socket.write_all(&bytes).await?,
            Step::Repeat(bytes, pause) => loop {
                socket.write_all(&bytes).await?;
                tokio::time::sleep(pause).await;
            },
            Step::Wait(pause) => tokio::time::sleep(pause).await,
            Step::NextRequest => {
                let request = read_request(socket).await?;
                seen.borrow_mut().push(request);
            }
            Step::Reset => return socket.set_zero_linger(),
        }
    }
    Ok(())
}

/// Reads one request: its head, and a body by its `Content-Length`.
async fn read_request(socket: &mut TcpStream) -> std::io::Result<String> {
    let mut seen = Vec::new();
    loop {
        if let Some(end) = find(&seen, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(0, |value| value.trim().parse::<usize>().unwrap());
            if seen.len() >= end + 4 + length {
                return Ok(String::from_utf8_lossy(&seen).into_owned());
            }
        }
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => seen.extend_from_slice(&buffer[..read]),
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
