//! Keeps agents from talking to each other without an end.
//!
//! Three measures: how many messages led to one, how many a minute one agent sends to one
//! recipient, and how often it says the same there. What is remembered is bounded: the pairs and
//! sayings that were seen longest ago are forgotten first.

mod recent;

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

use self::recent::Recent;
use super::{
    agent_message::Envelope,
    party::Party,
    post::{DeadCode, DeadReason},
};

/// Pairs of sender and recipient that are remembered.
const MOST_PAIRS: usize = 10_000;

/// Sayings that are remembered.
const MOST_SAYINGS: usize = 50_000;

/// How long a saying counts.
const MEMORY: TimeDelta = TimeDelta::minutes(10);

/// What keeps agents from talking to each other without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardSettings {
    /// Messages that may lead to one; default 8.
    pub hops: u32,
    /// Messages a minute from one agent to one recipient; 0: no limit; default 60.
    pub pair_rate: u32,
    /// How often the same may be said to the same recipient in one conversation within ten minutes;
    /// 0: no limit; default 5.
    pub repeats: u32,
}

/// What is looked at of a message.
#[derive(Debug, Clone, Copy)]
pub struct Saying<'a> {
    /// Who, to whom, after how many others.
    pub envelope: &'a Envelope,
    /// In which conversation.
    pub conversation: &'a Arc<str>,
    /// SHA-256 of type and payload.
    pub said: [u8; 32],
}

/// What is said to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// It goes its way.
    Yes,
    /// It is a dead letter from the start.
    Dead(DeadReason),
    /// It comes too early; this long, at least a second, and it does not any more.
    TooMany(Duration),
}

/// Remembers who said what to whom.
#[derive(Debug)]
pub struct LoopGuard {
    limits: GuardSettings,
    pairs: Recent<u64, Bucket>,
    sayings: Recent<SayingKey, VecDeque<DateTime<Utc>>>,
}

/// A digest of the pair and its conversation, and what was said.
type SayingKey = (u64, [u8; 32]);

/// A minute's messages, filled evenly.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled_at: DateTime<Utc>,
}

impl LoopGuard {
    /// A guard that remembers nothing yet.
    pub fn new(limits: GuardSettings) -> Self {
        Self {
            limits,
            pairs: Recent::new(MOST_PAIRS),
            sayings: Recent::new(MOST_SAYINGS),
        }
    }

    /// Judges a message and counts it. What then turns out to be no new message is to be taken back
    /// with [`Self::take_back`].
    pub fn admit(&mut self, saying: Saying<'_>, now: DateTime<Utc>) -> Admitted {
        let hops = saying.envelope.hops;
        if hops > self.limits.hops {
            return Admitted::Dead(too_many_hops(hops, self.limits.hops));
        }
        if saying.envelope.sender.agent().is_none() {
            return Admitted::Yes;
        }
        if let Err(wait) = self.spend(pair_of(saying), now) {
            return Admitted::TooMany(wait);
        }
        self.listen(saying, now)
    }

    /// A message that was counted was none: a repeat of one that is kept already, or not kept.
    pub fn take_back(&mut self, saying: Saying<'_>) {
        if saying.envelope.hops > self.limits.hops || saying.envelope.sender.agent().is_none() {
            return;
        }
        if let Some(bucket) = self.pairs.get_mut(&pair_of(saying)) {
            bucket.tokens = (bucket.tokens + 1.0).min(f64::from(self.limits.pair_rate));
        }
        if let Some(times) = self.sayings.get_mut(&key_of(saying)) {
            times.pop_back();
        }
    }

    /// Takes one message out of a pair's minute.
    fn spend(&mut self, pair: u64, now: DateTime<Utc>) -> Result<(), Duration> {
        let most = f64::from(self.limits.pair_rate);
        if self.limits.pair_rate == 0 {
            return Ok(());
        }
        let full = || Bucket {
            tokens: most,
            filled_at: now,
        };
        let bucket = self.pairs.entry(pair, full);
        let passed = (now - bucket.filled_at).to_std().unwrap_or_default();
        bucket.filled_at = now;
        bucket.tokens = (bucket.tokens + passed.as_secs_f64() * most / 60.0).min(most);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let missing = (1.0 - bucket.tokens) * 60.0 / most;
        Err(Duration::from_secs_f64(missing.ceil().max(1.0)))
    }

    /// Counts what is said. Sayings that were refused count too: who goes on saying it is not
    /// heard again before it has been quiet.
    fn listen(&mut self, saying: Saying<'_>, now: DateTime<Utc>) -> Admitted {
        let Ok(limit) = usize::try_from(self.limits.repeats) else {
            return Admitted::Yes;
        };
        if limit == 0 {
            return Admitted::Yes;
        }
        let times = self.sayings.entry(key_of(saying), VecDeque::new);
        while times.front().is_some_and(|said| now - *said >= MEMORY) {
            times.pop_front();
        }
        let is_repeated = times.len() >= limit;
        if times.len() > limit {
            times.pop_front();
        }
        times.push_back(now);
        if is_repeated {
            Admitted::Dead(said_too_often(limit))
        } else {
            Admitted::Yes
        }
    }
}

fn too_many_hops(hops: u32, limit: u32) -> DeadReason {
    DeadReason {
        code: DeadCode::HopLimit,
        message: format!(
            "{hops} messages led to this one, {limit} may (`limits.hops`): agents seem to answer \
             each other without an end"
        ),
    }
}

fn said_too_often(limit: usize) -> DeadReason {
    DeadReason {
        code: DeadCode::Repeated,
        message: format!(
            "the same was said to this recipient in this conversation {limit} times within ten \
             minutes, which is the limit (`limits.repeats`)"
        ),
    }
}

fn pair_of(saying: Saying<'_>) -> u64 {
    digest((&saying.envelope.sender, &saying.envelope.recipient))
}

fn key_of(saying: Saying<'_>) -> SayingKey {
    let Saying {
        envelope,
        conversation,
        said,
    } = saying;
    let lane: (&Party, &Party, &Arc<str>) = (&envelope.sender, &envelope.recipient, conversation);
    (digest(lane), said)
}

/// Names and conversations may be long; in memory they are not.
fn digest(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
