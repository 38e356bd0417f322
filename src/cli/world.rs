//! What a command takes from the process it runs in.

use std::{
    ffi::OsString,
    io::{self, IsTerminal},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use clap::Args;

use super::agent_view::Paint;
use crate::settings::{ConfigError, Flags, Sources, home};

/// Which service a command is for.
#[derive(Args)]
pub struct HomeArgs {
    /// Folder of the service [default: ~/.postroom]
    #[arg(long, value_name = "DIR")]
    pub base_dir: Option<PathBuf>,
}

impl HomeArgs {
    pub(super) fn folder(&self, world: &World) -> Result<PathBuf, ConfigError> {
        let flags = Flags {
            base_dir: self.base_dir.clone(),
            ..Flags::default()
        };
        home(&world.sources(flags, "postroom"))
    }
}

/// What a command takes from the process it runs in.
#[derive(Clone)]
pub struct World {
    /// All variables of the environment.
    pub environment: Vec<(String, String)>,
    /// The working directory.
    pub working_dir: PathBuf,
    /// The user's home directory.
    pub home_dir: Option<PathBuf>,
    /// Our own program.
    pub executable: PathBuf,
    /// When the command was given.
    pub now: DateTime<Utc>,
    /// Somebody reads what we print, on a terminal.
    pub is_terminal: bool,
}

impl World {
    /// The process we run in. Variables that are not UTF-8 are passed over.
    ///
    /// # Errors
    /// The working directory is gone.
    #[expect(
        clippy::disallowed_methods,
        reason = "a command is given its time here, once"
    )]
    pub fn of_this_process() -> io::Result<Self> {
        let text = |(key, value): (OsString, OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Ok(Self {
            environment: std::env::vars_os().filter_map(text).collect(),
            working_dir: std::env::current_dir()?,
            home_dir: std::env::var_os("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from),
            executable: std::env::current_exe()?,
            now: Utc::now(),
            is_terminal: io::stdout().is_terminal(),
        })
    }

    /// A variable that is set to something.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let mut set = self.environment.iter();
        let (_, value) = set.find(|(key, value)| key == name && !value.is_empty())?;
        Some(value)
    }

    /// Colours on a terminal that has them, for people who want them.
    pub(super) fn paint(&self) -> Paint {
        let is_refused =
            self.variable("NO_COLOR").is_some() || self.variable("TERM") == Some("dumb");
        Paint {
            colours: self.is_terminal && !is_refused,
        }
    }

    pub(super) fn sources(&self, flags: Flags, program_name: &str) -> Sources {
        Sources {
            flags,
            environment: self.environment.clone(),
            working_dir: self.working_dir.clone(),
            home_dir: self.home_dir.clone(),
            program_name: program_name.to_owned(),
        }
    }
}
