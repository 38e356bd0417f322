//! The real binary, started in a folder of its own.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::wait::{self, until};

/// The operator key of test brokers.
pub const KEY: &str = "operator-key-for-tests";

/// How a broker is started.
#[derive(Debug, Default, Clone)]
pub struct BrokerOptions {
    /// A TOML configuration in place of the predecessor's flags; `{inbox}` is filled in.
    pub toml: Option<String>,
    /// Further flags.
    pub args: Vec<String>,
    /// Further environment.
    pub env: Vec<(String, String)>,
    /// Put before the command, e.g. `strace …`.
    pub wrapper: Vec<String>,
}

impl BrokerOptions {
    /// The predecessor's flags, with a backend.
    pub fn with_backend(url: &str) -> Self {
        let args = ["--url", url, "--api_key", "backend-key"].map(str::to_owned);
        Self {
            args: args.into(),
            ..Self::default()
        }
    }

    /// A TOML configuration; `{inbox}` stands for the inbox folder.
    pub fn toml(text: impl Into<String>) -> Self {
        Self {
            toml: Some(text.into()),
            ..Self::default()
        }
    }

    /// The same with one more variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running broker; killed when dropped.
pub struct Broker {
    child: Child,
    url: String,
    folder: Arc<TempDir>,
    options: BrokerOptions,
    log: Arc<Mutex<Vec<String>>>,
}

impl Broker {
    /// Starts a broker in a new folder and waits until it listens.
    pub async fn start(options: BrokerOptions) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), options).await
    }

    /// Starts a broker in a folder that may hold a store and an inbox already.
    pub async fn start_in(folder: Arc<TempDir>, options: BrokerOptions) -> Self {
        let started = Self::start_or_die_in(folder, options).await;
        started.unwrap_or_else(|(ended, log)| {
            panic!("the broker does not listen ({ended}); it said: {log:#?}")
        })
    }

    /// The same with a broker that may die before it listens: how it did, and what it had said.
    pub async fn start_or_die_in(
        folder: Arc<TempDir>,
        options: BrokerOptions,
    ) -> Result<Self, (ExitStatus, Vec<String>)> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut child = command(folder.path(), &options).spawn().unwrap();
        collect_log(&mut child, Arc::clone(&log));
        let mut broker = Self {
            child,
            url: String::new(),
            folder,
            options,
            log,
        };
        broker.url = broker.endpoint().await?;
        Ok(broker)
    }

    async fn endpoint(&mut self) -> Result<String, (ExitStatus, Vec<String>)> {
        let deadline = tokio::time::Instant::now() + wait::DEADLINE;
        loop {
            let listening = self.log_lines().into_iter().find_map(|line| {
                let line: Value = serde_json::from_str(&line).ok()?;
                (line["message"] == "postroom listens").then(|| line["endpoint"].clone())
            });
            if let Some(Value::String(endpoint)) = listening {
                return Ok(endpoint);
            }
            if let Some(ended) = self.child.try_wait().unwrap() {
                return Err((ended, self.log_lines()));
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "the broker does not listen; it said: {:#?}",
                self.log_lines()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Kills it at once (SIGKILL) and starts it again in the same folder.
    pub async fn kill_and_restart(self) -> Self {
        let options = self.options.clone();
        let folder = self.kill();
        Self::start_in(folder, options).await
    }

    /// Kills it at once (SIGKILL); what is left is its folder.
    pub fn kill(mut self) -> Arc<TempDir> {
        self.end();
        Arc::clone(&self.folder)
    }

    /// Ends the process and, where it runs under a tracer, the tracer too.
    fn end(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        // It may have ended already.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let ended = until(
            "the broker's end",
            || child.try_wait().unwrap(),
            Option::is_some,
        )
        .await;
        ended.unwrap()
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(mut self) -> (ExitStatus, Arc<TempDir>) {
        self.signal(rustix::process::Signal::TERM);
        (self.ended().await, Arc::clone(&self.folder))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Its operator key.
    #[expect(
        clippy::unused_self,
        reason = "callers need not know that all keys are one"
    )]
    pub fn key(&self) -> &'static str {
        KEY
    }

    /// Its folder: the inbox, its marks and its store lie in there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its inbox.
    pub fn inbox(&self) -> PathBuf {
        inbox_of(self.folder())
    }

    /// The items in its inbox, by file name.
    pub fn inbox_items(&self) -> Vec<Value> {
        inbox_files(&self.inbox())
            .iter()
            .map(|path| read_item(path))
            .collect()
    }

    /// Waits until its inbox holds so many items.
    pub async fn until_items(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} inbox items");
        until(&what, || self.inbox_items(), |items| items.len() == count).await
    }

    /// What it has written to its log so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Its largest resident memory so far, in bytes.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

/// The inbox of a broker that works in this folder.
pub fn inbox_of(folder: &Path) -> PathBuf {
    folder.join("inbox")
}

/// The finished files of an inbox, oldest first.
pub fn inbox_files(inbox: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(inbox) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .collect();
    paths.sort();
    paths
}

/// The item in a file, which must be whole JSON.
pub fn read_item(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{}: {error}: {text}", path.display()))
}

/// The binary under test.
#[expect(clippy::disallowed_methods, reason = "tests run the real binary")]
pub fn postroom() -> Command {
    Command::new(env!("CARGO_BIN_EXE_postroom"))
}

fn command(folder: &Path, options: &BrokerOptions) -> Command {
    let inbox = inbox_of(folder).display().to_string();
    let mut command = wrapped(&options.wrapper);
    command.arg("serve");
    if let Some(toml) = &options.toml {
        let path = folder.join("postroom.toml");
        let head = format!("[server]\nport = 0\nkey = \"{KEY}\"\nworkers = 2\n");
        std::fs::write(&path, head + &toml.replace("{inbox}", &inbox)).unwrap();
        command
            .arg("--config")
            .arg(path)
            .arg("--base-dir")
            .arg(folder);
    } else {
        command.args([
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--key",
            KEY,
            "--worker",
            "2",
        ]);
        command.args(["--inbox", &inbox]);
    }
    command
        .args(["--log-format", "json"])
        .args(&options.args)
        .envs(options.env.iter().map(|(name, value)| (name, value)))
        .env("HOME", folder)
        .env_remove("POSTROOM_HOME")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

fn wrapped(wrapper: &[String]) -> Command {
    let Some((program, args)) = wrapper.split_first() else {
        return postroom();
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "tests run the real binary under a tracer"
    )]
    let mut command = Command::new(program);
    command.args(args).arg(env!("CARGO_BIN_EXE_postroom"));
    command
}

fn collect_log(child: &mut Child, log: Arc<Mutex<Vec<String>>>) {
    let stderr = child.stderr.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            log.lock().unwrap().push(line);
        }
    });
}
