//! Opening the database: its settings, its tables, the inbox that it belongs to.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, config::DbConfig,
    params,
};

use super::OpenError;

/// Each step takes the schema one version further; a step that has been released never changes.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];

/// A request of 60 KB takes few pages of this size, which is what its commit costs; a small message
/// alone does not gain by smaller ones. Measured: 8 KiB is a third slower with large requests.
pub(super) const PAGE_BYTES: u32 = 16384;
/// Negative: in KiB. What one writer touches again and again is a handful of pages.
const WRITER_CACHE: i64 = -2048;
const READER_CACHE: i64 = -512;
/// The log file is cut to this size once it has been copied.
const LOG_BYTES_KEPT: i64 = 64 << 20;
/// How long an outside program (a backup, `sqlite3`) may hold us up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The newest version that is known here.
pub fn newest_schema() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Opens the connection that writes, and brings the tables up to date.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, OpenError> {
    let fails = |error: rusqlite::Error| database_error(path, &error);
    let mut connection = connect_for_writing(path).map_err(fails)?;
    let found = schema_version(&connection).map_err(fails)?;
    let known = newest_schema();
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    make_durable(&connection).map_err(fails)?;
    check_durable(&connection).map_err(fails)??;
    migrate(&mut connection, found).map_err(fails)?;
    Ok(connection)
}

/// Opens the writing connection of a store that this process has open already.
pub(super) fn reopen_for_writing(path: &Path) -> rusqlite::Result<Connection> {
    super::failpoints::open_fault()?;
    let connection = connect_for_writing(path)?;
    make_durable(&connection)?;
    match check_durable(&connection)? {
        Ok(()) => Ok(connection),
        Err(_not_durable) => Err(rusqlite::Error::InvalidQuery),
    }
}

/// Opens a connection that only reads.
pub(super) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", READER_CACHE)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    keep_log_on_close(&connection)?;
    Ok(connection)
}

pub(super) fn connect_for_writing(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    keep_log_on_close(&connection)?;
    Ok(connection)
}

/// Closing after a fault must not try the fault's file handles once more.
fn keep_log_on_close(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    // The page size counts only while the file is empty, and only before the log exists.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    // So does this: pages that are free can be given back without stopping.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_row| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.query_row(
        &format!("PRAGMA journal_size_limit = {LOG_BYTES_KEPT}"),
        [],
        |_row| Ok(()),
    )?;
    // The writer copies the log itself, after it has resolved the receipts.
    connection.query_row("PRAGMA wal_autocheckpoint = 0", [], |_row| Ok(()))
}

fn check_durable(connection: &Connection) -> rusqlite::Result<Result<(), OpenError>> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    Ok(match (mode.as_str(), synchronous) {
        ("wal", 2) => Ok(()),
        ("wal", other) => Err(OpenError::NotDurable {
            setting: "synchronous",
            found: other.to_string(),
        }),
        (_, _) => Err(OpenError::NotDurable {
            setting: "journal_mode",
            found: mode,
        }),
    })
}

pub(super) fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    let done = usize::try_from(found).unwrap_or(0);
    for (index, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = exclusively(connection)?;
        transaction.execute_batch(step)?;
        let version = i64::try_from(index.saturating_add(1)).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

fn exclusively(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Remembers the inbox that the store's messages are for; it changes only while none waits.
pub(super) fn take_over_inbox(
    connection: &Connection,
    path: &Path,
    inbox: &Path,
) -> Result<(), OpenError> {
    let fails = |error: rusqlite::Error| database_error(path, &error);
    let remembered = remembered_inbox(connection).map_err(fails)?;
    if remembered.as_deref() == Some(inbox) {
        return Ok(());
    }
    let pending = count(connection, "SELECT count(*) FROM pending_inbox").map_err(fails)?;
    match remembered {
        Some(remembered) if pending > 0 => Err(OpenError::OtherInbox {
            remembered,
            pending,
        }),
        _ => remember_inbox(connection, inbox).map_err(fails),
    }
}

pub(super) fn remembered_inbox(connection: &Connection) -> rusqlite::Result<Option<PathBuf>> {
    let query = "SELECT value FROM meta WHERE key = 'inbox'";
    let bytes: Option<Vec<u8>> = connection
        .query_row(query, [], |row| row.get(0))
        .optional()?;
    Ok(bytes.map(|bytes| PathBuf::from(OsStr::from_bytes(&bytes))))
}

pub(super) fn remember_inbox(connection: &Connection, inbox: &Path) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO meta (key, value) VALUES ('inbox', ?1)",
        params![inbox.as_os_str().as_bytes()],
    )?;
    Ok(())
}

/// Answers a query for one number that is never negative.
pub(super) fn count(connection: &Connection, query: &str) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_row(query, [], |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn database_error(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Database {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
