//! The validated configuration. Where its values come from is the business of `settings/`.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use postroom_actors::domain::{ids::AgentId, party::PeerName};
use schemars::JsonSchema;
use serde::Deserialize;

pub mod agents;
pub mod bridge;
mod check;
pub mod duration;
mod environment;
mod flags;
mod layers;
mod legacy_conf;
mod load;
mod locate;
pub mod peers;
mod problem;
mod quantity;
pub mod raw;
pub mod reference;
pub mod schema;
mod secret_files;
mod shape;
pub mod show;
pub mod size;
mod toml_file;
mod validate;

#[cfg(test)]
mod tests;

pub use agents::{AgentSettings, AgentsSettings};
pub use bridge::{BridgeSettings, UpstreamProxySettings};
pub use flags::{Flags, MoreFlag};
pub use load::{Loaded, Sources, load, load_with_sources};
pub use locate::home;
pub use peers::{CourierSettings, PeerSettings};
pub use problem::{ConfigError, Problem};

/// Everything the service is told by its files, environment and flags.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder for what is ours: `--base-dir`, `POSTROOM_HOME`, `~/.ai_agent_proxy` where it
    /// exists, `~/.postroom`.
    pub home: PathBuf,
    /// The configuration file that was read.
    pub config_file: Option<PathBuf>,
    /// Which kind of configuration this came from; decides the words of the logs.
    pub origin: Origin,
    /// The listener.
    pub server: ServerSettings,
    /// Named keys besides `server.key`.
    pub keys: BTreeMap<String, KeySettings>,
    /// Where requests go that name nobody.
    pub routing: RoutingSettings,
    /// The inbox folder and what is written there.
    pub mailbox: MailboxSettings,
    /// The model list.
    pub models: ModelsSettings,
    /// The main backend; `None`: requests are only kept.
    pub backend: Option<BackendSettings>,
    /// Further backends by name, for `fallback`.
    pub backends: BTreeMap<String, BackendSettings>,
    /// Agent CLIs.
    pub agents: AgentsSettings,
    /// The local side of the remote bridge.
    pub bridge: BridgeSettings,
    /// The remote side of the bridge.
    pub upstream_proxy: UpstreamProxySettings,
    /// Other services that messages come from and go to.
    pub peers: BTreeMap<PeerName, PeerSettings>,
    /// How messages are delivered.
    pub courier: CourierSettings,
    /// The store.
    pub store: StoreSettings,
    /// Bounds on what comes in.
    pub limits: LimitsSettings,
    /// Where metrics are shown.
    pub metrics: MetricsSettings,
    /// Logs.
    pub telemetry: TelemetrySettings,
    /// What is set but has no effect in this version, or deserves a look; shown at start.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Whether anything ends when the client goes away that asked for it (`on_disconnect`).
    pub fn anything_ends_with_its_client(&self) -> bool {
        let mut backends = self.backend.iter().chain(self.backends.values());
        let cancel = OnDisconnect::Cancel;
        self.agents.any_ends_with_its_client()
            || backends.any(|backend| backend.on_disconnect == cancel)
    }
}

/// Which kind of configuration this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `postroom.toml`, environment, flags.
    Native,
    /// The predecessor's file, flags or name.
    Predecessor,
}

/// A value that is never shown: not in logs, not in errors, not by `config show`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever must send or compare it.
    pub fn expose(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "minLength": 1, "writeOnly": true })
    }
}

/// `[server]`
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Name or address to listen on.
    pub host: String,
    /// Port to listen on; 0 lets the system choose.
    pub port: u16,
    /// An operator key; `None`: no credentials are asked for.
    pub key: Option<Secret>,
    /// HTTP worker threads, at least 1.
    pub workers: usize,
    /// What agents are told as our address.
    pub public_url: Option<String>,
    /// Listen beyond loopback without any key.
    pub allow_unauthenticated: bool,
    /// Whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<std::net::IpAddr>,
}

/// `[keys.NAME]`
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// The key itself.
    pub key: Secret,
    /// What it may do.
    pub role: Role,
    /// Whose it is, with [`Role::Agent`].
    pub agent: Option<AgentId>,
}

/// What the holder of a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The `OpenAI` surface and its own messages.
    Client,
    /// An agent's own inbox, and `/send`.
    Agent,
    /// Everything.
    Operator,
}

