//! What a store holds, in numbers.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Result};
use serde::{Deserialize, Serialize};

use super::UpkeepError;
use crate::adapters::store_sqlite::schema::{self, count};

/// What a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreFacts {
    /// The schema's version.
    pub schema: i64,
    /// The inbox that its messages are for.
    pub inbox: Option<PathBuf>,
    /// Messages of the mailbox.
    pub messages: u64,
    /// Those whose inbox file is not written.
    pub pending_inbox: u64,
    /// Tasks of agents.
    pub tasks: u64,
    /// Those that wait or are worked on.
    pub open_tasks: u64,
    /// Messages that wait to be delivered.
    pub waiting_deliveries: u64,
    /// Messages that were given up and that nobody has dropped.
    pub dead_letters: u64,
}

/// The numbers of a store that nobody writes to, such as a backup's.
///
/// # Errors
/// [`UpkeepError::Damaged`] or [`UpkeepError::Database`].
pub fn facts(database: &Path) -> std::result::Result<StoreFacts, UpkeepError> {
    let fails = |error: rusqlite::Error| UpkeepError::of(database, &error);
    let connection = schema::open_for_reading(database).map_err(fails)?;
    read(&connection).map_err(fails)
}

pub(super) fn read(connection: &Connection) -> Result<StoreFacts> {
    let schema = schema::schema_version(connection)?;
    // Tables that a later schema brought.
    let since = |version: i64, query: String| match schema {
        found if found < version => Ok(0),
        _ => count(connection, &query),
    };
    let dead_tasks = format!(
        "SELECT count(*) FROM task WHERE {}",
        crate::adapters::store_sqlite::tasks::IS_DEAD_LETTER
    );
    let dead = since(3, dead_tasks)?.saturating_add(since(
        3,
        "SELECT count(*) FROM delivery WHERE state = 'dead'".to_owned(),
    )?);
    Ok(StoreFacts {
        schema,
        inbox: schema::remembered_inbox(connection)?,
        messages: since(1, "SELECT count(*) FROM message".to_owned())?,
        pending_inbox: since(1, "SELECT count(*) FROM pending_inbox".to_owned())?,
        tasks: since(2, "SELECT count(*) FROM task".to_owned())?,
        open_tasks: since(
            2,
            "SELECT count(*) FROM task WHERE ended_ms IS NULL".to_owned(),
        )?,
        waiting_deliveries: since(
            3,
            "SELECT count(*) FROM delivery WHERE state = 'waiting'".to_owned(),
        )?,
        dead_letters: dead,
    })
}
