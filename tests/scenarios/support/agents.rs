//! Agents of a broker: how they are set up, asked and looked at.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    broker::{Broker, BrokerOptions},
    client::{Answer, chat},
    wait::{until, until_async},
};

/// The agent of most tests.
pub const AGENT: &str = "coder";

/// A folder with scripts, and what they leave behind.
///
/// A script finds its turn in the environment and this folder in `$STAGE`. Its settings have a mark
/// that finds its processes.
pub struct Stage {
    folder: Arc<TempDir>,
}

impl Stage {
    /// A new folder.
    pub fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("prompts")).unwrap();
        Self { folder }
    }

    /// Writes a script; answers the command that runs it.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        format!("sh {}", path.display())
    }

    /// A script that keeps its prompt, waits until [`Self::open`], and answers.
    pub fn gated_script(&self) -> String {
        let text = format!(
            "{KEEP_PROMPT}while [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\necho \"open now\"\n"
        );
        self.script("gated.sh", &text)
    }

    /// A script that speaks as claude does: keeps its arguments and its prompt, and answers `the
    /// answer` at a price.
    pub fn session_script(&self) -> String {
        self.script("session.sh", SPEAKS_AS_CLAUDE)
    }

    /// The agent `coder` with [`Self::session_script`].
    pub fn agent_with_sessions(&self, settings: &str) -> BrokerOptions {
        let toml = self.agent_toml(&self.session_script(), settings);
        BrokerOptions::toml(toml.replace("dialect = \"command\"", "dialect = \"claude\""))
    }

    /// Lets gated scripts go on.
    pub fn open(&self) {
        std::fs::write(self.path("open"), "").unwrap();
    }

    /// The prompts that scripts kept, oldest turn first.
    pub fn prompts(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("prompts")).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|kind| kind == "txt"));
        paths.sort();
        paths
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect()
    }

    /// Waits until so many turns have kept their prompts.
    pub async fn until_prompts(&self, count: usize) -> Vec<String> {
        let what = format!("{count} prompts");
        until(&what, || self.prompts(), |prompts| prompts.len() == count).await
    }

    /// The setting that all processes of its agents have.
    pub fn setting(&self) -> String {
        format!("STAGE={}", self.folder.path().display())
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The agent `coder`, which runs a command, with further settings.
    pub fn agent(&self, command: &str, settings: &str) -> BrokerOptions {
        BrokerOptions::toml(self.agent_toml(command, settings))
    }

    /// The configuration of the same.
    pub fn agent_toml(&self, command: &str, settings: &str) -> String {
        let stage = self.folder.path().display().to_string();
        format!(
            "[agents]\nmax_turns = 8\n[agents.{AGENT}]\ncli = {command:?}\ndialect = \"command\"\nturn_timeout = \"60s\"\n\
             env = {{ STAGE = {stage:?} }}\n{settings}\n"
        )
    }

    /// Where a broker may work.
    pub fn folder(&self) -> &Arc<TempDir> {
        &self.folder
    }
}

/// First lines of a script: keeps its prompt under the turn's id, whole or not at all.
pub const KEEP_PROMPT: &str = "cat > \"$STAGE/prompts/$POSTROOM_TURN_ID.part\"\nmv \"$STAGE/prompts/$POSTROOM_TURN_ID.part\" \"$STAGE/prompts/$POSTROOM_TURN_ID.txt\"\n";

/// Keeps its arguments and its prompt, and answers in a session.
const SPEAKS_AS_CLAUDE: &str = r#"{ echo "arguments: $*"; cat; } > "$STAGE/prompts/$POSTROOM_TURN_ID.part"
mv "$STAGE/prompts/$POSTROOM_TURN_ID.part" "$STAGE/prompts/$POSTROOM_TURN_ID.txt"
echo '{"type":"system","subtype":"init","session_id":"thread-1"}'
echo '{"type":"result","subtype":"success","is_error":false,"result":"the answer","usage":{"input_tokens":11,"output_tokens":5}}'
"#;

