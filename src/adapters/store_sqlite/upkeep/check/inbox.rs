//! The inbox folder beside what the store says of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use postroom_actors::domain::ids::MessageId;
use rusqlite::{Connection, Result};
use serde::Serialize;

use crate::adapters::store_sqlite::rows::{message_id, time};

/// Messages looked up in the folder, at most.
const MOST: usize = 100_000;

/// What the inbox folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InboxCheck {
    /// The folder that the store's messages are for.
    pub path: PathBuf,
    /// Whether it can be read.
    pub is_readable: bool,
    /// Items that lie there; the agent takes them away.
    pub files: u64,
    /// Files that were being written when a service was killed; the next start removes them.
    pub leftovers: u64,
    /// Messages whose file lies there although the store takes them for unwritten: they are written
    /// once more under the same name.
    pub written_but_pending: u64,
}

pub(super) fn look(connection: &Connection, path: PathBuf) -> Result<InboxCheck> {
    let written = pending_files(connection)?
        .iter()
        .filter(|name| path.join(name).is_file())
        .count();
    let names = names(&path);
    let count = |wanted: fn(&str) -> bool| {
        let names = names.iter().flatten();
        u64::try_from(names.filter(|name| wanted(name)).count()).unwrap_or(u64::MAX)
    };
    Ok(InboxCheck {
        is_readable: names.is_some(),
        files: count(|name| ends_with(name, "json") && !name.starts_with('.')),
        leftovers: count(|name| name.starts_with('.') && ends_with(name, "tmp")),
        written_but_pending: u64::try_from(written).unwrap_or(u64::MAX),
        path,
    })
}

fn ends_with(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == extension)
}

fn pending_files(connection: &Connection) -> Result<Vec<String>> {
    let query = format!(
        "SELECT id, received_ms FROM pending_inbox JOIN message USING (seq)
         ORDER BY pending_inbox.seq LIMIT {MOST}"
    );
    let mut select = connection.prepare(&query)?;
    let names = select.query_map([], |row| {
        let id: MessageId = message_id(row, 0)?;
        Ok(id.file_name(time(row, 1)?))
    })?;
    names.collect()
}

fn names(path: &Path) -> Option<Vec<String>> {
    let entries = fs::read_dir(path).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Some(names.collect())
}
