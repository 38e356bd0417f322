//! The ports of `postroom-actors`, implemented: disk, network, clock.

pub mod agent_inboxes;
pub mod backups;
pub mod cli_dialects;
pub mod disk;
pub mod inbox_files;
pub mod otlp;
pub mod peer_http;
pub mod program_probe;
pub mod store_sqlite;
pub mod system_clock;
pub mod tls_certificate;
pub mod transcripts;
pub mod turn_process;
pub mod upstream_http;
pub mod workspaces;