impl Broker {
    /// Asks the agent `coder` in a user's session, and waits for its answer.
    pub async fn ask(&self, prompt: &str, user: &str) -> Answer {
        self.chat(&chat(prompt, json!({"model": AGENT, "user": user})))
            .await
    }

    /// Asks the agent `coder` in the background; answers the response's id.
    pub async fn ask_later(&self, prompt: &str, user: &str) -> String {
        let answer = self.try_ask_later(prompt, user).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let response = answer.json();
        assert_eq!(response["status"], "queued", "{response}");
        response["id"].as_str().unwrap().to_owned()
    }

    /// Asks the agent `coder` in the background, whatever comes of it.
    pub async fn try_ask_later(&self, prompt: &str, user: &str) -> Answer {
        let body = json!({"model": AGENT, "input": prompt, "user": user, "background": true});
        self.post("/v1/responses", body.to_string(), &[]).await
    }

    /// A response as it is now.
    pub async fn response(&self, id: &str) -> Value {
        self.fetch(&format!("/v1/responses/{id}")).await
    }

    /// Waits until a response has ended, and returns it.
    pub async fn until_ended(&self, id: &str) -> Value {
        let is_open = |response: &Value| {
            response["status"] == "queued" || response["status"] == "in_progress"
        };
        let look = async || self.response(id).await;
        until_async("the end of a response", look, |seen| !is_open(seen)).await
    }

    /// What is at a path that must be there.
    pub async fn fetch(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// `DELETE` with the operator key.
    pub async fn delete(&self, path: &str) -> Answer {
        let key = format!("Bearer {}", self.key());
        let headers = [("authorization", key.as_str())];
        self.send("DELETE", path, String::new(), &headers).await
    }

    /// `POST /agents/coder/…`, which must succeed.
    pub async fn order(&self, what: &str) {
        let path = format!("/agents/{AGENT}/{what}");
        let answer = self.post(&path, "{}", &[]).await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
    }

    /// How the agent `coder` is.
    pub async fn agent(&self) -> Value {
        self.fetch(&format!("/agents/{AGENT}")).await
    }

    /// Waits until the agent `coder` is in a state, and returns how it is.
    pub async fn until_agent(&self, state: &str) -> Value {
        let what = format!("the agent {state}");
        let look = async || self.agent().await;
        until_async(&what, look, |agent| agent["state"] == state).await
    }

    /// The turns of the agent `coder`, newest first.
    pub async fn turns(&self) -> Vec<Value> {
        let list = self.fetch(&format!("/agents/{AGENT}/turns")).await;
        list["turns"].as_array().unwrap().clone()
    }

    /// The states of the turns of the agent `coder`, oldest first.
    pub async fn turn_states(&self) -> Vec<String> {
        let turns = self.turns().await;
        let state = |turn: &Value| turn["state"].as_str().unwrap().to_owned();
        turns.iter().rev().map(state).collect()
    }

    /// Waits until the turns of the agent `coder` are in these states, oldest first.
    pub async fn until_turn_states(&self, states: &[&str]) {
        let what = format!("turns that are {states:?}");
        let look = async || self.turn_states().await;
        until_async(&what, look, |found| found == states).await;
    }

    /// Waits until a turn of the agent `coder` runs, and returns its id.
    pub async fn until_turn_runs(&self) -> String {
        let look = async || {
            let turns = self.turns().await;
            let runs = |turn: &&Value| turn["state"] == "running";
            turns.iter().find(runs).map(id_of)
        };
        until_async("a running turn", look, Option::is_some)
            .await
            .unwrap()
    }
}

/// The text that a response holds.
pub fn output_text(response: &Value) -> String {
    let items = response["output"].as_array().unwrap();
    let parts = items
        .iter()
        .filter_map(|item| item["content"].as_array())
        .flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

/// The id of a thing.
pub fn id_of(thing: &Value) -> String {
    thing["id"].as_str().unwrap().to_owned()
}
