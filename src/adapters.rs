//! The ports of `postroom-actors`, implemented: disk, network, clock.

pub mod inbox_files;
pub mod store_sqlite;
pub mod system_clock;
pub mod upstream_http;
