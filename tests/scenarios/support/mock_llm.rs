//! The mock model of `tests/clients`, behind agent CLIs in place of a vendor's API.

use std::time::Duration;

use serde_json::Value;

use super::{stand_in::StandIn, tools::ClientFailure, wait::until_async};

/// A mock model on loopback; killed when dropped. Marks in a prompt tell it what to do.
pub struct MockLlm(StandIn);

impl MockLlm {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// The interpreter is not installed, or the program does not start.
    pub fn start() -> Result<Self, ClientFailure> {
        let no_arguments: [&str; 0] = [];
        StandIn::start("predecessor", "mock_llm.py", no_arguments).map(Self)
    }

    /// Its base URL, without a path.
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// The calls that it got, in order of arrival; `ended` is null while one is under way.
    pub async fn calls(&self) -> Vec<Value> {
        let mut answer = client()
            .get(format!("{}/_calls", self.url()))
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
        let url = format!("{}/_release/{name}", self.url());
        client().post(url).send().await.unwrap();
    }

    /// Ends it: from now on nobody listens there.
    pub fn end(&mut self) {
        self.0.end();
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
