//! `[bridge]` and `[upstream_proxy]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{Secret, duration::DurationValue};

/// `[bridge]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBridge {
    /// Address of the local side. Without `local_token` it must be a loopback address.
    pub host: Option<String>,
    /// Port of the local side; 0 lets the system choose.
    pub port: Option<u16>,
    /// Base URL of the remote side, with or without `/v1`. Empty: no bridge.
    pub remote_url: Option<String>,
    /// Token that the remote side wants as `X-Proxy-Token`.
    pub token: Option<Secret>,
    /// File that holds `token`.
    pub token_file: Option<PathBuf>,
    /// Models that are offered where the remote side has no list.
    pub models: Option<Vec<RawBridgeModel>>,
    /// Token that clients must show as `Authorization: Bearer`; without one any will do.
    pub local_token: Option<Secret>,
    /// File that holds `local_token`.
    pub local_token_file: Option<PathBuf>,
    /// Speak plain HTTP also to a remote side that is not on this machine.
    pub allow_insecure: Option<bool>,
    /// Names besides loopback ones that clients may use for the bridge in `Host`.
    pub allowed_hosts: Option<Vec<String>>,
    /// Web pages besides those of this machine that may ask, as in `Origin`.
    pub allowed_origins: Option<Vec<String>>,
    /// Longest time until the connection stands.
    pub connect_timeout: Option<DurationValue>,
    /// Longest time until the answer begins.
    pub first_byte_timeout: Option<DurationValue>,
    /// Longest pause between two pieces of the answer.
    pub idle_timeout: Option<DurationValue>,
}

/// One entry of `bridge.models`.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBridgeModel {
    /// Id of the model.
    pub id: Option<String>,
    /// Name that people see.
    pub name: Option<String>,
}

/// `[upstream_proxy]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawUpstreamProxy {
    /// Address to listen on. Without `token` it must be a loopback address.
    pub host: Option<String>,
    /// Port to listen on; 0 lets the system choose.
    pub port: Option<u16>,
    /// Token that clients must show, as `X-Proxy-Token` or `Authorization: Bearer`.
    pub token: Option<Secret>,
    /// File that holds `token`.
    pub token_file: Option<PathBuf>,
    /// Base URL of the API, with or without `/v1`.
    pub base_url: Option<String>,
    /// The key for it.
    pub api_key: Option<Secret>,
    /// File that holds `api_key`.
    pub api_key_file: Option<PathBuf>,
    /// Speak plain HTTP also to an API that is not on this machine.
    pub allow_insecure: Option<bool>,
    /// Requests of one token at once, streams included; more get 503.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_in_flight: Option<u32>,
    /// Longest time until the connection stands.
    pub connect_timeout: Option<DurationValue>,
    /// Longest time until the answer begins.
    pub first_byte_timeout: Option<DurationValue>,
    /// Longest pause between two pieces of the answer.
    pub idle_timeout: Option<DurationValue>,
}
