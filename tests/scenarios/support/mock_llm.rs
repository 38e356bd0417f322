//! The mock model of `tests/clients`, behind agent CLIs in place of a vendor's API.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    tools::{ClientFailure, client_program, installed},
    wait::until_async,
};

/// A mock model on loopback; killed when dropped. Marks in a prompt tell it what to do.
pub struct MockLlm {
    child: Child,
    url: String,
}

impl MockLlm {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// The interpreter is not installed, or the program does not start.
    pub fn start() -> Result<Self, ClientFailure> {
        let interpreter = installed("predecessor/bin/python")?;
        #[expect(clippy::disallowed_methods, reason = "killed when dropped")]
        let mut command = Command::new(interpreter);
        let mut child = command
            .arg(client_program("mock_llm.py")?)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("the mock model said {line:?}"));
        Ok(Self {
            url: url.to_owned(),
            child,
        })
    }

    /// Its base URL, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The calls that it got, in order of arrival; `ended` is null while one is under way.
    pub async fn calls(&self) -> Vec<Value> {
        let mut answer = client()
            .get(format!("{}/_calls", self.url))
            .send()
            .await
            .unwrap();
        let body = answer.body().limit(64 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Waits until calls whose last user message holds `words` are under way, so many of them.
    pub async fn until_under_way(&self, words: &str, count: usize) {
        let what = format!("{count} model calls about `{words}` under way");
        let look = async || self.calls().await;
        let is_meant = |call: &&Value| call["ended"].is_null() && says(call, words);
        let is_good = |calls: &Vec<Value>| calls.iter().filter(is_meant).count() == count;
        until_async(&what, look, is_good).await;
    }

    /// Lets the calls with the mark `[[hold: NAME]]` go on.
    pub async fn release(&self, name: &str) {
        let url = format!("{}/_release/{name}", self.url);
        client().post(url).send().await.unwrap();
    }

    /// Ends it: from now on nobody listens there.
    pub fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for MockLlm {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether the last user message of a call holds these words.
pub fn says(call: &Value, words: &str) -> bool {
    call["last"].as_str().unwrap().contains(words)
}

/// The most calls that were under way at the same time; those that have not ended go on for ever.
pub fn most_at_once(calls: &[Value]) -> usize {
    let began = |call: &Value| call["began"].as_f64().unwrap();
    let ended = |call: &Value| call["ended"].as_f64().unwrap_or(f64::INFINITY);
    let at = |moment: f64| {
        let runs = |call: &&Value| began(call) <= moment && moment < ended(call);
        calls.iter().filter(runs).count()
    };
    calls.iter().map(|call| at(began(call))).max().unwrap_or(0)
}

fn client() -> awc::Client {
    awc::Client::builder()
        .timeout(Duration::from_secs(10))
        .finish()
}
