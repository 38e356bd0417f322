//! One running server: how each kind is started, when it is ready, and that it is ended.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep, timeout};

use crate::bodies::KEY;
use crate::http1::{Wire, loopback};
use crate::load::{Source, exchange};
use crate::messages::PEER;
use crate::options::Script;
use crate::tools::Tools;
use crate::turns::{AGENT, PROGRAM, TURNS_AT_ONCE};

const START_LIMIT: Duration = Duration::from_secs(30);
const BACKEND_KEY: &str = "backend-key";

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The Python package with this number of workers.
    Predecessor(u8),
    /// The program that is measured.
    Postroom,
    /// Journal synced and one file a message: stands for what the machine can do.
    Limit,
    /// Journal synced, no files.
    LimitJournal,
    /// A plain reverse proxy (relay only).
    Nginx,
    /// The bridge of Postroom (passing only).
    Bridge,
    /// No server between: the backend itself (relay only).
    Direct,
}

impl Subject {
    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Predecessor(1) => "predecessor, 1 worker",
            Self::Predecessor(_) => "predecessor, 2 workers",
            Self::Postroom | Self::Bridge => "Postroom",
            Self::Limit => "limit (journal + file)",
            Self::LimitJournal => "limit (journal only)",
            Self::Nginx => "nginx",
            Self::Direct => "direct",
        }
    }

    /// Whether it makes inbox files.
    pub(crate) fn keeps_messages(self) -> bool {
        matches!(self, Self::Predecessor(_) | Self::Postroom | Self::Limit)
    }
}

/// How a server is to be started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup {
    /// The port of the backend it relays to.
    pub(crate) backend: Option<u16>,
    /// Postroom only: its own form of config, with a batch window of 20 ms.
    pub(crate) batches: bool,
    /// Postroom only: an agent whose turns run this benchmark.
    pub(crate) turns: bool,
    /// Postroom only: an agent that is at one message all the time, and the port of a peer.
    pub(crate) peer: Option<u16>,
}

/// A process group that ends with this value.
pub(crate) struct Server {
    child: Child,
    started: Instant,
    /// The loopback port it listens on.
    pub(crate) port: u16,
    /// Its own folder; the inbox is `inbox` in it.
    pub(crate) folder: PathBuf,
}

impl Server {
    /// Starts `subject` in the new folder `folder`.
    ///
    /// # Errors
    /// The program is missing or could not be started.
    pub(crate) fn start(
        tools: &Tools,
        subject: Subject,
        setup: Setup,
        folder: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(folder.join("inbox"))?;
        let port = free_port()?;
        let mut command = match subject {
            Subject::Predecessor(workers) => {
                let mut command =
                    mailbox(tools.predecessor.as_deref(), port, folder, setup.backend)?;
                command.args(["--worker", &workers.to_string()]);
                command
            }
            Subject::Postroom if tools.postroom.is_none() => limit(tools, port, folder, false),
            Subject::Postroom if setup.turns => postroom_turns(tools, port, folder)?,
            Subject::Postroom if setup.peer.is_some() => {
                postroom_messages(tools, port, folder, setup.peer)?
            }
            Subject::Postroom if setup.batches => postroom_toml(tools, port, folder)?,
            Subject::Postroom => mailbox(tools.postroom.as_deref(), port, folder, setup.backend)?,
            Subject::Limit => limit(tools, port, folder, false),
            Subject::LimitJournal => limit(tools, port, folder, true),
            Subject::Bridge => bridge(tools, port, folder, setup.backend)?,
            Subject::Nginx => nginx(tools, port, folder, setup.backend)?,
            Subject::Direct => bail!("nothing stands between client and backend"),
        };
        let log = File::create(folder.join("server.log"))?;
        command
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(folder);
        let started = Instant::now();
        let child = command.process_group(0).spawn();
        let child = child.with_context(|| format!("starting {command:?}"))?;
        Ok(Self {
            child,
            started,
            port,
            folder: folder.to_path_buf(),
        })
    }

