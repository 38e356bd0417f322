//! `serve`: take in requests and keep them for the agent.

use crate::settings::Settings;

/// Runs the service until it is told to stop.
///
/// # Errors
/// It could not start, or ended with work undone.
#[expect(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "the service is put in here"
)]
pub fn run(settings: Settings) -> anyhow::Result<()> {
    drop(settings);
    Ok(())
}
