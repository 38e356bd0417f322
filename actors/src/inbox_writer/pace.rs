//! When the writer writes: at once, or a moment later together with others, and what happens when
//! the disk is slower than the door.

use std::time::Duration;

use actix::{AsyncContext, Context};
use chrono::TimeDelta;
use tokio::time::Instant;

use super::{InboxWriter, MAX_FILES_PER_WRITE, MAX_WRITES_IN_FLIGHT};
use crate::domain::batching::DueLane;

/// Between the starts of two write calls, as long as one call can take all that is due. A lone
/// message is written at once; under load, files share the syncs of their folder.
const PACE: Duration = Duration::from_millis(10);

/// How long messages may wait for a busy disk before accepting is slowed to its speed, so that
/// files never lag far behind answers.
const BEHIND: TimeDelta = TimeDelta::milliseconds(450);

impl InboxWriter {
    /// How long the next write call is held back.
    pub(super) fn pause(&self) -> Option<Duration> {
        let next = self.last_write?.checked_add(PACE)?;
        let pause = next.saturating_duration_since(Instant::now());
        (!pause.is_zero() && self.batcher.len() < MAX_FILES_PER_WRITE).then_some(pause)
    }

    /// How long the oldest of these has been due. What waited for a reply, or for a start, does not
    /// count: that was not the disk.
    pub(super) fn lag_of(&self, due: &[DueLane]) -> TimeDelta {
        let items = due.iter().flat_map(|lane| &lane.files).flatten();
        let waited = items.filter(|due| {
            due.item.reply_due.is_none() && due.item.sequence > self.recovered_through
        });
        let oldest = waited.map(|due| due.item.received_at).min();
        let window = TimeDelta::from_std(self.parts.batch_window).unwrap_or(TimeDelta::MAX);
        let age = |oldest| self.parts.clock.now().signed_duration_since(oldest);
        oldest
            .and_then(|oldest| age(oldest).checked_sub(&window))
            .unwrap_or_default()
    }

    /// Slows accepting while the disk is the slower of the two.
    pub(super) fn tell_whether_behind(&self) {
        // A folder that refuses must not slow accepting: then the store alone keeps the messages.
        let is_behind = self.lag >= BEHIND
            && self.writes_in_flight >= MAX_WRITES_IN_FLIGHT
            && self.failures_in_a_row == 0;
        let told = |known: &mut bool| std::mem::replace(known, is_behind) != is_behind;
        self.parts.is_behind.send_if_modified(told);
    }

    /// Sees to it that the writer wakes when the next lane is due. A timer that comes early enough
    /// is left alone.
    pub(super) fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let Some(wake_at) = self.next_wake() else {
            return;
        };
        if let Some((earlier, timer)) = self.timer.take() {
            if earlier <= wake_at {
                self.timer = Some((earlier, timer));
                return;
            }
            ctx.cancel_future(timer);
        }
        let wait = wake_at.saturating_duration_since(Instant::now());
        let timer = ctx.run_later(wait, |writer, ctx| {
            writer.timer = None;
            writer.write_due(ctx);
        });
        self.timer = Some((wake_at, timer));
    }

    /// When there is something to do; `None` where the end of a write, or a message, tells.
    fn next_wake(&self) -> Option<Instant> {
        if self.writes_in_flight >= MAX_WRITES_IN_FLIGHT {
            return None;
        }
        let due = self.batcher.next_due()?;
        let until_due = due.signed_duration_since(self.parts.clock.now());
        let wait = until_due
            .to_std()
            .unwrap_or_default()
            .max(self.pause().unwrap_or_default());
        // A millisecond more, since timers may fire up to one early.
        Instant::now().checked_add(wait + Duration::from_millis(1))
    }
}
