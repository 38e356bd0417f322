//! What must hold between the tables. A store that keeps these was written by us alone.

use rusqlite::{Connection, Result};
use serde::Serialize;

use crate::adapters::store_sqlite::schema::count;

/// A rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which one, as `body_without_message`.
    pub rule: &'static str,
    /// How many rows break it.
    pub rows: u64,
}

/// The schema that brought it, its name, and the query that counts what breaks it.
type Rule = (i64, &'static str, &'static str);

const RULES: [Rule; 18] = [
    (
        1,
        "body_without_message",
        "SELECT count(*) FROM body WHERE seq NOT IN (SELECT seq FROM message)",
    ),
    (
        1,
        "pending_inbox_without_message",
        "SELECT count(*) FROM pending_inbox WHERE seq NOT IN (SELECT seq FROM message)",
    ),
    (
        1,
        "exchange_without_message",
        "SELECT count(*) FROM exchange WHERE seq NOT IN (SELECT seq FROM message)",
    ),
    (
        1,
        "reply_without_message",
        "SELECT count(*) FROM reply WHERE seq NOT IN (SELECT seq FROM message)",
    ),
    (
        1,
        "context_without_message",
        "SELECT count(*) FROM context WHERE newest NOT IN (SELECT seq FROM message)",
    ),
    (
        2,
        "task_body_without_task",
        "SELECT count(*) FROM task_body WHERE seq NOT IN (SELECT seq FROM task)",
    ),
    (
        2,
        "open_task_without_body",
        "SELECT count(*) FROM task WHERE ended_ms IS NULL AND seq NOT IN (SELECT seq FROM task_body)",
    ),
    (
        2,
        "running_task_without_turn",
        "SELECT count(*) FROM task WHERE state = 'running' AND ended_ms IS NULL
           AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.id = task.turn)",
    ),
    (
        2,
        "ended_task_in_an_open_state",
        "SELECT count(*) FROM task WHERE (ended_ms IS NULL) <> (state IN ('queued', 'running'))",
    ),
    (
        2,
        "turn_task_without_turn",
        "SELECT count(*) FROM turn_task WHERE turn NOT IN (SELECT seq FROM turn)",
    ),
    (
        2,
        "turn_without_tasks",
        "SELECT count(*) FROM turn WHERE ended_ms IS NULL
           AND seq NOT IN (SELECT turn FROM turn_task)",
    ),
    (
        3,
        "message_task_without_envelope",
        "SELECT count(*) FROM task WHERE origin = 'message' AND ended_ms IS NULL
           AND id NOT IN (SELECT id FROM envelope)",
    ),
    (
        3,
        "delivery_without_body",
        "SELECT count(*) FROM delivery WHERE seq NOT IN (SELECT seq FROM delivery_body)",
    ),
    (
        3,
        "delivery_body_without_delivery",
        "SELECT count(*) FROM delivery_body WHERE seq NOT IN (SELECT seq FROM delivery)",
    ),
    (
        3,
        "delivery_without_envelope",
        "SELECT count(*) FROM delivery WHERE id NOT IN (SELECT id FROM envelope)",
    ),
    (
        3,
        "attempt_without_delivery",
        "SELECT count(*) FROM attempt WHERE delivery NOT IN (SELECT seq FROM delivery)",
    ),
    (
        3,
        "envelope_without_message",
        "SELECT count(*) FROM envelope WHERE id NOT IN (SELECT id FROM task)
           AND id NOT IN (SELECT id FROM delivery)",
    ),
    (
        4,
        "tally_that_is_none",
        "SELECT count(*) FROM tally WHERE value < 0 OR NOT json_valid(labels)",
    ),
];

/// The rules of a schema that do not hold.
pub(super) fn broken(connection: &Connection, version: i64) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (_since, rule, query) in RULES.iter().filter(|(since, ..)| *since <= version) {
        let rows = count(connection, query)?;
        if rows > 0 {
            found.push(Finding { rule, rows });
        }
    }
    Ok(found)
}