    /// Starts the mock backend.
    ///
    /// # Errors
    /// It does not listen within 30 s.
    pub(crate) async fn mock_backend(tools: &Tools, script: Script) -> Result<Self> {
        let port = free_port()?;
        let mut command = program(&tools.own);
        command.args(["mock-backend", &port.to_string()]);
        command
            .args(["--events", &script.events.to_string()])
            .args(["--gap-ms", &script.gap_ms.to_string()])
            .stdin(Stdio::piped());
        let started = Instant::now();
        let child = command
            .process_group(0)
            .spawn()
            .context("starting the mock backend")?;
        let backend = Self {
            child,
            started,
            port,
            folder: PathBuf::new(),
        };
        while Wire::connect(loopback(port)).await.is_err() {
            ensure!(
                started.elapsed() < START_LIMIT,
                "the mock backend does not listen"
            );
            sleep(Duration::from_millis(1)).await;
        }
        Ok(backend)
    }

    /// The process at the root of its tree.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends one request after the other until one is answered 2xx; the time from the start
    /// of the process to that answer.
    ///
    /// # Errors
    /// The process ended, or nothing was answered within 30 s; with the end of its log.
    pub(crate) async fn first_answer(&mut self, source: &Arc<Source>) -> Result<Duration> {
        while self.started.elapsed() < START_LIMIT {
            if let Ok(mut wire) = Wire::connect(loopback(self.port)).await {
                let mut request = Vec::new();
                source.next(&mut request);
                let answer = timeout(START_LIMIT, exchange(&mut wire, &request)).await;
                match answer {
                    Ok(Ok(_)) => return Ok(self.started.elapsed()),
                    Ok(Err(error)) if error.is::<std::io::Error>() => source.unsend(),
                    Ok(Err(error)) => bail!("first answer: {error:#}; {}", self.log_end()),
                    Err(_) => break,
                }
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}; {}", self.log_end());
            }
            sleep(Duration::from_millis(1)).await;
        }
        bail!("no answer within 30 s of the start; {}", self.log_end())
    }

    /// The last lines that the server wrote.
    pub(crate) fn log_end(&self) -> String {
        let text = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(4).collect();
        let end: Vec<&str> = lines.into_iter().rev().collect();
        format!("its log ends: {}", end.join(" | "))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // The group may be gone already: then there is nothing left to end.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        drop(self.child.wait());
    }
}

/// A port that nobody listened on a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(loopback(0))?.local_addr()?.port())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts the servers it measures"
)]
fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).stdin(Stdio::null());
    command
}

/// The flags that the predecessor and Postroom share.
fn mailbox(path: Option<&Path>, port: u16, folder: &Path, backend: Option<u16>) -> Result<Command> {
    let path = path.context("the program is not installed")?;
    let mut command = program(path);
    command.env("HOME", folder);
    if path.file_name().is_some_and(|name| name == "postroom") {
        command.arg("serve");
    }
    command.args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--key",
        KEY,
    ]);
    command.arg("--inbox").arg(folder.join("inbox"));
    if let Some(backend) = backend {
        command.args(["--url", &format!("http://127.0.0.1:{backend}/v1")]);
        command.args(["--api_key", BACKEND_KEY]);
    }
    Ok(command)
}

fn postroom_toml(tools: &Tools, port: u16, folder: &Path) -> Result<Command> {
    let inbox = folder.join("inbox").display().to_string();
    let store = folder.join(".postroom").display().to_string();
    let parts = format!(
        "[mailbox]\ninbox = '{inbox}'\nbatch_window = \"20ms\"\n[store]\npath = '{store}'\n"
    );
    configured(tools, port, folder, &parts)
}

