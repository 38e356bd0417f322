//! Messages between agents: how brokers are set up for them, given them and asked about them.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    agents::{Stage, id_of},
    broker::{Broker, BrokerOptions},
    client::Answer,
    wait::until_async,
};

/// A schedule for tests: soon, and for half a minute.
pub fn quick() -> String {
    let pauses = ["50ms"].into_iter().chain(["200ms"; 150]);
    let pauses: Vec<String> = pauses.map(|pause| format!("{pause:?}")).collect();
    format!("[\"0s\", {}]", pauses.join(", "))
}

/// A schedule that waits longer than any test.
pub const SLOW: &str = r#"["0s", "10m"]"#;

/// A schedule that is soon at its end.
pub const SHORT: &str = r#"["0s", "50ms", "100ms"]"#;

/// The configuration of a broker that agents and peers write through.
#[derive(Debug, Clone)]
pub struct Office(String);

impl Office {
    /// One without agents and peers.
    pub fn new() -> Self {
        // Chats go to the mailbox; of no interest here.
        Self("[agents]\nmax_turns = 8\n".to_owned())
    }

    /// Adds an agent that runs a command on a stage, with further settings.
    pub fn agent(mut self, stage: &Stage, name: &str, command: &str, settings: &str) -> Self {
        let folder = stage.folder().path().display().to_string();
        let timeout = if settings.contains("turn_timeout") {
            ""
        } else {
            "turn_timeout = \"60s\"\n"
        };
        let _ = write!(
            self.0,
            "[agents.{name}]\ncli = {command:?}\ndialect = \"command\"\n{timeout}\
             env = {{ STAGE = {folder:?} }}\n{settings}\n"
        );
        self
    }

    /// Adds a key that speaks for an agent from outside of its turns: [`key_of`].
    pub fn key_of_agent(mut self, name: &str) -> Self {
        let key = key_of(name);
        let _ = write!(
            self.0,
            "[keys.{name}]\nkey = {key:?}\nrole = \"agent\"\nagent = {name:?}\n"
        );
        self
    }

    /// Adds a peer with a URL and a secret, with further settings.
    pub fn peer(mut self, name: &str, url: &str, secret: &str, settings: &str) -> Self {
        let schedule = if settings.contains("schedule") {
            String::new()
        } else {
            format!("schedule = {}\n", quick())
        };
        let _ = write!(
            self.0,
            "[peers.{name}]\nurl = {url:?}\nsecret = {secret:?}\nallow_private = true\n{schedule}{settings}\n"
        );
        self
    }

    /// Adds a peer that only writes to us.
    pub fn peer_without_url(mut self, name: &str, secret: &str, settings: &str) -> Self {
        let _ = write!(self.0, "[peers.{name}]\nsecret = {secret:?}\n{settings}\n");
        self
    }

    /// Adds further TOML.
    pub fn with(mut self, toml: &str) -> Self {
        let _ = writeln!(self.0, "{toml}");
        self
    }

    /// The options of a broker with it.
    pub fn options(&self) -> BrokerOptions {
        BrokerOptions::toml(self.0.clone())
    }

    /// Starts a broker with it in a new folder.
    pub async fn start(&self) -> Broker {
        Broker::start(self.options()).await
    }
}

/// The key that speaks for an agent; see [`Office::key_of_agent`].
pub fn key_of(agent: &str) -> String {
    format!("key-that-speaks-for-{agent}")
}

/// The command of a script in `tests/fixtures/agents`.
pub fn fixture(name: &str, arguments: &str) -> String {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("tests/fixtures/agents").join(name);
    assert!(path.is_file(), "{}", path.display());
    format!("sh {} {arguments}", path.display())
        .trim_end()
        .to_owned()
}

/// A message with a text as its payload, and further fields.
#[expect(
    clippy::needless_pass_by_value,
    reason = "callers write the fields in place"
)]
pub fn message(kind: &str, text: &str, fields: Value) -> Value {
    let mut body = json!({"type": kind, "payload": {"text": text}});
    let object = body.as_object_mut().unwrap();
    object.extend(fields.as_object().unwrap().clone());
    body
}

/// What an error says.
pub fn complaint(answer: &Answer) -> String {
    let body = answer.json();
    let message = body["error"]["message"].as_str();
    message
        .unwrap_or_else(|| panic!("no message in {answer:?}"))
        .to_owned()
}

impl Broker {
    /// `POST /message` by whoever has this secret, with further headers.
    pub async fn message_with(
        &self,
        secret: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut all = vec![
            ("x-shared-secret", secret),
            ("content-type", "application/json"),
        ];
        all.extend_from_slice(headers);
        self.send("POST", "/message", body.to_string(), &all).await
    }

    /// `POST /message` that must be taken as new; its id.
    pub async fn receives(&self, secret: &str, body: &Value) -> String {
        let answer = self.message_with(secret, body, &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["status"], "received", "{answer}");
        assert_ne!(answer["duplicate"], true, "{answer}");
        id_of(&answer)
    }

    /// `POST /send` with a bearer's key and a query.
    pub async fn send_with(&self, key: &str, query: &str, body: &Value) -> Answer {
        let key = format!("Bearer {key}");
        let headers = [
            ("authorization", key.as_str()),
            ("content-type", "application/json"),
        ];
        let path = format!("/send{query}");
        self.send("POST", &path, body.to_string(), &headers).await
    }

    /// `POST /send` by an agent's own key that must be taken; its id.
    pub async fn sends(&self, agent: &str, body: &Value) -> String {
        let answer = self.send_with(&key_of(agent), "", body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        assert_eq!(answer["status"], "sent", "{answer}");
        id_of(&answer)
    }

    /// What became of a message, as an operator sees it.
    pub async fn message(&self, id: &str) -> Value {
        self.fetch(&format!("/messages/{id}")).await
    }

    /// Waits until a message is in a state, and returns what became of it.
    pub async fn until_message(&self, id: &str, state: &str) -> Value {
        let what = format!("message {id} {state}");
        let look = async || self.message(id).await;
        until_async(&what, look, |seen| seen["state"] == state).await
    }

    /// Messages, newest first; `query` begins with `?` or is empty.
    pub async fn messages(&self, query: &str) -> Vec<Value> {
        let list = self.fetch(&format!("/messages{query}")).await;
        list["messages"].as_array().unwrap().clone()
    }

    /// Dead letters, newest first.
    pub async fn dead_letters(&self) -> Vec<Value> {
        let list = self.fetch("/dead-letters").await;
        list["dead_letters"].as_array().unwrap().clone()
    }

    /// Waits until there are so many dead letters, and returns them.
    pub async fn until_dead_letters(&self, count: usize) -> Vec<Value> {
        let what = format!("{count} dead letters");
        let look = async || self.dead_letters().await;
        until_async(&what, look, |seen| seen.len() == count).await
    }

    /// The turns of an agent, oldest first.
    pub async fn turns_of(&self, agent: &str) -> Vec<Value> {
        let list = self
            .fetch(&format!("/agents/{agent}/turns?limit=200"))
            .await;
        let mut turns = list["turns"].as_array().unwrap().clone();
        turns.reverse();
        turns
    }

    /// Waits until so many turns of an agent have ended, and returns all of them.
    pub async fn until_turns(&self, agent: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} turns of {agent} that have ended");
        let look = async || self.turns_of(agent).await;
        let is_good = |turns: &Vec<Value>| {
            let ended = |turn: &&Value| turn["ended_at"].is_string();
            turns.iter().filter(ended).count() >= count
        };
        until_async(&what, look, is_good).await
    }
}
