//! Why the service could not start, and the exit code that says so.

use std::{io, path::PathBuf};

use postroom_actors::ports::{InboxError, turns::WorkspaceError};
use thiserror::Error;

use crate::adapters::{
    otlp::OtlpError, store_sqlite::OpenError, tls_certificate::CertificateError,
};

/// The service could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The inbox folder cannot be used.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(#[source] io::Error),
    /// The keys of turns cannot be made.
    #[error("the keys of turns cannot be made")]
    Tokens,
    /// A workspace of an agent cannot be used.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The address of a listener beside the main one cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; choose another `{table}.host` or `{table}.port`{}",
        who_may_hold(table)
    )]
    ListenBeside {
        /// What was asked for.
        address: String,
        /// Where it was said.
        table: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The template of reply instructions is there and cannot be read.
    #[error("cannot read the template `{}`: {source}; it is a text in UTF-8", .path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificate of the listener cannot be used.
    #[error("{0} (`server.tls_cert`, `server.tls_key`)")]
    Tls(#[from] CertificateError),
    /// Traces cannot be sent.
    #[error(transparent)]
    Traces(#[from] OtlpError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another `server.host` or `server.port`")]
    Listen {
        /// What was asked for.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

fn who_may_hold(table: &str) -> &'static str {
    if table == "bridge" {
        " (`postroom bridge run`, a `postroom serve` with `[bridge]` and OpenClaw's plugin `proxy-bridge` use the same)"
    } else {
        ""
    }
}

/// Exit codes after sysexits(3).
impl StartError {
    /// 75 for a store in use, 65 for one of a newer version, 78 for a wrong inbox, template, certificate or collector, 74 for disks, 1 for addresses.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(OpenError::InUse { .. }) => 75,
            Self::Store(OpenError::NewerSchema { .. }) => 65,
            Self::Store(OpenError::OtherInbox { .. })
            | Self::Template { .. }
            | Self::Tls(_)
            | Self::Traces(OtlpError::Settings(_)) => 78,
            Self::Store(_) | Self::Inbox(_) | Self::Workspace(_) => 74,
            Self::Listen { .. }
            | Self::ListenBeside { .. }
            | Self::Random(_)
            | Self::Tokens
            | Self::Traces(OtlpError::Thread(_)) => 1,
        }
    }
}
