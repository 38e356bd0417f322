//! Keeping the store within its size: the oldest that is done goes first, and what is free goes back
//! to the disk. Removing by age is with each table's own changes.

use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::domain::ids::MessageId;
use rusqlite::{Connection, Result};

use super::{
    changes::{Ledger, rows_changed},
    deliveries, mailbox, tasks, turns,
};

/// Whoever waits for the end of a task or delivery has this long to see it.
const SEEN_WITHIN: TimeDelta = TimeDelta::minutes(1);

/// Rows removed between two looks at the size.
const BETWEEN_LOOKS: usize = 4;

/// How the pages of the file are used, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) used: u64,
    pub(super) free: u64,
}

/// What the file holds, as of the connection's transaction; the log's part is counted in.
pub(super) fn room(connection: &Connection) -> Result<Room> {
    let number = |pragma| {
        let value: Result<i64> = connection.pragma_query_value(None, pragma, |row| row.get(0));
        value.map(|value| u64::try_from(value).unwrap_or(0))
    };
    let (pages, free) = (number("page_count")?, number("freelist_count")?);
    let page = number("page_size")?;
    Ok(Room {
        used: pages.saturating_sub(free).saturating_mul(page),
        free: free.saturating_mul(page),
    })
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Message,
    Task,
    Delivery,
    Turn,
}

/// Removes what is done, oldest first, until the store uses at most `max_bytes`, but at most `limit`
/// rows; answers how many.
pub(super) fn prune_to_size(
    connection: &Connection,
    ledger: &mut Ledger,
    now: DateTime<Utc>,
    max_bytes: u64,
    limit: usize,
) -> Result<usize> {
    if room(connection)?.used <= max_bytes {
        return Ok(0);
    }
    let mut removed = 0;
    for some in oldest_done(connection, now, limit)?.chunks(BETWEEN_LOOKS) {
        for (id, seq, kind) in some {
            match kind {
                Kind::Message => mailbox::remove_done(connection, ledger, *seq)?,
                Kind::Task => tasks::remove_done(connection, *seq, *id)?,
                Kind::Delivery => deliveries::remove_done(connection, *seq, *id)?,
                Kind::Turn => turns::remove_done(connection, *seq)?,
            }
        }
        removed += some.len();
        if room(connection)?.used <= max_bytes {
            break;
        }
    }
    Ok(removed)
}

/// Ids begin with their time, so they tell what is older across the tables.
fn oldest_done(
    connection: &Connection,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<(MessageId, i64, Kind)>> {
    let rows = rows_changed(limit);
    let seen = now.checked_sub_signed(SEEN_WITHIN).unwrap_or_default();
    let of = |kind, found: Vec<(i64, MessageId)>| {
        found.into_iter().map(move |(seq, id)| (id, seq, kind))
    };
    let mut oldest: Vec<(MessageId, i64, Kind)> = Vec::new();
    // A clock that went back must not keep messages from being found.
    let ever = now.checked_add_signed(TimeDelta::days(365)).unwrap_or(now);
    oldest.extend(of(
        Kind::Message,
        mailbox::done_before(connection, ever, rows)?,
    ));
    oldest.extend(of(Kind::Task, tasks::done_before(connection, seen, rows)?));
    oldest.extend(of(
        Kind::Delivery,
        deliveries::done_before(connection, seen, rows)?,
    ));
    oldest.extend(of(Kind::Turn, turns::done_before(connection, seen, rows)?));
    oldest.sort_unstable_by_key(|(id, _seq, _kind)| id.as_uuid());
    oldest.truncate(limit);
    Ok(oldest)
}

/// Gives free pages at the end of the file back, after moving others there; answers how many. A file
/// that was made without `auto_vacuum` has nothing to give.
pub(super) fn give_back(connection: &Connection, pages: usize) -> Result<i64> {
    let before: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    drop(steps);
    let after: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(before.saturating_sub(after))
}
