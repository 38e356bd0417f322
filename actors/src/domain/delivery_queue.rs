//! What waits for delivery, and which delivery is next.
//!
//! Deliveries of one lane (one recipient, one conversation) go one after the other in the order of
//! acceptance; lanes go side by side, as many at once as their recipient takes. A recipient that
//! fails is left alone by its circuit; an agent of ours that fails is asked now and then. What was
//! found at a start, and what waited for a recipient that is back, is paced. Each step costs the
//! logarithm of what waits: only the first delivery of each lane stands in an order, and only the
//! next wish of each recipient on the agenda.

mod intake;
mod lane;
mod recipient;
mod step;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use self::recipient::{Pick, Recipient};
pub use self::step::{Again, CircuitChange, Step, StepEnd, Terms};
use super::{
    after_attempt::Health, circuit::CircuitSettings, envelope::Sequence, ids::MessageId,
    party::Party, post::WaitingDelivery,
};

/// Between two paced tries: at most a hundred a second, all recipients together.
const PACE: TimeDelta = TimeDelta::milliseconds(10);

/// Deliveries under way at once, all recipients together.
pub const MOST_UNDER_WAY: usize = 512;

/// Everything that waits for delivery.
#[derive(Debug)]
pub struct DeliveryQueue {
    circuits: CircuitSettings,
    items: BTreeMap<Sequence, Item>,
    sequences: HashMap<MessageId, Sequence>,
    numbers: HashMap<Party, u64>,
    recipients: HashMap<u64, Recipient>,
    /// When which recipient wants to be looked at.
    agenda: BTreeSet<(DateTime<Utc>, u64)>,
    /// The same for tries that are paced.
    paced_agenda: BTreeSet<(DateTime<Utc>, u64)>,
    next_paced: DateTime<Utc>,
    down: BTreeSet<Party>,
    under_way: usize,
    is_open: bool,
    next_number: u64,
    revived: i64,
}

#[derive(Debug)]
struct Item {
    delivery: WaitingDelivery,
    recipient: u64,
    /// Its recipient has said itself how long to wait.
    is_held_back: bool,
    /// Its first try is paced: it was there at the start.
    is_paced: bool,
    /// It has ended otherwise while it was under way.
    is_over: bool,
    under_way: Option<UnderWay>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Try { is_probe: bool, is_early: bool },
    GivingUp,
}

impl DeliveryQueue {
    /// An empty queue, in which nothing begins before [`Self::open`].
    pub fn new(circuits: CircuitSettings) -> Self {
        Self {
            circuits,
            items: BTreeMap::new(),
            sequences: HashMap::new(),
            numbers: HashMap::new(),
            recipients: HashMap::new(),
            agenda: BTreeSet::new(),
            paced_agenda: BTreeSet::new(),
            next_paced: DateTime::<Utc>::MIN_UTC,
            down: BTreeSet::new(),
            under_way: 0,
            is_open: false,
            next_number: 0,
            revived: 0,
        }
    }

    /// Lets steps begin: what was there at the start is known now.
    pub const fn open(&mut self) {
        self.is_open = true;
    }

    /// Whether steps begin.
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Deliveries that wait or are under way.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing waits and nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Steps under way.
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Whether this message waits or is under way.
    pub fn contains(&self, id: MessageId) -> bool {
        self.sequences.contains_key(&id)
    }

    /// Who gets a message that waits or is under way.
    pub fn recipient_of(&self, id: MessageId) -> Option<&Party> {
        let item = self.items.get(self.sequences.get(&id)?)?;
        Some(&item.delivery.to)
    }

    /// Whether anything of this lane waits or is under way.
    pub fn is_lane_used(&self, to: &Party, conversation: &str) -> bool {
        let recipient = self
            .numbers
            .get(to)
            .and_then(|number| self.recipients.get(number));
        recipient.is_some_and(|recipient| recipient.lanes.contains_key(conversation))
    }

