//! A user's home folder, and the commands that the user gives in it.

use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
};

use postroom::runtime_file::RuntimeFile;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    broker::postroom,
    client::{self, Answer},
    wait::until,
};

/// Something in the user's environment that no command may print.
pub const PRIVATE: &str = "what-the-user-keeps-private";

/// A new user's home; nothing of the tester's own is seen in it.
pub struct UserHome(TempDir);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub code: Option<i32>,
    /// What it said.
    pub out: String,
    /// What it complained of.
    pub err: String,
}

impl Ran {
    /// What it said, where it succeeded and had nothing to complain of.
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }
}

impl UserHome {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Where the service keeps what is its.
    pub fn base(&self) -> PathBuf {
        self.path(".postroom")
    }

    /// Writes a script; answers the command that runs it.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, format!("cat > /dev/null\n{text}")).unwrap();
        format!("sh {}", path.display())
    }

    /// Writes the configuration of the service.
    pub fn configure(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir_all(self.base()).unwrap();
        let path = self.base().join("postroom.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A script that says something, waits until [`Self::open`], and ends with something else.
    pub fn gated_script(&self) -> String {
        let gate = self.path("open").display().to_string();
        let wait = format!("while [ ! -e {gate} ]; do sleep 0.02; done");
        self.script(
            "gated.sh",
            &format!("echo working\n{wait}\necho open now\n"),
        )
    }

    /// Lets gated scripts go on.
    pub fn open(&self) {
        std::fs::write(self.path("open"), "").unwrap();
    }

    /// A command, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = postroom();
        let programs = std::env::var("PATH").unwrap();
        command
            .args(args)
            .env_clear()
            .env("PATH", format!("{}:{programs}", self.path("bin").display()))
            .env("HOME", self.0.path())
            .env("TMPDIR", self.0.path())
            .env("USER", "ann")
            .env("PRIVATE", PRIVATE)
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    /// Gives a command and waits for its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ran = Ran {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        };
        let is_told = ran.out.contains(PRIVATE) || ran.err.contains(PRIVATE);
        assert!(!is_told, "{ran:?}");
        ran
    }

    /// Starts a command that is talked to.
    pub fn talk(&self, args: &[&str]) -> Talk {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Arc::default();
        keep_saying(child.stdout.take().unwrap(), Arc::clone(&said));
        Talk {
            input: child.stdin.take(),
            said,
            child,
        }
    }

    /// Starts the service, and waits until its user's commands find it.
    pub async fn daemon(&self, args: &[&str]) -> Daemon {
        let base = ["daemon", "--api-port", "0", "--log-format", "json"];
        let mut command = self.command(&[&base, args].concat());
        let log = std::fs::File::create(self.path("daemon.log")).unwrap();
        let child = command.stderr(log).process_group(0).spawn().unwrap();
        let mut daemon = Daemon {
            child,
            endpoint: String::new(),
        };
        let bases = [self.base(), self.path(".ai_agent_proxy")];
        let pid = daemon.child.id();
        let ours = |base: &PathBuf| {
            RuntimeFile::read(base)
                .unwrap()
                .filter(|file| file.pid == pid)
        };
        let look = || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", self.daemon_log());
            bases.iter().find_map(ours)
        };
        let runtime = until("the runtime file", look, Option::is_some).await;
        daemon.endpoint = runtime.unwrap().endpoint;
        daemon
    }

    /// What the service logged.
    pub fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.path("daemon.log")).unwrap()
    }
}

/// A running service; killed when dropped.
pub struct Daemon {
    child: Child,
    endpoint: String,
}

impl Daemon {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// `POST` by somebody who has no key.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        client::send(&self.endpoint, "POST", path, body.to_string(), &headers).await
    }

    /// Any request, with just these headers.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        client::send(&self.endpoint, method, path, body.to_owned(), headers).await
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(mut self) -> ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let child = &mut self.child;
        let look = || child.try_wait().unwrap();
        let ended = until("the service's end", look, Option::is_some).await;
        ended.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        // It may have ended already.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A command that is talked to; killed when dropped.
pub struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    said: Arc<Mutex<String>>,
}

fn keep_saying(mut output: ChildStdout, said: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut piece = [0; 1024];
        while let Ok(length @ 1..) = output.read(&mut piece) {
            let text = str::from_utf8(&piece[..length]).unwrap();
            said.lock().unwrap().push_str(text);
        }
    });
}

impl Talk {
    /// Says a line to it.
    pub fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Says that nothing more comes.
    pub fn hang_up(&mut self) {
        self.input = None;
    }

    /// Waits until it has said something that ends so; returns all that it said.
    pub async fn until_said(&self, end: &str) -> String {
        let look = || self.said.lock().unwrap().clone();
        until(end, look, |said| said.ends_with(end)).await
    }

    /// Its exit code, once it ends by itself.
    pub async fn ended(mut self) -> Option<i32> {
        let child = &mut self.child;
        let look = || child.try_wait().unwrap();
        let ended = until("the end of the talk", look, Option::is_some).await;
        ended.unwrap().code()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every file below a folder, with its content.
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found
}
