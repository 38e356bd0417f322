//! `postroom tail`, as it runs.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    sync::{Arc, Mutex},
};

use serde_json::Value;

use super::{broker::postroom, wait::until};

/// A running `tail`; killed when dropped.
pub struct Tail {
    child: Child,
    output: Option<ChildStdout>,
    said: Arc<Mutex<Vec<String>>>,
    complained: Arc<Mutex<Vec<String>>>,
}

impl Tail {
    /// Starts one whose lines are read.
    pub fn start(home: &Path, args: &[&str]) -> Self {
        let mut tail = Self::unread(home, args);
        collect(tail.output.take().unwrap(), &tail.said);
        tail
    }

    /// Starts one whose lines nobody reads.
    pub fn unread(home: &Path, args: &[&str]) -> Self {
        let mut command = postroom();
        command
            .arg("tail")
            .args(args)
            .arg("--base-dir")
            .arg(home)
            .env("HOME", home)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let complained = Arc::default();
        collect(child.stderr.take().unwrap(), &complained);
        Self {
            output: child.stdout.take(),
            child,
            said: Arc::default(),
            complained,
        }
    }

    /// Nobody can read its lines any more.
    pub fn close(&mut self) {
        self.output = None;
    }

    /// Its lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    /// Waits for a line that holds this; returns all lines so far.
    pub async fn until_line(&self, part: &str) -> Vec<String> {
        let has_it = |lines: &Vec<String>| lines.iter().any(|line| line.contains(part));
        until(part, || self.lines(), has_it).await
    }

    /// The same for what it complains of.
    pub async fn until_complaint(&self, part: &str) -> Vec<String> {
        let has_it = |lines: &Vec<String>| lines.iter().any(|line| line.contains(part));
        until(part, || self.complained.lock().unwrap().clone(), has_it).await
    }

    /// Its events so far, with `--json`.
    pub fn events(&self) -> Vec<Value> {
        let lines = self.lines();
        let events = lines.iter().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        events.collect()
    }

    /// Waits until it has told an event that is so; returns all so far.
    pub async fn until_event(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let has_it = |events: &Vec<Value>| events.iter().any(&is_it);
        until(what, || self.events(), has_it).await
    }

    /// Sends Ctrl-C.
    pub fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Its exit code, once it has ended.
    pub async fn ended(mut self) -> Option<i32> {
        let child = &mut self.child;
        let look = || child.try_wait().unwrap();
        let ended = until("the end of tail", look, Option::is_some).await;
        ended.unwrap().code()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
}
