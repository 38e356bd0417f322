//! `[peers]` and `[courier]` as they are meant.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use postroom_actors::domain::{
    ids::AgentId,
    party::PeerName,
    peer::{PeerProfile, Peers},
};

use super::{Secret, Settings};
use crate::webhook_signature::SigningKey;

/// `[peers.NAME]`
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// Its base URL, without a slash at its end; `None`: it only sends.
    pub url: Option<String>,
    /// What it shows to us: `secret_in`, or else `secret`.
    pub secret_in: Option<Secret>,
    /// What we show to it: `secret_out`, or else `secret`.
    pub secret_out: Option<Secret>,
    /// The types that it takes from us; empty: any.
    pub types: Vec<String>,
    /// The types that our agents are told they may answer with; empty: any.
    pub answer_types: Vec<String>,
    /// Whether its secret is good for `/send`, to itself only; then it has one. Default: no.
    pub secret_send: bool,
    /// Our agent that its messages go to; `None`: the default one.
    pub to: Option<AgentId>,
    /// `signing_secret`, then `signing_secret_previous`; empty: nothing is signed.
    pub signing: Vec<SigningKey>,
    /// Whether its messages must be signed; then `signing` is not empty. Default: no.
    pub require_signature: bool,
    /// Pauses before each try to deliver; at least one. Default: those of [`CourierSettings`].
    pub schedule: Arc<[Duration]>,
    /// Whether it may have an address that is not of the open internet. Default: no.
    pub allow_private: bool,
    /// Deliveries on their way to it at once, 1 to 256; default 4.
    pub concurrency: usize,
    /// One try, longer than 0; default 15 s.
    pub timeout: Duration,
}

/// `[courier]`
#[derive(Debug, Clone)]
pub struct CourierSettings {
    /// The hosts that a `reply_to` may name, in lower case; none by default.
    pub reply_hosts: Vec<String>,
    /// Whether these may have addresses that are not of the open internet. Default: no.
    pub allow_private: bool,
    /// Pauses before each try to deliver; at least one. Default: those of Standard Webhooks.
    pub schedule: Arc<[Duration]>,
    /// Deliveries that may wait, at least 1; default 100,000.
    pub most_waiting: usize,
}

impl PeerSettings {
    /// What an agent may show on `/send` to write to this peer: what we show to it, or, where that
    /// is nothing, what it shows to us. `None` unless `secret_send` is set.
    pub fn prompt_secret(&self) -> Option<&Secret> {
        let secret = self.secret_out.as_ref().or(self.secret_in.as_ref());
        secret.filter(|_| self.secret_send)
    }

    /// Everything that names this peer when it is shown to us.
    pub fn secrets_in(&self) -> impl Iterator<Item = &Secret> {
        let own = self.secret_in.as_ref();
        let prompt = self.prompt_secret().filter(|secret| Some(*secret) != own);
        own.into_iter().chain(prompt)
    }

    /// Whether it can prove who it is.
    pub fn has_credentials(&self) -> bool {
        self.secret_in.is_some() || self.secret_send || !self.signing.is_empty()
    }
}

impl Settings {
    /// The peers as the core knows them.
    pub fn peer_profiles(&self) -> Peers {
        Peers::new(profiles(&self.peers))
    }
}

fn profiles(
    peers: &BTreeMap<PeerName, PeerSettings>,
) -> impl Iterator<Item = PeerProfile> + use<'_> {
    peers.iter().map(|(name, peer)| PeerProfile {
        name: name.clone(),
        types: peer.types.clone(),
        answer_types: peer.answer_types.clone(),
        to: peer.to.clone(),
        is_reachable: peer.url.is_some(),
        schedule: Arc::clone(&peer.schedule),
        concurrency: peer.concurrency,
        prompt_secret: peer
            .prompt_secret()
            .map(|secret| Arc::clone(secret.expose())),
    })
}
