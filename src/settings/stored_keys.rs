//! `<home>/keys.json`: keys that a command made, kept as digests.
//!
//! Only its owner may read it. Every change reads the file again, under a lock, so that two
//! commands, or a command and the service, never undo each other.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use postroom_actors::domain::ids::AgentId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::Role;
use crate::runtime_file::{fresh_key, write_private};

#[cfg(test)]
mod tests;

/// The file's name in the home folder.
pub const NAME: &str = "keys.json";

/// Locked while the file is changed.
const LOCK: &str = "keys.lock";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// Names that the service itself gives to keys.
const TAKEN: [&str; 2] = ["key", "run"];

/// A key that a command made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredKey {
    /// Its name.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// Whose it is, with [`Role::Agent`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "agent_id"
    )]
    pub agent: Option<AgentId>,
    /// The key's digest.
    pub sha256: KeyDigest,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The SHA-256 of a key. A key has 256 random bits: its digest gives nothing away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyDigest(…)")
    }
}

impl Serialize for KeyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        match base16ct::mixed::decode(text.as_bytes(), &mut bytes) {
            Ok(whole) if whole.len() == 32 => Ok(Self(bytes)),
            _ => Err(D::Error::custom("expected the 64 hex digits of a SHA-256")),
        }
    }
}

fn agent_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<AgentId>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| AgentId::parse(&text).map_err(D::Error::custom))
        .transpose()
}

/// What somebody wants a key for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its name: 1 to 64 of `a-z`, `0-9`, `_` and `-`, beginning with a letter or digit.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// Whose it is; with [`Role::Agent`], and only then.
    pub agent: Option<AgentId>,
}

/// A key cannot be made so.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{text}")]
pub struct InvalidKey {
    /// The part at fault: `name`, `role` or `agent`.
    pub part: &'static str,
    /// What is wrong, and what is allowed.
    pub text: String,
}

impl NewKey {
    /// Checks what somebody wrote.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn checked(name: &str, role: Role, agent: Option<&str>) -> Result<Self, InvalidKey> {
        let wrong = |part, text: &str| InvalidKey {
            part,
            text: text.to_owned(),
        };
        // Names of keys and ids of agents are made of the same letters.
        if AgentId::parse(name).is_err() {
            let allowed = "a key's name is 1 to 64 of a-z, 0-9, `_` and `-`, beginning with a letter or digit";
            return Err(wrong("name", allowed));
        }
        if TAKEN.contains(&name) {
            let text = format!("the name `{name}` is the service's own; choose another");
            return Err(wrong("name", &text));
        }
        let agent = match (role, agent) {
            (Role::Agent, None) => {
                let text = "a key with the role `agent` needs the id of its agent (`--agent ID`)";
                return Err(wrong("agent", text));
            }
            (Role::Client | Role::Operator, Some(_)) => {
                let text = "only a key with the role `agent` is for an agent";
                return Err(wrong("agent", text));
            }
            (_, agent) => agent
                .map(|id| AgentId::parse(id).map_err(|error| wrong("agent", &error.to_string())))
                .transpose()?,
        };
        Ok(Self {
            name: name.to_owned(),
            role,
            agent,
        })
    }

    /// Makes the key; the text is shown once, and only its digest is kept.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn make(self, now: DateTime<Utc>) -> io::Result<(StoredKey, String)> {
        let key = fresh_key()?;
        let stored = StoredKey {
            name: self.name,
            role: self.role,
            agent: self.agent,
            sha256: KeyDigest::of(&key),
            created_at: now,
        };
        Ok((stored, key))
    }
}

/// The file cannot be used, or not be changed in this way.
#[derive(Debug, Error)]
pub enum StoredKeysError {
    /// Reading failed.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error("`{}` is not understood ({source}); put a copy of it back, or remove it and make the keys anew", path.display())]
    Content {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Writing failed.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is one of that name.
    #[error("there is a key `{0}` already; revoke it first, or choose another name")]
    Exists(String),
    /// There is none of that name.
    #[error("there is no key `{0}`; see `postroom keys list`")]
    Unknown(String),
    /// Without it everybody would be let in, from anywhere.
    #[error(
        "`{0}` is the last key, and the service is reached from outside: make another one first"
    )]
    Last(String),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    keys: Vec<StoredKey>,
}

/// The keys of a home folder, oldest first; none where there is no file.
///
/// # Errors
/// [`StoredKeysError::Read`] or [`StoredKeysError::Content`].
pub fn read(home: &Path) -> Result<Vec<StoredKey>, StoredKeysError> {
    let path = home.join(NAME);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(StoredKeysError::Read { path, source }),
    };
    let mut text = Vec::new();
    if let Err(source) = file.take(LARGEST).read_to_end(&mut text) {
        return Err(StoredKeysError::Read { path, source });
    }
    match serde_json::from_slice::<KeyFile>(&text) {
        Ok(file) => Ok(file.keys),
        Err(source) => Err(StoredKeysError::Content { path, source }),
    }
}

/// Adds a key, and gives all that there are now.
///
/// # Errors
/// [`StoredKeysError::Exists`], or the file cannot be used.
pub fn add(home: &Path, key: StoredKey) -> Result<Vec<StoredKey>, StoredKeysError> {
    change(home, |keys| {
        if keys.iter().any(|other| other.name == key.name) {
            return Err(StoredKeysError::Exists(key.name));
        }
        keys.push(key);
        Ok(())
    })
}

/// Removes a key, and gives all that are left; the last one only where `may_be_last`.
///
/// # Errors
/// [`StoredKeysError::Unknown`], [`StoredKeysError::Last`], or the file cannot be used.
pub fn remove(
    home: &Path,
    name: &str,
    may_be_last: bool,
) -> Result<Vec<StoredKey>, StoredKeysError> {
    change(home, |keys| {
        let before = keys.len();
        keys.retain(|key| key.name != name);
        match (keys.len() < before, keys.is_empty() && !may_be_last) {
            (false, _) => Err(StoredKeysError::Unknown(name.to_owned())),
            (true, true) => Err(StoredKeysError::Last(name.to_owned())),
            (true, false) => Ok(()),
        }
    })
}

fn change(
    home: &Path,
    change: impl FnOnce(&mut Vec<StoredKey>) -> Result<(), StoredKeysError>,
) -> Result<Vec<StoredKey>, StoredKeysError> {
    let path = home.join(NAME);
    let unwritten = |source| StoredKeysError::Write {
        path: path.clone(),
        source,
    };
    let _lock = locked(home).map_err(unwritten)?;
    let mut keys = read(home)?;
    change(&mut keys)?;
    let file = KeyFile { keys };
    let text = serde_json::to_vec_pretty(&file).map_err(|error| unwritten(error.into()))?;
    write_private(&path, &text).map_err(unwritten)?;
    File::open(home)
        .and_then(|folder| folder.sync_all())
        .map_err(unwritten)?;
    Ok(file.keys)
}

/// Makes the home folder where there is none, and waits until nobody else changes the keys.
fn locked(home: &Path) -> io::Result<File> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home)?;
    let lock = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(home.join(LOCK))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(lock)
}
