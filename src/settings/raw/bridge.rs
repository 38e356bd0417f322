//! `[bridge]` and `[upstream_proxy]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::Secret;

/// `[bridge]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawBridge {
    /// Port of the local side.
    pub port: Option<u16>,
    /// Address of the remote side.
    pub remote_url: Option<String>,
    /// Token that the remote side wants.
    pub token: Option<Secret>,
    /// File that holds `token`.
    pub token_file: Option<PathBuf>,
    /// Models that are offered.
    pub models: Option<Vec<RawBridgeModel>>,
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
    /// Address to listen on.
    pub host: Option<String>,
    /// Port to listen on.
    pub port: Option<u16>,
    /// Token that clients must show.
    pub token: Option<Secret>,
    /// File that holds `token`.
    pub token_file: Option<PathBuf>,
    /// Where requests go.
    pub base_url: Option<String>,
    /// The key for it.
    pub api_key: Option<Secret>,
    /// File that holds `api_key`.
    pub api_key_file: Option<PathBuf>,
}
