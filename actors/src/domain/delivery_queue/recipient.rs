//! One recipient: its lanes, its circuit, and when it wants to be looked at.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};

use super::{
    CircuitChange, Item, Terms,
    lane::{Head, Lane},
};
use crate::domain::{
    after_attempt::{Health, later},
    circuit::{Admission, Circuit, CircuitSettings},
    envelope::Sequence,
    party::Party,
};

/// Heads of lanes by a time.
type Heads = BTreeSet<(DateTime<Utc>, Sequence)>;

/// A recipient is given this long to come back, or its schedule's span where that is shorter,
/// before what is too old is given up untried. After a time in which the broker itself was down,
/// everything is too old.
const LONGEST_GRACE: Duration = Duration::from_hours(1);

/// How often an agent of ours that took nothing is asked ahead of time: that costs next to nothing,
/// and a queue that was full is soon not.
const POLL: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Recipient {
    pub(super) party: Party,
    pub(super) lanes: HashMap<Arc<str>, Lane>,
    pub(super) last_error: Option<Arc<str>>,
    terms: Terms,
    /// Heads by their turn.
    open: Heads,
    /// The same of those whose time does not come earlier when the recipient is back.
    held: Heads,
    /// Heads whose tries are paced; all of them may be tried now.
    paced: Heads,
    /// All heads by their deadline.
    deadlines: Heads,
    /// All heads that expire, by that.
    expiries: Heads,
    circuit: Circuit,
    /// The first failure since something went well.
    failing_since: Option<DateTime<Utc>>,
    failed_at: DateTime<Utc>,
    /// Tries under way.
    trying: usize,
    /// What waited when the recipient came back is paced.
    paced_through: Sequence,
    /// Its place among the recipients with paced tries: when it last had one.
    paced_turn: DateTime<Utc>,
    wishes: Wishes,
}

/// When a recipient wants to be looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wishes {
    pub(super) next: Option<DateTime<Utc>>,
    pub(super) paced: Option<DateTime<Utc>>,
}

/// What is to happen to a head.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pick {
    Try { sequence: Sequence, is_probe: bool },
    Expire(Sequence),
    GiveUp(Sequence),
}

impl Pick {
    pub(super) const fn sequence(self) -> Sequence {
        match self {
            Self::Try { sequence, .. } | Self::Expire(sequence) | Self::GiveUp(sequence) => {
                sequence
            }
        }
    }
}

impl Recipient {
    pub(super) fn new(party: Party, terms: Terms, circuits: CircuitSettings) -> Self {
        Self {
            party,
            lanes: HashMap::new(),
            last_error: None,
            terms,
            open: Heads::new(),
            held: Heads::new(),
            paced: Heads::new(),
            deadlines: Heads::new(),
            expiries: Heads::new(),
            circuit: Circuit::new(CircuitSettings {
                open_for: circuits.open_for.min(terms.longest_pause),
                ..circuits
            }),
            failing_since: None,
            failed_at: DateTime::<Utc>::MIN_UTC,
            trying: 0,
            paced_through: Sequence(i64::MIN),
            paced_turn: DateTime::<Utc>::MIN_UTC,
            wishes: Wishes::default(),
        }
    }

    pub(super) fn join(&mut self, conversation: &Arc<str>, sequence: Sequence) {
        let lane = self.lanes.entry(Arc::clone(conversation)).or_default();
        lane.waiting.insert(sequence);
    }

    pub(super) fn leave(&mut self, conversation: &str, sequence: Sequence) {
        if let Some(lane) = self.lanes.get_mut(conversation) {
            lane.waiting.remove(&sequence);
        }
    }

    /// A delivery that was tried before the start waits: its recipient may be down. Once it takes
    /// something, that is news.
    pub(super) fn doubt(&mut self, now: DateTime<Utc>) {
        self.failing_since.get_or_insert(now);
    }

