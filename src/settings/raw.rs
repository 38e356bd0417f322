//! The configuration file as it is written: every key is known, typed, and may be absent.
//!
//! The doc comments here are the texts of the JSON schema and of the table in `config/README.md`.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Acknowledge, BackendAuth, Compact, LogFormat, OnDisconnect, Role, Secret,
    duration::DurationValue, size::SizeValue,
};

mod agents;
mod bridge;
mod peers;

pub use agents::{DeliveryKind, Permissions, QueueModeKind, RawAgent, RawAgents};
pub use bridge::{RawBridge, RawBridgeModel, RawUpstreamProxy};
pub use peers::{RawCourier, RawPeer};

/// The whole file.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// The listener and its operator key.
    #[serde(default)]
    pub server: RawServer,
    /// Further keys, by name.
    #[serde(default)]
    pub keys: BTreeMap<String, RawKey>,
    /// Who gets what.
    #[serde(default)]
    pub routing: RawRouting,
    /// The inbox folder and what is written there.
    #[serde(default)]
    pub mailbox: RawMailbox,
    /// The model list.
    #[serde(default)]
    pub models: RawModels,
    /// The backend that requests are relayed to.
    #[serde(default)]
    pub backend: RawBackend,
    /// Further backends, by name; same keys as `[backend]`.
    #[serde(default)]
    pub backends: BTreeMap<String, RawBackend>,
    /// Who makes embeddings.
    #[serde(default)]
    pub embeddings: RawEmbeddings,
    /// What is served.
    #[serde(default)]
    pub endpoints: RawEndpoints,
    /// Where accepted messages are kept.
    #[serde(default)]
    pub store: RawStore,
    /// Agent CLIs.
    #[serde(default)]
    pub agents: RawAgents,
    /// Other services that messages come from and go to, by name.
    #[serde(default)]
    pub peers: BTreeMap<String, RawPeer>,
    /// How messages to peers and to `reply_to` addresses are delivered.
    #[serde(default)]
    pub courier: RawCourier,
    /// The local side of the remote bridge.
    #[serde(default)]
    pub bridge: RawBridge,
    /// The remote side of the bridge.
    #[serde(default)]
    pub upstream_proxy: RawUpstreamProxy,
    /// Bounds on what comes in.
    #[serde(default)]
    pub limits: RawLimits,
    /// Where metrics are shown.
    #[serde(default)]
    pub metrics: RawMetrics,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: RawTelemetry,
}

/// `[server]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawServer {
    /// Name or address to listen on. Without any key it must be a loopback address.
    pub host: Option<String>,
    /// Port to listen on; 0 lets the system choose.
    pub port: Option<u16>,
    /// An operator key, at least 16 bytes; without any key, credentials are not asked for.
    pub key: Option<Secret>,
    /// File that holds `key`.
    pub key_file: Option<PathBuf>,
    /// HTTP worker threads; 0: one a core.
    #[schemars(range(min = 0, max = 1024))]
    pub workers: Option<u16>,
    /// What agents are told as `POSTROOM_URL`; empty: the address of the listener.
    pub public_url: Option<String>,
    /// Listen beyond loopback although there is no key.
    pub allow_unauthenticated: Option<bool>,
    /// Addresses whose `X-Forwarded-For` counts.
    pub trusted_proxies: Option<Vec<String>>,
    /// Further names of ours, without a port, for requests without a key to a loopback address.
    pub allowed_hosts: Option<Vec<String>>,
    /// Whose web pages may ask from a browser: `https://chat.example`.
    pub allowed_origins: Option<Vec<String>>,
    /// Certificate file (PEM, with those that signed it); with `tls_key`: TLS is spoken.
    pub tls_cert: Option<PathBuf>,
    /// Private key file (PEM).
    pub tls_key: Option<PathBuf>,
}

/// `[keys.NAME]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawKey {
    /// The key, at least 16 bytes.
    pub key: Option<Secret>,
    /// File that holds `key`.
    pub key_file: Option<PathBuf>,
    /// What its holder may do.
    pub role: Option<Role>,
    /// Whose key it is, with `role = "agent"`.
    pub agent: Option<String>,
    /// Where its background responses are told of once they have ended.
    pub webhook_url: Option<String>,
    /// What these events are signed with, `whsec_…`.
    pub webhook_secret: Option<Secret>,
    /// File that holds `webhook_secret`.
    pub webhook_secret_file: Option<PathBuf>,
    /// Whether `webhook_url` may have a private address.
    pub webhook_allow_private: Option<bool>,
}

/// `[routing]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRouting {
    /// Who gets a request that names nobody: `mailbox`, or the id of an agent.
    pub default: Option<String>,
}

/// `[mailbox]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMailbox {
    /// The folder that the agent watches; made where it is missing.
    pub inbox: Option<PathBuf>,
    /// What later messages of a context hold.
    pub compact: Option<Compact>,
    /// How long messages of one context are gathered into one file; 0: each has its own.
    pub batch_window: Option<DurationValue>,
    /// How long an inbox item waits for the reply of the backend.
    pub reply_wait: Option<DurationValue>,
    /// Who gets a sentence instead of an empty answer.
    pub acknowledge: Option<Acknowledge>,
    /// That sentence.
    pub acknowledgement: Option<String>,
    /// The key `instruction` of inbox files; empty: left out.
    pub instruction: Option<String>,
    /// The key of that name in inbox files; empty: left out.
    pub openclaw_message_cli_skill_path: Option<String>,
}