fn postroom_turns(tools: &Tools, port: u16, folder: &Path) -> Result<Command> {
    let own = tools.own.display();
    let parts = format!(
        "[agents]\nmax_turns = {TURNS_AT_ONCE}\n[agents.{AGENT}]\ncli = '\"{own}\" {PROGRAM}'\n\
         dialect = \"command\"\nconcurrency = {TURNS_AT_ONCE}\n"
    );
    let mut command = configured(tools, port, folder, &parts)?;
    command.arg("--base-dir").arg(folder);
    Ok(command)
}

fn postroom_messages(
    tools: &Tools,
    port: u16,
    folder: &Path,
    peer: Option<u16>,
) -> Result<Command> {
    let peer = peer.context("messages go to a peer")?;
    let parts = format!(
        "[agents.{AGENT}]\ncli = \"sleep 600\"\ndialect = \"command\"\nturn_timeout = \"1h\"\n\
         queue = 1000000\n[peers.{PEER}]\nurl = \"http://127.0.0.1:{peer}\"\n\
         allow_private = true\nconcurrency = 16\n[courier]\nmost_waiting = 1000000\n"
    );
    let mut command = configured(tools, port, folder, &parts)?;
    command.arg("--base-dir").arg(folder);
    Ok(command)
}

/// Postroom with its own form of config.
fn configured(tools: &Tools, port: u16, folder: &Path, parts: &str) -> Result<Command> {
    let file = folder.join("postroom.toml");
    let head = format!("[server]\nhost = \"127.0.0.1\"\nport = {port}\nkey = \"{KEY}\"\n");
    fs::write(&file, head + parts)?;
    let mut command = program(tools.postroom.as_deref().context("Postroom is not built")?);
    command
        .env("HOME", folder)
        .arg("serve")
        .arg("--config")
        .arg(file);
    Ok(command)
}

/// Ends by itself when this process does: its standard input closes then.
fn limit(tools: &Tools, port: u16, folder: &Path, journal_only: bool) -> Command {
    let mut command = program(&tools.own);
    command
        .args(["limit-server", &port.to_string()])
        .arg(folder);
    command
        .args(journal_only.then_some("--journal-only"))
        .stdin(Stdio::piped());
    command
}

fn bridge(tools: &Tools, port: u16, folder: &Path, backend: Option<u16>) -> Result<Command> {
    let backend = backend.context("a bridge passes on to a backend")?;
    let mut command = program(tools.postroom.as_deref().context("Postroom is not built")?);
    command
        .env("HOME", folder)
        .env("PROXY_BRIDGE_URL", format!("http://127.0.0.1:{backend}"))
        .env("PROXY_BRIDGE_TOKEN", BACKEND_KEY)
        .args(["bridge", "run", "--port", &port.to_string()]);
    Ok(command)
}

fn nginx(tools: &Tools, port: u16, folder: &Path, backend: Option<u16>) -> Result<Command> {
    let backend = backend.context("nginx relays to a backend")?;
    let file = folder.join("nginx.conf");
    let here = folder.display();
    fs::write(
        &file,
        format!(
            "daemon off; pid {here}/nginx.pid; error_log stderr warn; worker_processes auto;\n\
             events {{ worker_connections 4096; }}\n\
             http {{\n  access_log off; keepalive_requests 100000000; client_max_body_size 10m;\n\
             \x20 client_body_buffer_size 1m; client_body_temp_path {here}/b; proxy_temp_path {here}/p;\n\
             \x20 fastcgi_temp_path {here}/f; uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;\n\
             \x20 upstream backend {{ server 127.0.0.1:{backend}; keepalive 128; keepalive_requests 100000000; }}\n\
             \x20 server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://backend;\n\
             \x20   proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }} }}\n}}\n"
        ),
    )?;
    let mut command = program(tools.nginx.as_deref().context("nginx is not installed")?);
    command
        .arg("-c")
        .arg(file)
        .arg("-p")
        .arg(folder)
        .args(["-e", "stderr"]);
    Ok(command)
}
