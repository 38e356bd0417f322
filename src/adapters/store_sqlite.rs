//! The message store in SQLite.
