//! The configured keys, compared in constant time.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::settings::{Role, Settings};

/// Whoever holds a key that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The key's name in the configuration; `key` for `server.key`.
    pub name: String,
    role: Role,
}

impl Caller {
    /// Whoever asks, where no key is configured.
    pub fn anyone() -> Self {
        Self {
            name: "anyone".to_owned(),
            role: Role::Operator,
        }
    }

    /// Whether the caller may do what `role` is needed for.
    pub fn may(&self, role: Role) -> bool {
        self.role == Role::Operator || self.role == role
    }
}

/// How a role is written in the configuration.
pub(super) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Agent => "agent",
        Role::Operator => "operator",
    }
}

/// All configured keys, as digests: comparing these tells nothing about the keys.
#[derive(Debug, Default)]
pub struct Keys(Vec<(sha2::digest::Output<Sha256>, Caller)>);

impl Keys {
    /// The keys of a configuration.
    pub fn new(settings: &Settings) -> Self {
        let main = settings
            .server
            .key
            .iter()
            .map(|key| ("key", key, Role::Operator));
        let named = settings
            .keys
            .iter()
            .map(|(name, key)| (name.as_str(), &key.key, key.role));
        let keys = main.chain(named).map(|(name, key, role)| {
            (
                Sha256::digest(key.expose().as_bytes()),
                Caller {
                    name: name.to_owned(),
                    role,
                },
            )
        });
        Self(keys.collect())
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose key this is. Looks at every key, so that time does not tell which one was near.
    pub fn find(&self, key: &str) -> Option<Caller> {
        let digest = Sha256::digest(key.as_bytes());
        let mut found = None;
        for (known, caller) in &self.0 {
            if bool::from(known.as_slice().ct_eq(digest.as_slice())) {
                found = Some(caller);
            }
        }
        found.cloned()
    }
}
