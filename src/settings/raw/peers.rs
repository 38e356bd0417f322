//! `[peers]`: known and typed, so that a file for the whole product is read.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{Secret, duration::DurationValue};

/// `[peers.NAME]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPeer {
    /// Its base URL; messages go to `<url>/message`.
    pub url: Option<String>,
    /// Its `X-Shared-Secret`, both ways.
    pub secret: Option<Secret>,
    /// File that holds `secret`.
    pub secret_file: Option<PathBuf>,
    /// What we show, where it differs.
    pub secret_out: Option<Secret>,
    /// File that holds `secret_out`.
    pub secret_out_file: Option<PathBuf>,
    /// What it shows, where it differs.
    pub secret_in: Option<Secret>,
    /// File that holds `secret_in`.
    pub secret_in_file: Option<PathBuf>,
    /// Message types that it takes; empty: any.
    pub types: Option<Vec<String>>,
    /// Types that our agents are told they may answer with.
    pub answer_types: Option<Vec<String>>,
    /// Whether its secret is good for `/send`, to itself only.
    pub secret_send: Option<bool>,
    /// Our agent that its messages go to.
    pub to: Option<String>,
    /// Standard Webhooks secret, `whsec_…`.
    pub signing_secret: Option<Secret>,
    /// File that holds `signing_secret`.
    pub signing_secret_file: Option<PathBuf>,
    /// Times between attempts to deliver.
    #[schemars(length(min = 1))]
    pub schedule: Option<Vec<DurationValue>>,
    /// Whether it may have a private address.
    pub allow_private: Option<bool>,
}
