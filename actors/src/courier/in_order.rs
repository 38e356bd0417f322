//! Ends of things in the order of their beginnings, whichever ends first.

use std::collections::VecDeque;

/// What has begun and is not taken yet.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    /// The ticket of the first place.
    first: usize,
    /// `None` where it has not ended.
    places: VecDeque<Option<T>>,
}

/// A place in the order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(usize);

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self {
            first: 0,
            places: VecDeque::new(),
        }
    }
}

impl<T> InOrder<T> {
    /// Something begins.
    pub(super) fn begin(&mut self) -> Ticket {
        let ticket = self.first.wrapping_add(self.places.len());
        self.places.push_back(None);
        Ticket(ticket)
    }

    /// It has ended.
    pub(super) fn end(&mut self, ticket: Ticket, end: T) {
        let place = ticket.0.wrapping_sub(self.first);
        if let Some(place) = self.places.get_mut(place) {
            *place = Some(end);
        }
    }

    /// The next end, once everything that began before has been taken.
    pub(super) fn take(&mut self) -> Option<T> {
        let end = self.places.front_mut()?.take()?;
        self.places.pop_front();
        self.first = self.first.wrapping_add(1);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_early_waits_for_what_began_before() {
        let mut order = InOrder::default();
        let (first, second, third) = (order.begin(), order.begin(), order.begin());
        order.end(second, 2);
        assert_eq!(order.take(), None);
        order.end(first, 1);
        assert_eq!(
            (order.take(), order.take(), order.take()),
            (Some(1), Some(2), None)
        );
        order.end(third, 3);
        assert_eq!(order.take(), Some(3));
    }
}
