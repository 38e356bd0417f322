//! The real agent CLIs, with a mock model behind them.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use super::{
    agents::AGENT,
    broker::{Broker, BrokerOptions},
    mock_llm::MockLlm,
    tools::{ClientFailure, installed},
};

/// The key of the mock model. Not a letter or two: some CLIs blot out every occurrence in their output.
const KEY: &str = "mock-model-key";

/// An agent CLI that `tests/run` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cli {
    /// `OpenAI` Codex.
    Codex,
    /// Claude Code.
    Claude,
    /// Gemini CLI.
    Gemini,
    /// `OpenCode`.
    Opencode,
    /// Qwen Code.
    Qwen,
    /// GitHub Copilot CLI.
    Copilot,
}

impl Cli {
    fn dialect(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Claude => "claude",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
            Self::Qwen => "qwen",
            Self::Copilot => "copilot",
        }
    }

    /// The command that starts it: a binary of the package for this platform, or Node.js and a script.
    fn command(self) -> Result<String, ClientFailure> {
        let file = |path: &str| Ok(installed(path)?.display().to_string());
        let script = |path: &str| {
            let node = file("node/node_modules/.bin/node")?;
            Ok(format!("{node} {}", file(path)?))
        };
        let (node_arch, rust_arch) = match std::env::consts::ARCH {
            "aarch64" => ("arm64", "aarch64"),
            _ => ("x64", "x86_64"),
        };
        match self {
            Self::Codex => file(&format!(
                "codex/node_modules/@openai/codex-linux-{node_arch}/vendor/{rust_arch}-unknown-linux-musl/bin/codex"
            )),
            Self::Claude => file(&format!(
                "claude/node_modules/@anthropic-ai/claude-code-linux-{node_arch}/claude"
            )),
            Self::Gemini => Ok(
                script("gemini/node_modules/@google/gemini-cli/bundle/gemini.js")?
                    + " -m gemini-2.5-flash",
            ),
            Self::Opencode => file(&format!(
                "opencode/node_modules/opencode-linux-{node_arch}/bin/opencode"
            )),
            Self::Qwen => Ok(script("qwen/node_modules/.bin/qwen")? + " --auth-type openai"),
            Self::Copilot => file(&format!(
                "copilot/node_modules/@github/copilot-linux-{node_arch}/copilot"
            )),
        }
    }

    /// What it must be told in its environment to use the mock model, and to call nobody else.
    fn environment(self, model: &str, home: &str) -> Vec<(&'static str, String)> {
        let settings: Vec<(&str, String)> = match self {
            Self::Codex => vec![
                ("CODEX_HOME", format!("{home}/codex")),
                ("MOCK_KEY", KEY.into()),
            ],
            Self::Claude => vec![
                ("ANTHROPIC_BASE_URL", model.into()),
                ("ANTHROPIC_API_KEY", KEY.into()),
                ("CLAUDE_CODE_MAX_RETRIES", "1".into()),
            ],
            Self::Gemini => vec![
                ("GOOGLE_GEMINI_BASE_URL", model.into()),
                ("GEMINI_API_KEY", KEY.into()),
            ],
            Self::Opencode => vec![("OPENCODE_CONFIG_CONTENT", opencode_config(model))],
            Self::Qwen => vec![
                ("OPENAI_BASE_URL", format!("{model}/v1")),
                ("OPENAI_API_KEY", KEY.into()),
                ("OPENAI_MODEL", "mock-model".into()),
            ],
            Self::Copilot => vec![
                ("COPILOT_OFFLINE", "true".into()),
                ("COPILOT_PROVIDER_BASE_URL", format!("{model}/v1")),
                ("COPILOT_PROVIDER_API_KEY", KEY.into()),
                ("COPILOT_PROVIDER_MAX_PROMPT_TOKENS", "100000".into()),
                ("COPILOT_PROVIDER_MAX_OUTPUT_TOKENS", "4096".into()),
                ("COPILOT_MODEL", "mock-model".into()),
            ],
        };
        settings
    }

    /// Writes the files that it reads its settings from.
    fn configure(self, model: &str, home: &Path) {
        let (name, text) = match self {
            Self::Codex => ("codex/config.toml", codex_config(model)),
            Self::Gemini => (".gemini/settings.json", GEMINI_SETTINGS.to_owned()),
            _ => return,
        };
        let path = home.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

const GEMINI_SETTINGS: &str = r#"{
  "security": {"auth": {"selectedType": "gemini-api-key"}},
  "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
  "privacy": {"usageStatisticsEnabled": false},
  "telemetry": {"enabled": false}
}"#;

