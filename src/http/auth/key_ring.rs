//! All keys that are taken: those of the configuration, and those that a command made, which come
//! and go while the service runs.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Utc};
use postroom_actors::domain::ids::AgentId;
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    Caller,
    keys::{self, Known},
    peer_secrets::PeerSecrets,
};
use crate::settings::{
    Role, Settings, StoredKey,
    stored_keys::{self, StoredKeysError},
};

/// All keys, as digests: comparing these tells nothing about the keys.
#[derive(Debug, Default)]
pub struct Keys {
    configured: Known<Arc<Holder>>,
    /// The key of this run; it does not close the door to others.
    run: Known<Caller>,
    stored: Arc<Stored>,
    peers: PeerSecrets,
    home: PathBuf,
    /// There must be a key at any time: the service is reached from outside.
    must_ask: bool,
}

/// Those that a command made.
#[derive(Debug, Default)]
struct Stored {
    known: RwLock<Known<Arc<Holder>>>,
    /// Held from the change of the file until it is known here.
    changing: Mutex<()>,
}

/// Whoever holds a key.
#[derive(Debug)]
struct Holder {
    caller: Caller,
    source: Source,
    created_at: Option<DateTime<Utc>>,
    /// In milliseconds since 1970; 0: not since the start.
    last_used: AtomicI64,
}

/// The digest of a key that was right once: tells whether it still is.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPrint(sha2::digest::Output<Sha256>);

impl KeyPrint {
    /// Of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()))
    }
}

impl std::fmt::Debug for KeyPrint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyPrint(…)")
    }
}

/// Where a key comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The configuration.
    Config,
    /// `postroom keys add`, or `POST /keys`.
    Command,
}

/// What is told of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// Its name; `key` for `server.key`.
    pub name: Option<Arc<str>>,
    /// What its holder may do.
    pub role: Option<Role>,
    /// Whose it is, with the role `agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Where it comes from.
    pub source: Source,
    /// When a command made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
    /// When it was shown last, since the start of the service.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The keys stay as they were.
#[derive(Debug, Error)]
pub enum KeyChangeError {
    /// It is not a command's to change.
    #[error("the key `{0}` is in the configuration; change it there")]
    Configured(String),
    /// The file of keys does not allow it.
    #[error(transparent)]
    File(#[from] StoredKeysError),
    /// The service ends.
    #[error("the service is stopping")]
    Interrupted,
}

impl Holder {
    fn new(caller: Caller, source: Source, created_at: Option<DateTime<Utc>>) -> Arc<Self> {
        Arc::new(Self {
            caller,
            source,
            created_at,
            last_used: AtomicI64::new(0),
        })
    }

    fn view(&self) -> KeyView {
        let last_used = self.last_used.load(Ordering::Relaxed);
        let last_used = (last_used != 0).then(|| DateTime::from_timestamp_millis(last_used));
        KeyView {
            name: self.caller.name().cloned(),
            role: self.caller.role(),
            agent: self.caller.agent().cloned(),
            source: self.source,
            created_at: self.created_at,
            last_used_at: last_used.flatten(),
        }
    }
}

impl Keys {
    /// The keys of a configuration and of its home folder, with the secrets of its peers, and an
    /// operator's key that was made for this run of the service. The latter alone does not close
    /// the door to others.
    pub fn new(settings: &Settings, run_key: Option<&str>) -> Self {
        let digest = |key: &str| Sha256::digest(key.as_bytes());
        let main = settings.server.key.iter().map(|key| {
            let holder = Holder::new(Caller::operator("key"), Source::Config, None);
            (digest(key.expose()), holder)
        });
        let named = settings.keys.iter().map(|(name, key)| {
            let caller = Caller::of_key(name, key.role, key.agent.clone());
            let holder = Holder::new(caller, Source::Config, None);
            (digest(key.key.expose()), holder)
        });
        let run = run_key.map(|key| (digest(key), Caller::operator("run")));
        Self {
            configured: main.chain(named).collect(),
            run: run.into_iter().collect(),
            stored: Stored::new(&settings.stored_keys),
            peers: PeerSecrets::new(&settings.peers),
            home: settings.home.clone(),
            must_ask: settings.server.must_ask_for_keys(),
        }
    }

    /// What peers show, and what they sign with.
    pub(super) const fn peers(&self) -> &PeerSecrets {
        &self.peers
    }

    /// Whether no key is known: then everybody is let in.
    pub fn is_empty(&self) -> bool {
        self.configured.is_empty() && self.stored.read().is_empty()
    }

