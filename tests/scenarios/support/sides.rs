//! The two sides of the remote bridge, as processes, and an API behind them.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{broker::postroom, wait::until};

/// What the remote side asks for.
pub const TOKEN: &str = "token-canary-of-the-proxy";

/// What the API asks for.
pub const API_KEY: &str = "sk-canary-of-the-api";

/// What a client shows the bridge.
pub const CLIENT_KEY: &str = "canary-of-the-client";

/// One side; killed when dropped.
pub struct Side {
    child: Child,
    url: String,
    log: Arc<Mutex<Vec<String>>>,
    _home: TempDir,
}

impl Side {
    /// The local side, before this remote one.
    pub async fn bridge(remote: &str, args: &[&str]) -> Self {
        Self::bridge_with(remote, TOKEN, args, "").await
    }

    /// The same with another token and further keys of `[bridge]`.
    pub async fn bridge_with(remote: &str, token: &str, args: &[&str], keys: &str) -> Self {
        let mut command = postroom();
        command.args(["bridge", "run", "--port", "0"]).args(args);
        let variables = [("PROXY_BRIDGE_URL", remote), ("PROXY_BRIDGE_TOKEN", token)];
        Self::start(command, &variables, &format!("[bridge]\n{keys}")).await
    }

    /// The remote side, before this API.
    pub async fn proxy(api: &str, keys: &str) -> Self {
        let mut command = postroom();
        command.args(["upstream-proxy", "--host", "127.0.0.1", "--port", "0"]);
        let variables = [
            ("OPENAI_API_KEY", API_KEY),
            ("OPENAI_PROXY_TOKEN", TOKEN),
            ("OPENAI_BASE_URL", api),
        ];
        Self::start(command, &variables, keys).await
    }

    /// The remote side without a token, for this machine alone.
    pub async fn open_proxy(api: &str) -> Self {
        let mut command = postroom();
        command.args(["upstream-proxy", "--host", "localhost", "--port", "0"]);
        Self::start(command, &[("OPENAI_BASE_URL", api)], "").await
    }

    async fn start(mut command: Command, variables: &[(&str, &str)], toml: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("postroom.toml"), toml).unwrap();
        command
            .args(["--worker", "2", "--log-format", "json"])
            .env_clear()
            .envs(variables.iter().copied())
            .env("HOME", home.path())
            .current_dir(home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut side = Self {
            child,
            url: String::new(),
            log,
            _home: home,
        };
        side.url = side.endpoint().await;
        side
    }

    async fn endpoint(&self) -> String {
        let endpoint = |line: &String| {
            let line: Value = serde_json::from_str(line).ok()?;
            let listens = line["message"].as_str()?.ends_with("listens");
            listens.then(|| line["endpoint"].as_str().unwrap().to_owned())
        };
        let look = || {
            let log = self.log();
            log.iter().find_map(endpoint).ok_or(log)
        };
        until("where it listens", look, Result::is_ok)
            .await
            .unwrap()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// What it has logged.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Its largest resident memory so far, in bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().trim_end_matches(" kB");
        peak.parse::<u64>().unwrap() * 1024
    }

    /// Asks it to stop; its exit code.
    pub async fn stop(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let child = &mut self.child;
        let look = || child.try_wait().unwrap();
        until("its end", look, Option::is_some)
            .await
            .unwrap()
            .code()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        // It may have ended already.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// An API that is played by the test, byte by byte.
pub struct Api {
    listener: TcpListener,
}

impl Api {
    pub async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener }
    }

    /// Its base URL, as `OPENAI_BASE_URL` says it.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.listener.local_addr().unwrap())
    }

    /// The next connection.
    pub async fn accept(&self) -> Talk {
        let accepted = tokio::time::timeout(super::wait::DEADLINE, self.listener.accept());
        Talk::new(accepted.await.unwrap().unwrap().0)
    }
}

/// A connection that is read and written byte by byte.
pub struct Talk {
    stream: TcpStream,
    text: Vec<u8>,
}

impl Talk {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        let text = Vec::new();
        Self { stream, text }
    }

    /// A client's connection to a side.
    pub async fn with(side: &Side) -> Self {
        Self::new(TcpStream::connect(side.address()).await.unwrap())
    }

    /// Sends text as it is.
    pub async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until the text holds this; answers everything since the last such call.
    pub async fn hear(&mut self, wanted: &str) -> String {
        let hearing = async {
            loop {
                let heard = String::from_utf8_lossy(&self.text).into_owned();
                if heard.contains(wanted) {
                    self.text.clear();
                    return heard;
                }
                let read = self.stream.read_buf(&mut self.text).await.unwrap();
                assert!(read > 0, "closed before {wanted:?}: {heard:?}");
            }
        };
        let deadline = super::wait::DEADLINE;
        let heard = tokio::time::timeout(deadline, hearing).await;
        heard.unwrap_or_else(|_| panic!("never heard {wanted:?}"))
    }

    /// Waits until the other side has closed; how long that took.
    pub async fn closed(&mut self) -> Duration {
        let started = tokio::time::Instant::now();
        let closing = async {
            // A reset closes too.
            while self.stream.read_buf(&mut self.text).await.unwrap_or(0) > 0 {}
        };
        let closed = tokio::time::timeout(super::wait::DEADLINE, closing).await;
        assert!(closed.is_ok(), "never closed");
        started.elapsed()
    }

    /// What was heard and not asked for.
    pub fn rest(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

/// The head of a request of a client to a side.
pub fn request(side: &Side, line: &str, headers: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {CLIENT_KEY}\r\n{headers}\r\n",
        side.address()
    )
}
