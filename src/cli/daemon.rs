//! `daemon`: the service with its agents; the manager is always there and takes what names nobody.

use std::time::Duration;

use crate::{
    failpoints,
    settings::{Flags, Settings, duration},
    startup::{self, Mode},
};

/// `daemon`: the flags of `serve`, and more
#[derive(clap::Args)]
pub struct DaemonArgs {
    /// The flags of `serve`.
    #[command(flatten)]
    pub flags: Flags,
    /// Address to listen on; the same as --host
    #[arg(long, value_name = "HOST", conflicts_with = "host")]
    pub api_host: Option<String>,
    /// Port to listen on; the same as --port
    #[arg(
        long,
        value_name = "PORT",
        conflicts_with = "port",
        allow_hyphen_values = true
    )]
    pub api_port: Option<String>,
    /// How often daily notes and workspaces made by hand are looked after
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = interval)]
    pub interval: Duration,
    /// Look after notes and workspaces once, then exit
    #[arg(long)]
    pub once: bool,
}

fn interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Some(interval) if !interval.is_zero() => Ok(interval),
        Some(_) => Err("the interval must be longer than 0".to_owned()),
        None => Err(duration::EXPECTED.to_owned()),
    }
}

impl DaemonArgs {
    /// The settings' flags, and how to run.
    pub(super) fn split(self) -> (Flags, Mode) {
        let mode = Mode {
            with_manager: true,
            once: self.once,
            interval: self.interval,
        };
        let flags = Flags {
            host: self.api_host.or(self.flags.host),
            port: self.api_port.or(self.flags.port),
            ..self.flags
        };
        (flags, mode)
    }
}

/// Runs the service until it is told to stop, and gives the exit code.
///
/// # Errors
/// It could not start.
pub(super) fn run(settings: Settings, mode: Mode) -> anyhow::Result<u8> {
    failpoints::set_up()?;
    startup::serve(settings, mode)
}
