//! Who has logged in: in memory, bounded, forgotten at a restart.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::secret;
use crate::{
    http::auth::{Caller, KeyPrint, Keys},
    settings::Role,
};

/// Sessions at one time; the oldest goes for one more.
const MOST: usize = 256;

/// How long a session lasts.
pub(super) const LASTS: TimeDelta = TimeDelta::hours(12);

/// A token's digest: looking one up tells nothing about the others.
type Place = [u8; 32];

/// All who have logged in.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Place, Session>>);

/// Somebody who has logged in.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// Whose key it was.
    pub(super) caller: Caller,
    /// What forms of its pages hold.
    pub(super) csrf: Arc<str>,
    key: KeyPrint,
    ends_at: DateTime<Utc>,
}

impl Sessions {
    /// Begins a session for whoever has shown this key; answers its token, which is kept nowhere.
    pub(super) fn begin(&self, caller: Caller, key: &str, now: DateTime<Utc>) -> String {
        let token = secret();
        let session = Session {
            caller,
            csrf: secret().into(),
            key: KeyPrint::of(key),
            ends_at: now + LASTS,
        };
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.ends_at > now);
        if sessions.len() >= MOST {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.ends_at);
            if let Some(oldest) = oldest.map(|(place, _)| *place) {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(place(&token), session);
        token
    }

    /// The session of a token, for as long as its key is an operator's.
    pub(super) fn find(&self, token: &str, keys: &Keys, now: DateTime<Utc>) -> Option<Session> {
        let place = place(token);
        let mut sessions = self.lock();
        let session = sessions.get(&place)?;
        let holder = keys.holder(&session.key);
        if session.ends_at > now && holder.is_some_and(|holder| holder.may(Role::Operator)) {
            return Some(session.clone());
        }
        sessions.remove(&place);
        None
    }

    /// Ends the session of a token.
    pub(super) fn end(&self, token: &str) {
        self.lock().remove(&place(token));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(token: &str) -> Place {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::dashboard::tests::keys;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_900_000_000 + hour * 3600, 0).unwrap()
    }

    const KEY: &str = "the-operators-own-key";

    #[test]
    fn a_session_lasts_half_a_day_and_is_found_by_its_token_alone() {
        let keys = keys("[server]\nkey = \"the-operators-own-key\"\n");
        let sessions = Sessions::default();
        let token = sessions.begin(keys.find(KEY, at(0)).unwrap(), KEY, at(0));
        assert_eq!(token.len(), 64);
        let found = sessions.find(&token, &keys, at(11)).unwrap();
        assert_ne!(*found.csrf, *token);
        assert!(sessions.find(&token.to_uppercase(), &keys, at(1)).is_none());
        assert!(sessions.find(&token, &keys, at(12)).is_none());
        assert!(sessions.find(&token, &keys, at(1)).is_none(), "it is gone");
    }

    #[test]
    fn a_session_ends_by_logout_and_with_its_key() {
        let before = keys("[server]\nkey = \"the-operators-own-key\"\n");
        let sessions = Sessions::default();
        let begin = || sessions.begin(before.find(KEY, at(0)).unwrap(), KEY, at(0));
        let (first, second) = (begin(), begin());
        sessions.end(&first);
        assert!(sessions.find(&first, &before, at(0)).is_none());
        assert!(sessions.find(&second, &before, at(0)).is_some());
        let other = keys("[server]\nkey = \"another-key-of-the-operator\"\n");
        assert!(sessions.find(&second, &other, at(0)).is_none());
    }

    #[test]
    fn there_are_only_so_many_and_the_oldest_goes() {
        let keys = keys("[server]\nkey = \"the-operators-own-key\"\n");
        let sessions = Sessions::default();
        let caller = keys.find(KEY, at(0)).unwrap();
        let oldest = sessions.begin(caller.clone(), KEY, at(0));
        let begin = |_| sessions.begin(caller.clone(), KEY, at(1));
        let tokens: Vec<String> = (0..MOST).map(begin).collect();
        assert!(sessions.find(&oldest, &keys, at(1)).is_none());
        for token in &tokens {
            assert!(sessions.find(token, &keys, at(1)).is_some());
        }
    }
}
