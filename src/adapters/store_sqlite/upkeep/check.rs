//! Whether a store is sound, by SQLite's rules and by ours, and what is in it.

mod inbox;
mod rules;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Result};
use serde::Serialize;

pub use self::{inbox::InboxCheck, rules::Finding};
use super::{DATABASE, StoreFacts, UpkeepError, facts};
use crate::adapters::store_sqlite::{retention, schema};

/// Faults of the file that are listed; more are of no use to anybody.
const MOST_FAULTS: u32 = 20;

/// What a check found.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// The store's folder.
    pub path: PathBuf,
    /// Neither the file nor what is in it has a fault.
    pub ok: bool,
    /// Faults of the file, in SQLite's words.
    pub damage: Vec<String>,
    /// Rows that belong to nothing, or lack what belongs to them.
    pub findings: Vec<Finding>,
    /// What it holds; `None` where that cannot be read.
    pub facts: Option<StoreFacts>,
    /// Rows by table and state, as `task.queued`.
    pub states: BTreeMap<String, u64>,
    /// When the oldest message came in that still waits for its inbox file.
    pub oldest_pending: Option<DateTime<Utc>>,
    /// Bytes of the database file.
    pub size_bytes: u64,
    /// Bytes of its log.
    pub log_bytes: u64,
    /// Bytes of the file that hold something.
    pub used_bytes: u64,
    /// Bytes of the file that are free.
    pub free_bytes: u64,
    /// Free room goes back to the disk by itself; else `postroom store compact` gives it back once.
    pub gives_back: bool,
    /// A restore was cut off when it was as good as done: the next start finishes it.
    pub restore_is_ready: bool,
    /// Stores that a restore has moved aside.
    pub aside: Vec<String>,
    /// The inbox, as far as its files tell.
    pub inbox: Option<InboxCheck>,
}

/// Looks at the store in `folder`, also while a service uses it; changes nothing.
///
/// # Errors
/// [`UpkeepError`] where there is no store or it cannot be opened at all. Damage that is found in it
/// is no error.
pub fn check(folder: &Path) -> std::result::Result<Checked, UpkeepError> {
    let database = folder.join(DATABASE);
    let restore_is_ready = folder.join("restore-ready").is_dir();
    if !database.is_file() {
        return Err(UpkeepError::NoStore(folder.to_owned()));
    }
    let mut checked = Checked {
        path: folder.to_owned(),
        ok: false,
        damage: Vec::new(),
        findings: Vec::new(),
        facts: None,
        states: BTreeMap::new(),
        oldest_pending: None,
        size_bytes: size(&database),
        log_bytes: size(&folder.join("postroom.db-wal")),
        used_bytes: 0,
        free_bytes: 0,
        gives_back: false,
        restore_is_ready,
        aside: aside(folder),
        inbox: None,
    };
    let looked = schema::open_for_reading(&database)
        .and_then(|connection| look(&connection, &mut checked))
        .map_err(|error| UpkeepError::of(&database, &error));
    match looked {
        Ok(()) => {}
        Err(UpkeepError::Damaged { reason, .. }) => checked.damage.push(reason),
        Err(error) => return Err(error),
    }
    checked.ok = checked.damage.is_empty() && checked.findings.is_empty();
    Ok(checked)
}

/// One read transaction: a service that goes on writing changes nothing of what is seen.
fn look(connection: &Connection, checked: &mut Checked) -> Result<()> {
    connection.execute_batch("BEGIN")?;
    checked.damage = faults(connection)?;
    let room = retention::room(connection)?;
    (checked.used_bytes, checked.free_bytes) = (room.used, room.free);
    let auto_vacuum: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0))?;
    checked.gives_back = auto_vacuum == 2;
    let found = facts::read(connection)?;
    let version = found.schema;
    let inbox = found.inbox.clone();
    checked.facts = Some(found);
    checked.findings = rules::broken(connection, version)?;
    checked.states = states(connection, version)?;
    checked.oldest_pending = oldest_pending(connection)?;
    checked.inbox = match inbox {
        Some(path) => Some(inbox::look(connection, path)?),
        None => None,
    };
    Ok(())
}

fn faults(connection: &Connection) -> Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA integrity_check({MOST_FAULTS})"))?;
    let said = check.query_map([], |row| row.get(0))?;
    let said: Vec<String> = said.collect::<Result<_>>()?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

fn states(connection: &Connection, version: i64) -> Result<BTreeMap<String, u64>> {
    let mut states = BTreeMap::new();
    for (table, since) in [("task", 2), ("turn", 2), ("delivery", 3)] {
        if version < since {
            continue;
        }
        let query = format!("SELECT state, count(*) FROM {table} GROUP BY state");
        let mut select = connection.prepare(&query)?;
        let rows = select.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
        })?;
        for row in rows {
            let (state, rows) = row?;
            states.insert(
                format!("{table}.{state}"),
                u64::try_from(rows).unwrap_or_default(),
            );
        }
    }
    Ok(states)
}

fn oldest_pending(connection: &Connection) -> Result<Option<DateTime<Utc>>> {
    let oldest: Option<i64> = connection
        .query_row(
            "SELECT received_ms FROM pending_inbox JOIN message USING (seq)
             ORDER BY pending_inbox.seq LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(oldest.and_then(DateTime::from_timestamp_millis))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |facts| facts.len())
}

fn aside(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut aside: Vec<String> = names
        .filter(|name| name.starts_with("before-restore-"))
        .collect();
    aside.sort();
    aside
}