/// `[routing]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingSettings {
    /// Who gets what names nobody: `None` is the mailbox.
    pub default: Option<AgentId>,
}

/// `[mailbox]`
#[derive(Debug, Clone)]
pub struct MailboxSettings {
    /// The folder that the agent watches, absolute.
    pub inbox: PathBuf,
    /// What later messages of a context hold.
    pub compact: Compact,
    /// How long messages of one context are gathered into one file; 0: each has its own.
    pub batch_window: Duration,
    /// How long an item waits for a backend's reply.
    pub reply_wait: Duration,
    /// Who gets a text instead of an empty completion.
    pub acknowledge: Acknowledge,
    /// That text.
    pub acknowledgement: String,
    /// The key `instruction` of inbox files; empty: left out.
    pub instruction: String,
    /// The key `openclaw_message_cli_skill_path` of inbox files; empty: left out.
    pub openclaw_message_cli_skill_path: String,
}

/// `mailbox.compact`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compact {
    /// Context id and prompt, as the predecessor 2.3.0.
    Seed,
    /// The same and the whole request under `message`, as 2.3.3.
    KeepMessage,
    /// Every message whole.
    Off,
}

/// `mailbox.acknowledge`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// Only present `OpenClaw` releases, which take an empty answer for a failure.
    #[serde(rename = "openclaw")]
    OpenClaw,
    /// Everyone.
    Always,
    /// Nobody.
    Never,
}

/// `[models]`
#[derive(Debug, Clone)]
pub struct ModelsSettings {
    /// Show agents as models too.
    pub list_agents: bool,
    /// How long the backend's list is kept.
    pub cache: Duration,
}

/// `[backend]` and `[backends.NAME]`
#[derive(Debug, Clone)]
pub struct BackendSettings {
    /// Base URL, without a slash at its end; may end in `/v1`.
    pub url: String,
    /// The key it wants.
    pub api_key: Option<Secret>,
    /// How it wants to be shown the key.
    pub auth: BackendAuth,
    /// The model to ask for; empty: the client's, or the backend's first.
    pub model: String,
    /// A system message put in front; empty: none.
    pub instruction: String,
    /// Until the connection stands.
    pub connect_timeout: Duration,
    /// Until the head of the answer.
    pub first_byte_timeout: Duration,
    /// Between two chunks.
    pub idle_timeout: Duration,
    /// The whole exchange.
    pub timeout: Duration,
    /// What becomes of a relay whose client has gone.
    pub on_disconnect: OnDisconnect,
    /// The backend that takes over.
    pub fallback: Option<String>,
}

/// `backend.auth`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BackendAuth {
    /// `Authorization: Bearer`.
    Bearer,
    /// `X-Proxy-Token`.
    #[serde(rename = "x-proxy-token")]
    ProxyToken,
}

/// `backend.on_disconnect`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDisconnect {
    /// Read on, so that the reply still reaches the inbox.
    Finish,
    /// Stop asking.
    Cancel,
}

/// `[store]`
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The store's folder, absolute.
    pub path: PathBuf,
    /// How long done messages are kept.
    pub retention: Duration,
}

/// `[limits]`
#[derive(Debug, Clone, Copy)]
pub struct LimitsSettings {
    /// Largest request body, in bytes.
    pub body: u64,
    /// Longest time without progress while a body comes in.
    pub body_idle: Duration,
    /// Requests being accepted at once; beyond it: 503.
    pub in_flight: usize,
    /// Messages that may lead to one, 1 to 1000; default 8.
    pub hops: u32,
    /// Messages a minute from one agent to one recipient; 0: no limit; default 60.
    pub pair_rate: u32,
    /// How often the same may be said to the same recipient in one conversation; 0: no limit;
    /// default 5.
    pub repeats: u32,
}

/// `[metrics]`
#[derive(Debug, Clone)]
pub struct MetricsSettings {
    /// A listener of their own; `None`: `/metrics` on the main one, operator key.
    pub listen: Option<SocketAddr>,
}

/// `[telemetry]`
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// How log lines look.
    pub log_format: LogFormat,
    /// Debug lines too.
    pub debug: bool,
}

/// `telemetry.log_format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text in the predecessor's form, on a terminal, or as it was; JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}
