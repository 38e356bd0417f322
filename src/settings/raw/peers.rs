//! `[peers]`, `[courier]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::settings::{Secret, duration::DurationValue};

/// `[peers.NAME]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawPeer {
    /// Its base URL; messages go to `<url>/message`. Empty: it only sends.
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
    /// Types that our agents are told they may answer with; empty: any.
    pub answer_types: Option<Vec<String>>,
    /// Whether its secret is good for `/send`, to itself only.
    pub secret_send: Option<bool>,
    /// Our agent that its messages go to; without it: the default one.
    pub to: Option<String>,
    /// Standard Webhooks secret, `whsec_…`: messages to it are signed, signed ones from it checked.
    pub signing_secret: Option<Secret>,
    /// File that holds `signing_secret`.
    pub signing_secret_file: Option<PathBuf>,
    /// The signing secret before this one, while both sides change to the new one.
    pub signing_secret_previous: Option<Secret>,
    /// File that holds `signing_secret_previous`.
    pub signing_secret_previous_file: Option<PathBuf>,
    /// Whether messages from it must be signed.
    pub require_signature: Option<bool>,
    /// Pauses before each try to deliver; without it: those of `[courier]`.
    #[schemars(length(min = 1))]
    pub schedule: Option<Vec<DurationValue>>,
    /// Whether it may have a private address.
    pub allow_private: Option<bool>,
    /// Deliveries on their way to it at once; 4 where nothing is said.
    #[schemars(range(min = 1, max = 256))]
    pub concurrency: Option<u16>,
    /// Longest time for one try; 15 s where nothing is said.
    pub timeout: Option<DurationValue>,
}

/// `[courier]`
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCourier {
    /// Hosts that the `reply_to` of a message may name; empty: none.
    pub reply_hosts: Option<Vec<String>>,
    /// Whether these may have private addresses.
    pub allow_private: Option<bool>,
    /// Pauses before each try to deliver.
    #[schemars(length(min = 1))]
    pub schedule: Option<Vec<DurationValue>>,
    /// Deliveries that may wait; more are refused.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub most_waiting: Option<u32>,
}
