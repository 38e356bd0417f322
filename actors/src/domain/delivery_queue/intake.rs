//! Takes deliveries in, each at its place.

use std::{collections::hash_map::Entry, sync::Arc};

use chrono::{DateTime, Utc};

use super::{DeliveryQueue, Item, Terms, recipient::Recipient};
use crate::domain::{envelope::Sequence, party::Party, post::WaitingDelivery};

impl DeliveryQueue {
    /// Takes a delivery in, at its place in the order. One that is known already stays.
    pub fn push(&mut self, delivery: WaitingDelivery, terms: Terms, now: DateTime<Utc>) {
        match self.sequences.get(&delivery.id).copied() {
            Some(known) => self.pace_no_more(known, now),
            None => self.insert(delivery, terms, false, now),
        }
    }

    /// The same with one that was there at the start: its first try is paced.
    pub fn push_paced(&mut self, delivery: WaitingDelivery, terms: Terms, now: DateTime<Utc>) {
        if !self.contains(delivery.id) {
            self.insert(delivery, terms, true, now);
        }
    }

    /// Takes in a dead letter that waits again, before everything that waits in its lane: what was
    /// accepted before it has ended, or was revived before it.
    pub fn push_revived(&mut self, delivery: WaitingDelivery, terms: Terms, now: DateTime<Utc>) {
        self.revived = self.revived.saturating_add(1);
        let sequence = Sequence(i64::MIN.saturating_add(self.revived));
        let delivery = WaitingDelivery {
            sequence,
            ..delivery
        };
        self.push(delivery, terms, now);
    }

    fn insert(
        &mut self,
        delivery: WaitingDelivery,
        terms: Terms,
        is_paced: bool,
        now: DateTime<Utc>,
    ) {
        let sequence = delivery.sequence;
        let number = self.number_of(&delivery.to, terms);
        self.sequences.insert(delivery.id, sequence);
        let conversation = Arc::clone(&delivery.conversation);
        let was_tried = delivery.attempts > 0;
        let item = Item {
            delivery,
            recipient: number,
            is_held_back: false,
            is_paced,
            is_over: false,
            under_way: None,
        };
        self.items.insert(sequence, item);
        if let Some(recipient) = self.recipients.get_mut(&number) {
            recipient.join(&conversation, sequence);
            if was_tried {
                recipient.doubt(now);
            }
            recipient.settle(&conversation, &self.items, now);
        }
        self.refresh(number);
    }

    fn number_of(&mut self, to: &Party, terms: Terms) -> u64 {
        match self.numbers.entry(to.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                self.next_number = self.next_number.saturating_add(1);
                let recipient = Recipient::new(to.clone(), terms, self.circuits);
                self.recipients.insert(self.next_number, recipient);
                *unknown.insert(self.next_number)
            }
        }
    }

    fn pace_no_more(&mut self, sequence: Sequence, now: DateTime<Utc>) {
        let Some(item) = self.items.get_mut(&sequence) else {
            return;
        };
        item.is_paced = false;
        let conversation = Arc::clone(&item.delivery.conversation);
        let number = item.recipient;
        if let Some(recipient) = self.recipients.get_mut(&number) {
            recipient.unsettle(&conversation);
            recipient.settle(&conversation, &self.items, now);
        }
        self.refresh(number);
    }
}
