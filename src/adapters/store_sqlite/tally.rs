//! What is counted for good, in the transaction that it tells of. Pruning takes nothing back.

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{party::Party, turn::TurnEnd},
    ports::{
        SendFuture, StoreError,
        tally::{
            DEAD_LETTERS, DELIVERIES, TURN_CALLBACKS, TURN_COST, TURN_TOKENS, TURNS, Tally,
            TallyBook, TallySheet,
        },
    },
};
use rusqlite::{Connection, Error, Result, params, types::Type};

use super::{SqliteStore, message_list, rows::millis};

const MICRODOLLARS: f64 = 1_000_000.0;

/// Adds to one series of a counter.
fn add(connection: &Connection, metric: &str, labels: &[&str], more: f64) -> Result<()> {
    let labels = serde_json::to_string(labels)
        .map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
    connection
        .prepare_cached(
            "INSERT INTO tally (metric, labels, value) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET value = max(value + excluded.value, 0)",
        )?
        .execute(params![metric, labels, more])?;
    Ok(())
}

/// A turn of this agent has ended.
#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "exact up to 2^53: nobody uses as many tokens"
)]
pub(super) fn turn_ended(connection: &Connection, agent: &str, end: &TurnEnd) -> Result<()> {
    add(connection, TURNS, &[agent, end.state.as_str()], 1.0)?;
    let Some(usage) = end.usage else {
        return Ok(());
    };
    for (kind, tokens) in [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
    ] {
        add(connection, TURN_TOKENS, &[agent, kind], tokens as f64)?;
    }
    match usage.cost_microdollars {
        Some(cost) => add(connection, TURN_COST, &[agent], cost as f64 / MICRODOLLARS),
        None => Ok(()),
    }
}

/// A turn of this agent has sent a message.
pub(super) fn called_back(connection: &Connection, agent: &str) -> Result<()> {
    add(connection, TURN_CALLBACKS, &[agent], 1.0)
}

/// A message that was counted as a callback was never acknowledged.
pub(super) fn take_callback_back(connection: &Connection, agent: &str) -> Result<()> {
    add(connection, TURN_CALLBACKS, &[agent], -1.0)
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Delivered,
    Held,
    Cancelled,
    Dead,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Held => "held",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }
}

/// A delivery to this recipient has ended.
pub(super) fn delivery_ended(
    connection: &Connection,
    recipient: &Party,
    outcome: Outcome,
) -> Result<()> {
    let labels = [recipient.label(), outcome.as_str()];
    add(connection, DELIVERIES, &labels, 1.0)
}

/// A delivery whose end was counted as it was kept was never acknowledged.
pub(super) fn take_delivery_back(
    connection: &Connection,
    recipient: &Party,
    outcome: Outcome,
) -> Result<()> {
    let labels = [recipient.label(), outcome.as_str()];
    add(connection, DELIVERIES, &labels, -1.0)
}

/// A message to this recipient was given up.
pub(super) fn given_up(connection: &Connection, recipient: &str, reason: &str) -> Result<()> {
    add(connection, DEAD_LETTERS, &[recipient, reason], 1.0)
}

/// A dead letter that was counted was never acknowledged.
pub(super) fn take_dead_letter_back(
    connection: &Connection,
    recipient: &str,
    reason: &str,
) -> Result<()> {
    add(connection, DEAD_LETTERS, &[recipient, reason], -1.0)
}

impl TallyBook for SqliteStore {
    fn tally_sheet(
        &self,
        now: DateTime<Utc>,
    ) -> SendFuture<std::result::Result<TallySheet, StoreError>> {
        self.queries.ask(move |connection| {
            fail::fail_point!("store::tally_sheet");
            Ok(TallySheet {
                tallies: tallies(connection)?,
                dead_letters: message_list::dead_letters(connection)?,
                deliveries_due: deliveries_due(connection, now)?,
            })
        })
    }
}

fn tallies(connection: &Connection) -> Result<Vec<Tally>> {
    connection
        .prepare_cached("SELECT metric, labels, value FROM tally")?
        .query_map([], |row| {
            let labels = serde_json::from_str(row.get_ref(1)?.as_str()?)
                .map_err(|error| Error::FromSqlConversionFailure(1, Type::Text, error.into()))?;
            Ok(Tally {
                metric: row.get(0)?,
                labels,
                value: row.get(2)?,
            })
        })?
        .collect()
}

/// Bounded, so that a long queue costs each look at it no more than a few milliseconds.
fn deliveries_due(connection: &Connection, now: DateTime<Utc>) -> Result<u64> {
    let due: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM (
                 SELECT 1 FROM delivery INDEXED BY waiting_delivery
                 WHERE state = 'waiting' AND due_ms <= ?1 LIMIT 10000)",
        )?
        .query_row(params![millis(now)], |row| row.get(0))?;
    Ok(u64::try_from(due).unwrap_or(0))
}