    /// Since when the oldest one waits.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        let revived = self.items.values().next();
        let others = self.items.range(Sequence(0)..).next().map(|(_, item)| item);
        let both = revived.into_iter().chain(others);
        both.map(|item| item.delivery.since).min()
    }

    /// The recipients whose circuits are not closed.
    pub fn down(&self) -> impl Iterator<Item = &Party> {
        self.down.iter()
    }

    /// Takes out a delivery that has ended otherwise. One that is under way stays until its end is
    /// told, whatever that is.
    pub fn remove(&mut self, id: MessageId, now: DateTime<Utc>) {
        let Some(sequence) = self.sequences.get(&id).copied() else {
            return;
        };
        match self.items.get_mut(&sequence) {
            Some(item) if item.under_way.is_some() => item.is_over = true,
            _ => self.forget(sequence, now),
        }
    }

    fn forget(&mut self, sequence: Sequence, now: DateTime<Utc>) {
        let Some(item) = self.items.remove(&sequence) else {
            return;
        };
        self.sequences.remove(&item.delivery.id);
        if let Some(recipient) = self.recipients.get_mut(&item.recipient) {
            recipient.leave(&item.delivery.conversation, sequence);
            recipient.settle(&item.delivery.conversation, &self.items, now);
        }
        self.refresh(item.recipient);
    }

    /// Begins the next step, where there is one now.
    pub fn next(&mut self, now: DateTime<Utc>) -> Option<Step> {
        if !self.is_open || self.under_way >= MOST_UNDER_WAY {
            return None;
        }
        let (number, is_paced) = self.next_recipient(now)?;
        let recipient = self.recipients.get_mut(&number)?;
        let pick = if is_paced {
            recipient.pick_paced(now)
        } else {
            recipient.pick(now)
        };
        let step = pick.and_then(|pick| self.begin(number, pick, now));
        if is_paced && step.is_some() {
            self.next_paced = now.checked_add_signed(PACE).unwrap_or(now);
        }
        self.refresh(number);
        step
    }

    fn next_recipient(&self, now: DateTime<Utc>) -> Option<(u64, bool)> {
        let is_now = |entry: &&(DateTime<Utc>, u64)| entry.0 <= now;
        if let Some((_, number)) = self.agenda.first().filter(is_now) {
            return Some((*number, false));
        }
        // A clock that was set back must not stop the pace.
        let waits = now < self.next_paced && self.next_paced - now <= PACE;
        let next = self.paced_agenda.first().filter(is_now)?;
        (!waits).then_some((next.1, true))
    }

    fn begin(&mut self, number: u64, pick: Pick, now: DateTime<Utc>) -> Option<Step> {
        let sequence = pick.sequence();
        let item = self.items.get_mut(&sequence)?;
        let recipient = self.recipients.get_mut(&number)?;
        let is_early = item.delivery.due > now;
        item.under_way = Some(match pick {
            Pick::Try { is_probe, .. } => UnderWay::Try { is_probe, is_early },
            Pick::Expire(_) | Pick::GiveUp(_) => UnderWay::GivingUp,
        });
        let is_try = matches!(pick, Pick::Try { .. });
        recipient.begin(&item.delivery.conversation, sequence, is_try);
        self.under_way = self.under_way.saturating_add(1);
        let delivery = item.delivery.clone();
        Some(match pick {
            Pick::Try { .. } => Step::Try {
                ahead_of: is_early.then_some(delivery.due),
                delivery,
            },
            Pick::Expire(_) => Step::Expire(delivery),
            Pick::GiveUp(_) => Step::GiveUp {
                delivery,
                last_error: recipient.last_error.clone(),
            },
        })
    }

    /// A step has ended.
    pub fn ended(
        &mut self,
        id: MessageId,
        end: StepEnd,
        now: DateTime<Utc>,
    ) -> Option<CircuitChange> {
        let sequence = self.sequences.get(&id).copied()?;
        let item = self.items.get_mut(&sequence)?;
        let under_way = item.under_way.take()?;
        let again = end.again.filter(|_| !item.is_over);
        self.under_way = self.under_way.saturating_sub(1);
        let number = item.recipient;
        let recipient = self.recipients.get_mut(&number)?;
        recipient.end(&item.delivery.conversation);
        let change = match under_way {
            UnderWay::GivingUp => None,
            UnderWay::Try { is_probe, is_early } => {
                if let Some(again) = again {
                    item.delivery.due = again.due;
                    item.is_held_back = again.is_held_back;
                    item.is_paced = false;
                    let counts = u32::from(!is_early);
                    item.delivery.attempts = item.delivery.attempts.saturating_add(counts);
                }
                recipient.try_ended();
                if is_probe && end.health == Health::Unknown {
                    recipient.release_probe(now);
                }
                let newest = self.items.last_key_value().map(|(newest, _)| *newest);
                recipient.heard(end.health, end.error, newest, now)
            }
        };
        self.note_change(number, change);
        match again {
            Some(_) => {
                self.settle(sequence, now);
                self.refresh(number);
            }
            None => self.forget(sequence, now),
        }
        change
    }

    /// A recipient has taken something that did not wait here.
    pub fn is_well(&mut self, to: &Party, now: DateTime<Utc>) -> Option<CircuitChange> {
        let number = *self.numbers.get(to)?;
        let newest = self.items.last_key_value().map(|(newest, _)| *newest);
        let recipient = self.recipients.get_mut(&number)?;
        let change = recipient.heard(Health::Well, None, newest, now);
        self.note_change(number, change);
        self.refresh(number);
        change
    }

    fn note_change(&mut self, number: u64, change: Option<CircuitChange>) {
        let Some(recipient) = self.recipients.get(&number) else {
            return;
        };
        match change {
            Some(CircuitChange::Opened) => {
                self.down.insert(recipient.party.clone());
            }
            Some(CircuitChange::Closed) => {
                self.down.remove(&recipient.party);
            }
            None => {}
        }
    }

    fn settle(&mut self, sequence: Sequence, now: DateTime<Utc>) {
        let Some(item) = self.items.get(&sequence) else {
            return;
        };
        if let Some(recipient) = self.recipients.get_mut(&item.recipient) {
            recipient.settle(&item.delivery.conversation, &self.items, now);
        }
    }

    /// When there is something to do by itself; `None` where the end of a step tells.
    pub fn wake_at(&self) -> Option<DateTime<Utc>> {
        if !self.is_open || self.under_way >= MOST_UNDER_WAY {
            return None;
        }
        let next = self.agenda.first().map(|(time, _)| *time);
        let paced = self.paced_agenda.first();
        let paced = paced.map(|(time, _)| (*time).max(self.next_paced));
        next.into_iter().chain(paced).min()
    }

    /// Writes a recipient's next wish on the agenda. One that is well and has nothing is forgotten.
    fn refresh(&mut self, number: u64) {
        let Some(recipient) = self.recipients.get_mut(&number) else {
            return;
        };
        let (before, now) = recipient.renew_wishes();
        let keys = |time: Option<DateTime<Utc>>| time.map(|time| (time, number));
        if let Some(key) = keys(before.next) {
            self.agenda.remove(&key);
        }
        if let Some(key) = keys(before.paced) {
            self.paced_agenda.remove(&key);
        }
        self.agenda.extend(keys(now.next));
        self.paced_agenda.extend(keys(now.paced));
        if recipient.is_forgettable() {
            self.numbers.remove(&recipient.party);
            self.down.remove(&recipient.party);
            self.recipients.remove(&number);
        }
    }
}