    /// Takes the head of a lane out of all orders.
    pub(super) fn unsettle(&mut self, conversation: &str) {
        let lane = self.lanes.get_mut(conversation);
        let Some(head) = lane.and_then(|lane| lane.head.take()) else {
            return;
        };
        let key = (head.at, head.sequence);
        // It is in one of them; which one, the recipient's return may have changed.
        if !self.open.remove(&key) && !self.paced.remove(&key) {
            self.held.remove(&key);
        }
        self.deadlines.remove(&(head.deadline, head.sequence));
        if let Some(expires_at) = head.expires_at {
            self.expiries.remove(&(expires_at, head.sequence));
        }
    }

    /// Puts whoever is the head of a lane now into the orders; a lane that is empty goes.
    pub(super) fn settle(
        &mut self,
        conversation: &str,
        items: &BTreeMap<Sequence, Item>,
        now: DateTime<Utc>,
    ) {
        let Some(lane) = self.lanes.get(conversation) else {
            return;
        };
        let first = lane.first();
        if first == lane.head.map(|head| head.sequence) && first.is_some() {
            return;
        }
        self.unsettle(conversation);
        match first.and_then(|first| items.get(&first)) {
            Some(item) => self.place(conversation, item, now),
            None => self.tidy(conversation),
        }
    }

    fn place(&mut self, conversation: &str, item: &Item, now: DateTime<Utc>) {
        let delivery = &item.delivery;
        let head = Head {
            sequence: delivery.sequence,
            at: delivery.due.max(now),
            deadline: later(delivery.since, self.terms.span).max(delivery.due),
            expires_at: delivery.expires_at,
        };
        let is_old = item.is_paced || delivery.sequence <= self.paced_through;
        let heads = if item.is_held_back {
            &mut self.held
        } else if is_old && delivery.due <= now {
            &mut self.paced
        } else {
            &mut self.open
        };
        heads.insert((head.at, head.sequence));
        self.deadlines.insert((head.deadline, head.sequence));
        let expiry = head
            .expires_at
            .map(|expires_at| (expires_at, head.sequence));
        self.expiries.extend(expiry);
        if let Some(lane) = self.lanes.get_mut(conversation) {
            lane.head = Some(head);
        }
    }

    fn tidy(&mut self, conversation: &str) {
        let is_over = |lane: &Lane| lane.waiting.is_empty() && lane.busy.is_none();
        if self.lanes.get(conversation).is_some_and(is_over) {
            self.lanes.remove(conversation);
        }
    }

    /// What is to happen now, paced tries left out.
    pub(super) fn pick(&mut self, now: DateTime<Utc>) -> Option<Pick> {
        if let Some((at, sequence)) = self.expiries.first()
            && *at <= now
        {
            return Some(Pick::Expire(*sequence));
        }
        if self.gives_up_at().is_some_and(|at| at <= now) {
            let oldest = self.deadlines.first();
            return oldest.map(|(_, sequence)| Pick::GiveUp(*sequence));
        }
        let (_, sequence) = self.next_open()?;
        if self.next_try_at().is_none_or(|at| at > now) {
            return None;
        }
        self.admit(sequence, now)
    }

    /// The next paced try, where the circuit lets it through.
    pub(super) fn pick_paced(&mut self, now: DateTime<Utc>) -> Option<Pick> {
        let (_, sequence) = *self.paced.first()?;
        self.paced_turn = now;
        self.admit(sequence, now)
    }

    fn admit(&mut self, sequence: Sequence, now: DateTime<Utc>) -> Option<Pick> {
        let is_probe = match self.circuit.admit(now) {
            Admission::Allowed => false,
            Admission::Probe => true,
            Admission::Refused => return None,
        };
        Some(Pick::Try { sequence, is_probe })
    }

    /// One of a lane is under way.
    pub(super) fn begin(&mut self, conversation: &str, sequence: Sequence, is_try: bool) {
        self.unsettle(conversation);
        if let Some(lane) = self.lanes.get_mut(conversation) {
            lane.busy = Some(sequence);
        }
        self.trying = self.trying.saturating_add(usize::from(is_try));
    }