    /// Whose key this is; notes that it was shown.
    pub fn find(&self, key: &str, now: DateTime<Utc>) -> Option<Caller> {
        // Each list is looked through whatever the others say.
        let run = keys::find(&self.run, key).cloned();
        let configured = keys::find(&self.configured, key).cloned();
        let stored = keys::find(&self.stored.read(), key).cloned();
        let holder = configured.or(stored);
        if let Some(holder) = &holder {
            holder
                .last_used
                .store(now.timestamp_millis(), Ordering::Relaxed);
        }
        run.or_else(|| holder.map(|holder| holder.caller.clone()))
    }

    /// Whose key this is, if it is still one. It does not count as shown.
    pub fn holder(&self, print: &KeyPrint) -> Option<Caller> {
        let stored = self.stored.read();
        let holders = self.configured.iter().chain(stored.iter());
        let mut holders = holders.map(|(digest, holder)| (digest, &holder.caller));
        let run = self.run.iter().map(|(digest, caller)| (digest, caller));
        let found = holders.find(|(digest, _)| **digest == print.0);
        let found = found.or_else(|| run.into_iter().find(|(digest, _)| **digest == print.0));
        found.map(|(_, caller)| caller.clone())
    }

    /// All keys but that of this run; first those of the configuration.
    pub fn all(&self) -> Vec<KeyView> {
        let stored = self.stored.read();
        let holders = self.configured.iter().chain(stored.iter());
        holders.map(|(_, holder)| holder.view()).collect()
    }

    /// Takes a key up, after it is on disk.
    ///
    /// # Errors
    /// [`KeyChangeError`].
    pub async fn add(&self, key: StoredKey) -> Result<(), KeyChangeError> {
        if self.is_configured(&key.name) {
            return Err(StoredKeysError::Exists(key.name).into());
        }
        let home = self.home.clone();
        self.change(move || stored_keys::add(&home, key)).await
    }

    /// Takes a key no more, after it is gone from disk.
    ///
    /// # Errors
    /// [`KeyChangeError`].
    pub async fn revoke(&self, name: &str) -> Result<(), KeyChangeError> {
        if self.is_configured(name) {
            return Err(KeyChangeError::Configured(name.to_owned()));
        }
        let may_be_last = !self.must_ask || !self.configured.is_empty();
        let (home, name) = (self.home.clone(), name.to_owned());
        self.change(move || stored_keys::remove(&home, &name, may_be_last))
            .await
    }

    /// Goes on where the client goes away meanwhile: what is on disk also holds.
    async fn change(
        &self,
        change: impl FnOnce() -> Result<Vec<StoredKey>, StoredKeysError> + Send + 'static,
    ) -> Result<(), KeyChangeError> {
        let stored = Arc::clone(&self.stored);
        let names: Vec<_> = self
            .configured
            .iter()
            .map(|(_, holder)| holder.caller.name().cloned())
            .collect();
        let changed = tokio::task::spawn_blocking(move || {
            let _changing = stored
                .changing
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let mut keys = change()?;
            keys.retain(|key| !names.iter().flatten().any(|name| **name == key.name));
            stored.take_up(&keys);
            Ok(())
        });
        changed
            .await
            .map_err(|_stopped| KeyChangeError::Interrupted)?
    }

    fn is_configured(&self, name: &str) -> bool {
        let is_it = |holder: &Holder| holder.caller.name().is_some_and(|own| &**own == name);
        self.configured.iter().any(|(_, holder)| is_it(holder))
    }
}

impl Stored {
    fn new(keys: &[StoredKey]) -> Arc<Self> {
        Arc::new(Self {
            known: RwLock::new(keys.iter().map(known).collect()),
            changing: Mutex::default(),
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, Known<Arc<Holder>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a key that stays is kept.
    fn take_up(&self, keys: &[StoredKey]) {
        let mut stored = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let next = keys.iter().map(|key| {
            let (digest, holder) = known(key);
            let old = stored.iter().find(|(old, _)| *old == digest);
            let old = old.map(|(_, holder)| Arc::clone(holder));
            (digest, old.unwrap_or(holder))
        });
        let next = next.collect();
        *stored = next;
    }
}

fn known(key: &StoredKey) -> (sha2::digest::Output<Sha256>, Arc<Holder>) {
    let caller = Caller::of_key(&key.name, key.role, key.agent.clone());
    let holder = Holder::new(caller, Source::Command, Some(key.created_at));
    ((*key.sha256.bytes()).into(), holder)
}
