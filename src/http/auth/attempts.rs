//! Wrong keys by address: ten within a minute lock it out for five.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use actix_web::http::header::{self, HeaderMap};
use chrono::{DateTime, TimeDelta, Utc};

use super::LONGEST_DELAY;

/// Wrong keys that are forgiven within [`WINDOW`]; the next one locks.
const MAX_WRONG: usize = 10;
const WINDOW: TimeDelta = TimeDelta::seconds(60);
const LOCK: TimeDelta = TimeDelta::minutes(5);

/// Addresses that are remembered at most; beyond it the stale ones are forgotten, then those whose
/// last wrong key is the longest ago.
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

#[derive(Debug, Default)]
struct Record {
    /// When the last wrong keys came, oldest first; at most [`MAX_WRONG`] and one more.
    wrong: VecDeque<DateTime<Utc>>,
    locked_until: Option<DateTime<Utc>>,
}

impl Attempts {
    /// Notes a wrong key from an address.
    pub fn wrong_key(&mut self, address: IpAddr, now: DateTime<Utc>) -> Verdict {
        self.make_room(now);
        let record = self.0.entry(network(address)).or_default();
        record.note(now);
        if !address.is_loopback() {
            return record.verdict(now);
        }
        let before = u32::try_from(record.wrong.len() - 1).unwrap_or(u32::MAX);
        let delay = LOOPBACK_STEP.saturating_mul(before).min(LONGEST_DELAY);
        if delay.is_zero() {
            Verdict::Refuse
        } else {
            Verdict::RefuseAfter(delay)
        }
    }

    fn make_room(&mut self, now: DateTime<Utc>) {
        if self.0.len() < MAX_ADDRESSES {
            return;
        }
        self.0.retain(|_, record| !record.is_stale(now));
        if self.0.len() < MAX_ADDRESSES {
            return;
        }
        let mut last: Vec<_> = self.0.values().map(Record::last).collect();
        // A tenth goes at once, so that this is not done for every wrong key.
        let (_, bound, _) = last.select_nth_unstable(MAX_ADDRESSES / 10);
        let bound = *bound;
        self.0.retain(|_, record| record.last() > bound);
    }
}

/// What one client has at its hands: an address, or a whole network of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if !address.is_loopback() => {
            let bits = address.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address => address,
    }
}

/// Whose request it is: the peer, or whom a trusted proxy names, which is the last of
/// `X-Forwarded-For` that is not one too. What is no address was not written by a proxy that we
/// trust, nor was anything before it.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpAddr]) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted_proxies.contains(&peer) {
        return peer;
    }
    let named: Vec<_> = headers
        .get_all(header::X_FORWARDED_FOR)
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .map(forwarded)
        .collect();
    let mut nearest = named.into_iter().rev();
    let client = nearest.find(|address| address.is_none_or(|it| !trusted_proxies.contains(&it)));
    client.flatten().unwrap_or(peer)
}

/// An address, with or without a port.
fn forwarded(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

impl Record {
    fn note(&mut self, now: DateTime<Utc>) {
        if self.is_stale(now) {
            *self = Self::default();
        }
        if self.locked_until.is_none() {
            let is_old = |at: &DateTime<Utc>| now.signed_duration_since(*at) >= WINDOW;
            self.wrong.retain(|at| !is_old(at));
        }
        // Twice as many tell loopback's delay; more need not be remembered.
        if self.wrong.len() > 2 * MAX_WRONG {
            self.wrong.pop_front();
        }
        self.wrong.push_back(now);
    }

    fn last(&self) -> Option<DateTime<Utc>> {
        self.wrong.back().copied()
    }

    fn is_stale(&self, now: DateTime<Utc>) -> bool {
        match (self.locked_until, self.last()) {
            (Some(until), _) => now >= until,
            (None, Some(last)) => now.signed_duration_since(last) >= WINDOW,
            (None, None) => true,
        }
    }

    fn verdict(&mut self, now: DateTime<Utc>) -> Verdict {
        if self.wrong.len() <= MAX_WRONG {
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
    fn any_minute_counts_not_only_one_that_begins_with_the_first() {
        let mut attempts = Attempts::default();
        let client = address("192.0.2.1");
        for second in [0, 30, 31, 32, 33, 34, 61, 62, 63, 64, 65] {
            assert_eq!(attempts.wrong_key(client, at(second)), Verdict::Refuse);
        }
        let verdict = attempts.wrong_key(client, at(66));
        assert_eq!(verdict, Verdict::Locked { retry_after_s: 300 });
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_client() {
        let mut attempts = Attempts::default();
        for number in 0..10 {
            let client = address(&format!("2001:db8:0:1::{number:x}"));
            assert_eq!(attempts.wrong_key(client, at(0)), Verdict::Refuse);
        }
        let same = attempts.wrong_key(address("2001:db8:0:1:ffff::1"), at(0));
        assert_eq!(same, Verdict::Locked { retry_after_s: 300 });
        let other = attempts.wrong_key(address("2001:db8:0:2::1"), at(0));
        assert_eq!(other, Verdict::Refuse);
    }

    #[test]
    fn many_addresses_do_not_free_one_that_is_locked_just_now() {
        let mut attempts = Attempts::default();
        for number in 0..9_990_u32 {
            attempts.wrong_key(IpAddr::from((number + (20 << 24)).to_be_bytes()), at(0));
        }
        let client = address("192.0.2.1");
        for _ in 0..11 {
            attempts.wrong_key(client, at(1));
        }
        for number in 0..9_000_u32 {
            attempts.wrong_key(IpAddr::from((number + (10 << 24)).to_be_bytes()), at(2));
        }
        let verdict = attempts.wrong_key(client, at(3));
        assert_eq!(verdict, Verdict::Locked { retry_after_s: 298 });
    }

    #[test]
    fn who_asks_is_the_last_that_no_trusted_proxy_is() {
        let proxies = [address("10.0.0.1"), address("10.0.0.2")];
        let client = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(header::X_FORWARDED_FOR, value.parse().unwrap());
            }
            client_address(address(peer), &headers, &proxies).to_string()
        };
        for (peer, forwarded, expected) in [
            ("192.0.2.1", &["198.51.100.1"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            (
                "10.0.0.1",
                &["198.51.100.1, 192.0.2.1, 10.0.0.2"],
                "192.0.2.1",
            ),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.0.0.1", &["192.0.2.1"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.1, 192.0.2.1:4711"], "192.0.2.1"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2"], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
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
