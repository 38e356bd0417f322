//! What peers show and sign with.

use std::collections::BTreeMap;

use postroom_actors::domain::party::PeerName;
use sha2::{Digest, Sha256};

use super::keys;
use crate::{
    settings::PeerSettings,
    webhook_signature::{SignedHeaders, SigningKey},
};

/// The secrets of all peers; those that are shown as digests, as with keys.
#[derive(Debug, Default)]
pub(super) struct PeerSecrets {
    shown: Vec<(sha2::digest::Output<Sha256>, PeerName)>,
    signers: BTreeMap<PeerName, Signer>,
    are_any: bool,
}

/// A peer that signs.
#[derive(Debug)]
pub(super) struct Signer {
    /// The current secret and the one before it; at least one.
    keys: Vec<SigningKey>,
    /// Whether it must sign.
    pub(super) must_sign: bool,
}

impl Signer {
    /// Whether a message is signed by it.
    pub(super) fn has_signed(&self, signed: &SignedHeaders<'_>, body: &[u8]) -> bool {
        signed.are_by(&self.keys, body)
    }
}

impl PeerSecrets {
    /// Those of a configuration.
    pub(super) fn new(peers: &BTreeMap<PeerName, PeerSettings>) -> Self {
        let shown = peers.iter().flat_map(|(name, peer)| {
            let digest = |text: &str| Sha256::digest(text.as_bytes());
            let secrets = peer.secrets_in();
            secrets.map(move |secret| (digest(secret.expose()), name.clone()))
        });
        let signers = peers.iter().filter(|(_, peer)| !peer.signing.is_empty());
        let signers = signers.map(|(name, peer)| {
            let signer = Signer {
                keys: peer.signing.clone(),
                must_sign: peer.require_signature,
            };
            (name.clone(), signer)
        });
        Self {
            shown: shown.collect(),
            signers: signers.collect(),
            are_any: peers.values().any(PeerSettings::has_credentials),
        }
    }

    /// Whether any peer can prove who it is.
    pub(super) const fn are_any(&self) -> bool {
        self.are_any
    }

    /// Whether any peer signs.
    pub(super) fn can_any_sign(&self) -> bool {
        !self.signers.is_empty()
    }

    /// Whose secret this is.
    pub(super) fn find(&self, secret: &str) -> Option<&PeerName> {
        keys::find(&self.shown, secret)
    }

    /// How a peer signs; `None` where it does not.
    pub(super) fn signer(&self, peer: &PeerName) -> Option<&Signer> {
        self.signers.get(peer)
    }

    /// Who has signed a message.
    pub(super) fn signer_of(&self, signed: &SignedHeaders<'_>, body: &[u8]) -> Option<&PeerName> {
        let mut signers = self.signers.iter();
        let found = signers.find(|(_, signer)| signer.has_signed(signed, body));
        found.map(|(name, _)| name)
    }
}