/// `[models]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModels {
    /// Show agents as models too.
    pub list_agents: Option<bool>,
    /// How long the list of the backend is kept; 0: asked for each time.
    pub cache: Option<DurationValue>,
}

/// `[backend]` and `[backends.NAME]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBackend {
    /// Base URL, http or https; may end in `/v1`. Empty: no backend.
    pub url: Option<String>,
    /// The key that the backend wants.
    pub api_key: Option<Secret>,
    /// File that holds `api_key`.
    pub api_key_file: Option<PathBuf>,
    /// How the key is shown.
    pub auth: Option<BackendAuth>,
    /// Model to ask for; empty: what the client asks for.
    pub model: Option<String>,
    /// System message put in front; empty: none.
    pub instruction: Option<String>,
    /// Longest time until the connection stands.
    pub connect_timeout: Option<DurationValue>,
    /// Longest time until the answer begins.
    pub first_byte_timeout: Option<DurationValue>,
    /// Longest pause between two pieces of the answer.
    pub idle_timeout: Option<DurationValue>,
    /// Longest time for the whole exchange.
    pub timeout: Option<DurationValue>,
    /// What becomes of a relay whose client has gone.
    pub on_disconnect: Option<OnDisconnect>,
    /// Name of the backend (under `[backends]`) that takes over.
    pub fallback: Option<String>,
}

/// `[embeddings]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEmbeddings {
    /// Base URL; empty: the backend.
    pub url: Option<String>,
    /// Model to ask for; empty: what the client asks for.
    pub model: Option<String>,
    /// The key that it wants.
    pub api_key: Option<Secret>,
    /// File that holds `api_key`.
    pub api_key_file: Option<PathBuf>,
}

/// `[endpoints]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEndpoints {
    /// Serve `POST /v1/chat/completions`; false: 404, here and below.
    pub chat_completions: Option<bool>,
    /// Serve `/v1/responses` and what is below it.
    pub responses: Option<bool>,
    /// Serve `/v1/models` and `/v1/models/{id}`.
    pub models: Option<bool>,
    /// Serve `POST /v1/embeddings`.
    pub embeddings: Option<bool>,
    /// Serve `/message`, `/send`, `/messages` and `/dead-letters`.
    pub messages: Option<bool>,
    /// Serve the dashboard at `/` and `/web`.
    pub dashboard: Option<bool>,
}

/// `[store]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawStore {
    /// What keeps the messages.
    pub kind: Option<StoreKind>,
    /// Folder of the store; empty: `store` in the home folder (predecessor form: `.postroom` beside the inbox).
    pub path: Option<PathBuf>,
    /// Address of the NATS servers, with `kind = "nats"`.
    pub url: Option<String>,
    /// Credentials file for NATS.
    pub credentials: Option<PathBuf>,
    /// Copies that NATS keeps: 1, 3 or 5.
    #[schemars(range(min = 1, max = 5))]
    pub replicas: Option<u16>,
    /// When NATS says that a message is safe.
    pub durability: Option<Durability>,
    /// How long messages that are done are kept.
    pub retention: Option<DurationValue>,
    /// Size of the store from which the oldest messages that are done go early; 0: none.
    pub max_size: Option<SizeValue>,
    /// Room that must be left on the disks of store and inbox: below it new work gets 503. 0: all may be used.
    pub min_free: Option<SizeValue>,
}

/// `[limits]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLimits {
    /// Largest request body, 1KiB to 64MiB.
    pub body: Option<SizeValue>,
    /// Largest body of an embeddings request, 1KiB to 64MiB.
    pub embeddings_body: Option<SizeValue>,
    /// Messages that may lead to one, each an answer to the one before.
    #[schemars(range(min = 1, max = 1000))]
    pub hops: Option<u16>,
    /// Messages a minute from one agent to one recipient; 0: no limit.
    #[schemars(range(min = 0, max = 100_000))]
    pub pair_rate: Option<u32>,
    /// How often the same may be said to the same recipient in one conversation; 0: no limit.
    #[schemars(range(min = 0, max = 100_000))]
    pub repeats: Option<u32>,
    /// Longest time without progress while a body comes in.
    pub body_idle: Option<DurationValue>,
    /// Requests that are being accepted at once; more get 503.
    #[schemars(range(min = 1, max = 100_000))]
    pub in_flight: Option<u32>,
}

/// `[metrics]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMetrics {
    /// Address and port of their own listener; empty: `/metrics` on the main one, with an operator key.
    pub listen: Option<String>,
}

/// `[telemetry]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTelemetry {
    /// Where traces go, by OTLP over HTTP: base URL of a collector; empty: nowhere.
    pub otlp_endpoint: Option<String>,
    /// Of a hundred traces begun here so many are sent; whoever sends a `traceparent` decides itself.
    #[schemars(range(min = 0, max = 100))]
    pub sampling_percent: Option<u16>,
    /// How log lines look.
    pub log_format: Option<LogFormat>,
    /// Debug lines too.
    pub debug: Option<bool>,
}

/// `store.kind`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// A file of our own.
    Sqlite,
    /// A NATS cluster; refused in this version.
    Nats,
}

/// `store.durability`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Once it is on disk.
    Synced,
    /// Once it is in memory.
    Relaxed,
}
