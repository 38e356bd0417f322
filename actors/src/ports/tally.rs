//! What is counted for good: an operator adds it up over days, so it goes on after a restart.
//!
//! The store counts each of these in the transaction that it tells of. Nothing else may count it.

use chrono::{DateTime, Utc};

use super::{SendFuture, StoreError};
use crate::domain::metric::{Metric, MetricKind};

/// Turns that ended.
pub const TURNS: &str = "postroom_turns_total";
/// Tokens that turns used.
pub const TURN_TOKENS: &str = "postroom_turn_tokens_total";
/// What turns cost.
pub const TURN_COST: &str = "postroom_turn_cost_usd_total";
/// Messages that turns sent.
pub const TURN_CALLBACKS: &str = "postroom_turn_callbacks_total";
/// Deliveries that ended.
pub const DELIVERIES: &str = "postroom_deliveries_total";
/// Messages that were given up.
pub const DEAD_LETTERS: &str = "postroom_dead_letters_total";

/// The counters that the store keeps.
pub const METRICS: &[Metric] = &[
    Metric::counter(
        TURNS,
        &["agent", "state"],
        "Turns that ended: done, failed, timed-out, cancelled, interrupted",
    )
    .lasting(),
    Metric::counter(
        TURN_TOKENS,
        &["agent", "kind"],
        "Tokens that turns used, as their CLI tells it: input, output",
    )
    .lasting(),
    Metric::new(
        TURN_COST,
        MetricKind::FractionCounter,
        &["agent"],
        "US dollars that turns cost, where their CLI tells it",
    )
    .lasting(),
    Metric::counter(TURN_CALLBACKS, &["agent"], "Messages that turns sent").lasting(),
    Metric::counter(
        DELIVERIES,
        &["recipient", "outcome"],
        "Deliveries that ended: delivered, held, cancelled, dead",
    )
    .lasting(),
    Metric::counter(
        DEAD_LETTERS,
        &["recipient", "reason"],
        "Messages that were given up: on their way, or by an agent whose turns failed",
    )
    .lasting(),
];

/// One series of a counter that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// The metric's name.
    pub metric: String,
    /// The values of its labels, in the metric's order.
    pub labels: Vec<String>,
    /// What was counted so far.
    pub value: f64,
}

/// What the store can tell of its numbers now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TallySheet {
    /// All counters that are kept.
    pub tallies: Vec<Tally>,
    /// Dead letters that wait for an operator.
    pub dead_letters: u64,
    /// Deliveries whose time has come, up to 10,000.
    pub deliveries_due: u64,
}

/// Reads what was counted for good.
pub trait TallyBook: Send + Sync + 'static {
    /// The numbers as of the last commit; `now` says which deliveries are due.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn tally_sheet(&self, now: DateTime<Utc>) -> SendFuture<Result<TallySheet, StoreError>>;
}
