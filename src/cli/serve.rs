//! `serve`: take in requests and keep them for the agent.

use crate::{
    failpoints,
    settings::Settings,
    startup::{self, Mode},
};

/// Runs the service until it is told to stop, and gives the exit code.
///
/// # Errors
/// It could not start.
pub fn run(settings: Settings) -> anyhow::Result<u8> {
    failpoints::set_up()?;
    startup::serve(settings, Mode::default())
}
