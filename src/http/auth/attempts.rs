//! Wrong keys by address: ten within a minute lock it out for five.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use actix_web::http::header::{self, HeaderMap};
use chrono::{DateTime, TimeDelta, Utc};

use super::LONGEST_DELAY;

/// Wrong keys that are forgiven within [`WINDOW`]; the next one locks.
const MAX_WRONG: u32 = 10;
const WINDOW: TimeDelta = TimeDelta::seconds(60);
const LOCK: TimeDelta = TimeDelta::minutes(5);

/// Addresses that are remembered at most; beyond it the stale ones are forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// How much longer each further wrong key from this machine itself is held back.
const LOOPBACK_STEP: Duration = Duration::from_millis(50);

/// What to do about a wrong key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// 401.
    Refuse,
    /// 401, a little later: this machine itself is never locked out.
    RefuseAfter(Duration),
    /// 429.
    Locked {
        /// When the lock ends, in seconds from now.
        retry_after_s: u64,
    },
}

/// The wrong keys that were tried lately.
#[derive(Debug, Default)]
pub struct Attempts(HashMap<IpAddr, Record>);

#[derive(Debug)]
struct Record {
    wrong: u32,
    since: DateTime<Utc>,
    locked_until: Option<DateTime<Utc>>,
}

impl Attempts {
    /// Notes a wrong key from an address.
    pub fn wrong_key(&mut self, address: IpAddr, now: DateTime<Utc>) -> Verdict {
        self.make_room(now);
        let record = self.0.entry(address).or_insert(Record {
            wrong: 0,
            since: now,
            locked_until: None,
        });
        if record.is_stale(now) {
            *record = Record {
                wrong: 0,
                since: now,
                locked_until: None,
            };
        }
        record.wrong = record.wrong.saturating_add(1);
        if address.is_loopback() {
            let delay = LOOPBACK_STEP
                .saturating_mul(record.wrong - 1)
                .min(LONGEST_DELAY);
            return if delay.is_zero() {
                Verdict::Refuse
            } else {
                Verdict::RefuseAfter(delay)
            };
        }
        record.verdict(now)
    }

    fn make_room(&mut self, now: DateTime<Utc>) {
        if self.0.len() >= MAX_ADDRESSES {
            self.0.retain(|_, record| !record.is_stale(now));
        }
        if self.0.len() >= MAX_ADDRESSES {
            self.0.clear();
        }
    }
}

/// Whose request it is: the peer, or whom a trusted proxy names, which is the last of
/// `X-Forwarded-For` that is not one too.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted_proxies.contains(&peer) {
        return peer;
    }
    let named = headers
        .get_all(header::X_FORWARDED_FOR)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|address| address.trim().parse::<IpAddr>().ok())
        .map(|address| address.to_canonical())
        .filter(|address| !trusted_proxies.contains(address))
        .last();
    named.unwrap_or(peer)
}

impl Record {
    fn is_stale(&self, now: DateTime<Utc>) -> bool {
        match self.locked_until {
            Some(until) => now >= until,
            None => now.signed_duration_since(self.since) >= WINDOW,
        }
    }

    fn verdict(&mut self, now: DateTime<Utc>) -> Verdict {
        if self.wrong <= MAX_WRONG {
            return Verdict::Refuse;
        }
        let until = *self.locked_until.get_or_insert(now + LOCK);
        let left = until.signed_duration_since(now).num_seconds().max(1);
        Verdict::Locked {
            retry_after_s: u64::try_from(left).unwrap_or(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_800_000_000 + second, 0).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_eleventh_wrong_key_within_a_minute_locks_for_five() {
        let mut attempts = Attempts::default();
        let client = address("192.0.2.1");
        for second in 0..10 {
            assert_eq!(attempts.wrong_key(client, at(second)), Verdict::Refuse);
        }
        assert_eq!(
            attempts.wrong_key(client, at(10)),
            Verdict::Locked { retry_after_s: 300 }
        );
        assert_eq!(
            attempts.wrong_key(client, at(100)),
            Verdict::Locked { retry_after_s: 210 }
        );
        assert_eq!(
            attempts.wrong_key(address("192.0.2.2"), at(100)),
            Verdict::Refuse
        );
        assert_eq!(attempts.wrong_key(client, at(310)), Verdict::Refuse);
    }

    #[test]
    fn wrong_keys_far_apart_never_lock() {
        let mut attempts = Attempts::default();
        for minute in 0..100 {
            let verdict = attempts.wrong_key(address("192.0.2.1"), at(minute * 61));
            assert_eq!(verdict, Verdict::Refuse);
        }
    }

    #[test]
    fn loopback_is_held_back_but_never_locked() {
        let mut attempts = Attempts::default();
        let verdicts: Vec<_> = (0..50)
            .map(|_| attempts.wrong_key(address("::1"), at(0)))
            .collect();
        assert_eq!(verdicts[0], Verdict::Refuse);
        assert_eq!(verdicts[1], Verdict::RefuseAfter(Duration::from_millis(50)));
        assert_eq!(verdicts[49], Verdict::RefuseAfter(LONGEST_DELAY));
    }

    #[test]
    fn the_memory_for_addresses_is_bounded() {
        let mut attempts = Attempts::default();
        for number in 0..30_000_u32 {
            attempts.wrong_key(IpAddr::from(number.to_be_bytes()), at(0));
        }
        assert!(attempts.0.len() <= MAX_ADDRESSES);
    }
}