fn codex_config(model: &str) -> String {
    format!(
        r#"model = "mock-model"
model_provider = "mock"
check_for_update_on_startup = false

[model_providers.mock]
name = "mock"
base_url = "{model}/v1"
wire_api = "responses"
env_key = "MOCK_KEY"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false

[feedback]
enabled = false
"#
    )
}

fn opencode_config(model: &str) -> String {
    let mock = serde_json::json!({
        "npm": "@ai-sdk/openai-compatible",
        "name": "Mock",
        "options": {"baseURL": format!("{model}/v1"), "apiKey": KEY},
        "models": {"mock-model": {"name": "Mock", "limit": {"context": 128_000, "output": 4096}}},
    });
    serde_json::json!({
        "autoupdate": false,
        "share": "disabled",
        "model": "mock/mock-model",
        "small_model": "mock/mock-model",
        "provider": {"mock": mock},
    })
    .to_string()
}

/// A broker whose agent `coder` is a real CLI, which asks a mock model.
pub struct RealAgent {
    /// The broker.
    pub broker: Broker,
    /// The model.
    pub model: MockLlm,
    /// A setting in the environment of all the agent's processes.
    pub setting: String,
}

impl RealAgent {
    /// Starts both. `settings` are further settings of the agent, in TOML.
    ///
    /// # Errors
    /// Something of it is not installed.
    pub async fn start(cli: Cli, settings: &str) -> Result<Self, ClientFailure> {
        let command = cli.command()?;
        let model = MockLlm::start()?;
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let home: PathBuf = folder.path().into();
        cli.configure(model.url(), &home);
        let temporary = home.join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        let stage = home.display().to_string();
        let mut environment = cli.environment(model.url(), &stage);
        environment.push(("TMPDIR", temporary.display().to_string()));
        environment.push(("STAGE", stage.clone()));
        let toml = agent_toml(cli, &command, &environment, settings);
        Ok(Self {
            broker: Broker::start_in(folder, BrokerOptions::toml(toml)).await,
            model,
            setting: format!("STAGE={stage}"),
        })
    }

    /// Kills the broker at once (SIGKILL) and starts it again in the same folder.
    pub async fn kill_and_restart(self) -> Self {
        Self {
            broker: self.broker.kill_and_restart().await,
            ..self
        }
    }

    /// Stops the broker, which must leave nothing behind.
    pub async fn stop(self) -> Arc<TempDir> {
        let (status, folder) = self.broker.stop().await;
        assert!(status.success(), "{status}");
        super::processes::expect_none(&self.setting);
        folder
    }
}

fn agent_toml(cli: Cli, command: &str, environment: &[(&str, String)], settings: &str) -> String {
    let mut text = format!(
        "[agents]\nmax_turns = 8\n[agents.{AGENT}]\ncli = {command:?}\ndialect = \"{}\"\n{settings}\n",
        cli.dialect()
    );
    if !settings.contains("turn_timeout") {
        text += "turn_timeout = \"120s\"\n";
    }
    let _ = writeln!(text, "[agents.{AGENT}.env]");
    for (name, value) in environment {
        let _ = writeln!(text, "{name} = {value:?}");
    }
    text
}
