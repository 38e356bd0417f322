//! A look at a store from outside: nothing in it is changed, and whoever works with it goes on.

use std::{
    fs::{self, File, TryLockError},
    io::Read,
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OpenFlags};

use super::schema;

/// Who holds the lock of a store's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Nobody.
    Free,
    /// A process, by its own word.
    Held(Option<u32>),
}

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The version of its tables.
    pub schema: i64,
    /// The newest version that this program knows.
    pub known: i64,
    /// When the newest message came, where that can be read.
    pub newest: Option<DateTime<Utc>>,
    /// The inbox that its messages are for.
    pub inbox: Option<PathBuf>,
    /// Messages that wait for their file there.
    pub pending: u64,
    /// Of tables of another version nothing more is read.
    pub health: Health,
}

/// What SQLite's own quick check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Nothing is wrong.
    Sound,
    /// Its first complaint.
    Damaged(String),
    /// It took longer than it may.
    NotFinished,
}

/// Who works with the store of a folder; `None` where that cannot be told.
pub fn lock(folder: &Path) -> Option<Lock> {
    let mut file = match File::open(folder.join("lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(Lock::Free),
        Err(_unreadable) => return None,
    };
    // Given back at once; a start that comes in between asks again for a second.
    match file.try_lock_shared() {
        Ok(()) => Some(Lock::Free),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text).ok()?;
            Some(Lock::Held(text.trim().parse().ok()))
        }
        Err(TryLockError::Error(_)) => None,
    }
}

/// Reads the database of a folder; `None` where there is none. Blocks for at most about `limit`.
///
/// # Errors
/// It cannot be read, in SQLite's words.
pub fn inspect(folder: &Path, limit: Duration) -> Result<Option<Inspection>, String> {
    let path = folder.join("postroom.db");
    match fs::metadata(&path) {
        Ok(found) if found.len() > 0 => {}
        Ok(_empty) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    }
    let words = |error: rusqlite::Error| error.to_string();
    let connection = open(&path).map_err(words)?;
    connection.busy_timeout(limit).map_err(words)?;
    read(&connection, limit).map(Some).map_err(words)
}

/// A reader beside the log makes the log's index where that is missing; a database without a log is
/// read as a file that nobody changes.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let beside = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::metadata(PathBuf::from(name)).ok()
    };
    let has_log = beside("-wal").is_some_and(|log| log.len() > 0);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if has_log || beside("-shm").is_some() {
        return Connection::open_with_flags(path, flags);
    }
    let name = percent_encoding::percent_encode(
        path.as_os_str().as_encoded_bytes(),
        percent_encoding::NON_ALPHANUMERIC,
    );
    let uri = format!("file:{name}?immutable=1");
    Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
}

fn read(connection: &Connection, limit: Duration) -> rusqlite::Result<Inspection> {
    let schema = schema::schema_version(connection)?;
    let known = schema::newest_schema();
    let mut inspection = Inspection {
        schema,
        known,
        newest: None,
        inbox: None,
        pending: 0,
        health: Health::Sound,
    };
    if (1..=known).contains(&schema) {
        let newest: Option<i64> = connection
            .query_row(
                "SELECT received_ms FROM message ORDER BY seq DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .map(Some)
            .or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(None),
                error => Err(error),
            })?;
        inspection.newest = newest.and_then(DateTime::from_timestamp_millis);
        inspection.inbox = schema::remembered_inbox(connection)?;
        inspection.pending = schema::count(connection, "SELECT count(*) FROM pending_inbox")?;
    }
    inspection.health = health(connection, limit)?;
    Ok(inspection)
}

/// SQLite's quick check, interrupted when its time is up.
fn health(connection: &Connection, limit: Duration) -> rusqlite::Result<Health> {
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = channel::<()>();
    let watch = std::thread::spawn(move || {
        if is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let said: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    drop(done);
    // It only waits, and cannot fail.
    watch.join().unwrap_or_default();
    match said {
        Ok(said) if said == "ok" => Ok(Health::Sound),
        Ok(said) => Ok(Health::Damaged(said)),
        Err(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            Ok(Health::NotFinished)
        }
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            Ok(Health::Damaged(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(folder: &Path, version: i64) -> Connection {
        let connection = Connection::open(folder.join("postroom.db")).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection.execute_batch("CREATE TABLE a (b)").unwrap();
        connection
            .pragma_update(None, "user_version", version)
            .unwrap();
        connection
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_newer_store_is_told_and_no_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        drop(database(folder.path(), 99));
        let before = names(folder.path());
        let found = inspect(folder.path(), Duration::from_secs(5))
            .unwrap()
            .unwrap();
        assert_eq!((found.schema, found.known), (99, schema::newest_schema()));
        assert_eq!(found.health, Health::Sound);
        assert_eq!(names(folder.path()), before);
    }

    #[test]
    fn what_stands_in_the_log_alone_is_seen_too() {
        let folder = tempfile::tempdir().unwrap();
        let _open = database(folder.path(), 77);
        let found = inspect(folder.path(), Duration::from_secs(5))
            .unwrap()
            .unwrap();
        assert_eq!(found.schema, 77);
    }

    #[test]
    fn a_damaged_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("postroom.db"), [7_u8; 4096]).unwrap();
        assert!(inspect(folder.path(), Duration::from_secs(5)).is_err());
    }

    #[test]
    fn no_store_is_nothing_and_nobody_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(inspect(folder.path(), Duration::from_secs(5)), Ok(None));
        assert_eq!(lock(folder.path()), Some(Lock::Free));
    }

    #[test]
    fn the_holder_of_the_lock_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("lock"), "4711\n").unwrap();
        let held = File::open(folder.path().join("lock")).unwrap();
        held.try_lock().unwrap();
        assert_eq!(lock(folder.path()), Some(Lock::Held(Some(4711))));
    }
}