    /// The one that was under way in a lane is not any more.
    pub(super) fn end(&mut self, conversation: &str) {
        if let Some(lane) = self.lanes.get_mut(conversation) {
            lane.busy = None;
        }
    }

    pub(super) const fn try_ended(&mut self) {
        self.trying = self.trying.saturating_sub(1);
    }

    /// The probe of the circuit asked nobody: another may be made.
    pub(super) fn release_probe(&mut self, now: DateTime<Utc>) {
        self.circuit.release_probe(now);
    }

    /// Takes note of how the recipient is.
    pub(super) fn heard(
        &mut self,
        health: Health,
        error: Option<String>,
        newest: Option<Sequence>,
        now: DateTime<Utc>,
    ) -> Option<CircuitChange> {
        let was_closed = self.circuit.reopens_at().is_none();
        match health {
            Health::Well => {
                self.circuit.record_success();
                if self.failing_since.take().is_some() {
                    self.wake(newest);
                }
            }
            Health::Ill => {
                self.circuit.record_failure(now);
                self.failing_since.get_or_insert(now);
                self.failed_at = now;
                self.last_error = error.map(Arc::from);
            }
            Health::Unknown => {}
        }
        match (was_closed, self.circuit.reopens_at().is_none()) {
            (true, false) => Some(CircuitChange::Opened),
            (false, true) => Some(CircuitChange::Closed),
            _ => None,
        }
    }

    /// Everything that waits may be tried now, one after the other.
    fn wake(&mut self, newest: Option<Sequence>) {
        self.last_error = None;
        self.paced_through = newest.unwrap_or(self.paced_through);
        if self.paced.is_empty() {
            std::mem::swap(&mut self.open, &mut self.paced);
        } else {
            self.paced.append(&mut self.open);
        }
    }

    const fn is_full(&self) -> bool {
        self.trying >= self.terms.concurrency
    }

    fn next_open(&self) -> Option<(DateTime<Utc>, Sequence)> {
        let heads = self.open.first().into_iter().chain(self.held.first());
        heads.min().copied()
    }

    /// When the next try that is not paced is to be made, as far as the circuit lets it through.
    fn next_try_at(&self) -> Option<DateTime<Utc>> {
        let (at, _) = self.next_open().filter(|_| !self.is_full())?;
        let is_polled = self.failing_since.is_some() && self.party.agent().is_some();
        Some(if is_polled {
            at.min(later(self.failed_at, POLL))
        } else {
            at
        })
    }

    /// When the oldest head has waited too long; `None` while the recipient is not known to be down.
    fn gives_up_at(&self) -> Option<DateTime<Utc>> {
        self.circuit.reopens_at()?;
        let (deadline, _) = self.deadlines.first()?;
        let grace = self.terms.span.min(LONGEST_GRACE);
        let patience = self.failing_since.map(|since| later(since, grace));
        Some((*deadline).max(patience.unwrap_or(*deadline)))
    }

    /// Finds out anew when it wants to be looked at; answers what was so before, and what is now.
    pub(super) fn renew_wishes(&mut self) -> (Wishes, Wishes) {
        let reopens_at = self
            .circuit
            .reopens_at()
            .unwrap_or(DateTime::<Utc>::MIN_UTC);
        let tries = self.next_try_at().map(|at| at.max(reopens_at));
        let expiry = self.expiries.first().map(|(at, _)| *at);
        let next = [tries, self.gives_up_at(), expiry];
        let has_paced = !self.paced.is_empty() && !self.is_full();
        let wishes = Wishes {
            next: next.into_iter().flatten().min(),
            paced: has_paced.then(|| self.paced_turn.max(reopens_at)),
        };
        (std::mem::replace(&mut self.wishes, wishes), wishes)
    }

    /// Nothing waits, and nothing is known of it that is worth keeping. Addresses that messages
    /// brought along are not bounded in number, so they are not remembered.
    pub(super) fn is_forgettable(&self) -> bool {
        let is_unbounded = matches!(self.party, Party::Url(_));
        self.lanes.is_empty() && (is_unbounded || self.failing_since.is_none())
    }
}
