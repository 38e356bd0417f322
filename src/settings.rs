//! The validated configuration. Where its values come from is the business of `settings/`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use postroom_actors::domain::{ids::AgentId, party::PeerName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod agents;
mod backend;
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
mod secret;
mod secret_files;
mod shape;
pub mod show;
pub mod size;
pub mod stored_keys;
mod toml_file;
mod validate;

#[cfg(test)]
mod tests;

pub use agents::{AgentSettings, AgentsSettings};
pub use backend::{BackendAuth, BackendSettings, OnDisconnect};
pub use bridge::{BridgeSettings, UpstreamProxySettings};
pub use flags::{Flags, MoreFlag};
pub use load::{Loaded, Sources, load, load_with_sources};
pub use locate::home;
pub use peers::{CourierSettings, PeerSettings};
pub use problem::{ConfigError, Problem};
pub use secret::Secret;
pub use secret_files::open_to_others;
pub use stored_keys::StoredKey;

use crate::webhook_signature::SigningKey;

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
    /// Keys that a command made; none of them has the name of a configured one.
    pub stored_keys: Vec<StoredKey>,
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
    /// Who makes embeddings; `None`: nobody.
    pub embeddings: Option<BackendSettings>,
    /// What is served.
    pub endpoints: EndpointsSettings,
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
    /// Whether any key is known, so that one is asked for.
    pub fn has_keys(&self) -> bool {
        self.server.key.is_some() || !self.keys.is_empty() || !self.stored_keys.is_empty()
    }

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
    /// Further names of ours, for requests without a key.
    pub allowed_hosts: Vec<String>,
    /// Whose web pages may ask, as `scheme://host:port`.
    pub allowed_origins: Vec<String>,
    /// Certificate and key; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
}

impl ServerSettings {
    /// Whether it is reached from outside of this machine, and may not be without a key.
    pub fn must_ask_for_keys(&self) -> bool {
        !self.is_loopback() && !self.allow_unauthenticated
    }

    /// Whether only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        validate::is_loopback(&self.host)
    }
}

/// `server.tls_cert` and `server.tls_key`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and those that signed it, PEM; absolute.
    pub cert: PathBuf,
    /// Its private key, PEM; absolute.
    pub key: PathBuf,
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
    /// Where its holder hears of background responses that have ended.
    pub webhook: Option<WebhookSettings>,
}

/// `keys.NAME.webhook_…`
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Where events are posted.
    pub url: Arc<str>,
    /// What they are signed with.
    pub signing: SigningKey,
    /// Whether the URL may have an address that is not of the open internet.
    pub allow_private: bool,
}

/// What the holder of a key may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The `OpenAI` surface and its own messages.
    Client,
    /// An agent's own inbox, and `/send`.
    Agent,
    /// Everything.
    Operator,
}

impl Role {
    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }

    /// Reads how it is written.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Client, Self::Agent, Self::Operator];
        all.into_iter().find(|role| role.name() == text)
    }
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

/// `[endpoints]`: which parts of the surface are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent switches, none a state"
)]
pub struct EndpointsSettings {
    /// `POST /v1/chat/completions`
    pub chat_completions: bool,
    /// `/v1/responses…`
    pub responses: bool,
    /// `/v1/models…`
    pub models: bool,
    /// `POST /v1/embeddings`
    pub embeddings: bool,
    /// `/message`, `/send`, `/messages…`, `/dead-letters…`
    pub messages: bool,
    /// `/` and `/web…`
    pub dashboard: bool,
}

/// `[store]`
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The store's folder, absolute.
    pub path: PathBuf,
    /// How long done messages are kept.
    pub retention: Duration,
    /// Size in bytes from which the oldest done messages go early; `None`: none.
    pub max_size: Option<u64>,
    /// Bytes that must be left on the disk for new messages to be taken; 0: all may be used.
    pub min_free: u64,
}

/// `[limits]`
#[derive(Debug, Clone, Copy)]
pub struct LimitsSettings {
    /// Largest request body, in bytes.
    pub body: u64,
    /// Largest body of an embeddings request, in bytes.
    pub embeddings_body: u64,
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
    /// Base URL of the collector that traces go to; `None`: nowhere.
    pub otlp_endpoint: Option<String>,
    /// Of a hundred traces begun here so many are sent, 0 to 100.
    pub sampling_percent: u16,
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
