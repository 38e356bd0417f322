//! Named places at which a test makes the broker die, wait or fail.
//!
//! Only a build with the feature `failpoints` has them. `POSTROOM_FAILPOINTS` is a list such as
//! `store::before_commit=20*off->abort;inbox::mid_write=sleep(100)`: the actions of the crate
//! `fail`, and `abort`, which ends the process as a kill would.

/// Sets the failpoints that the environment names.
///
/// # Errors
/// Where the list cannot be read.
#[cfg(feature = "failpoints")]
pub fn set_up() -> anyhow::Result<()> {
    let Ok(list) = std::env::var("POSTROOM_FAILPOINTS") else {
        return Ok(());
    };
    for entry in list.split(';').filter(|entry| !entry.is_empty()) {
        let (name, actions) = entry
            .split_once('=')
            .ok_or_else(|| anyhow::anyhow!("no `=` in `{entry}`"))?;
        set(name, actions).map_err(|problem| anyhow::anyhow!("failpoint `{name}`: {problem}"))?;
    }
    Ok(())
}

/// Sets nothing: this build has no failpoints.
///
/// # Errors
/// None.
#[cfg(not(feature = "failpoints"))]
pub fn set_up() -> anyhow::Result<()> {
    Ok(())
}

/// `N*off->abort` and `abort` are ours, since the crate can panic but not end the process.
#[cfg(feature = "failpoints")]
fn set(name: &str, actions: &str) -> Result<(), String> {
    use std::sync::atomic::{AtomicU64, Ordering};
    let Some(before) = actions.strip_suffix("abort") else {
        return fail::cfg(name, actions);
    };
    let passes = match before.strip_suffix("*off->") {
        Some(count) => count
            .parse()
            .map_err(|error| format!("`{count}`: {error}"))?,
        None => 0,
    };
    let left: AtomicU64 = AtomicU64::new(passes);
    fail::cfg_callback(name, move || {
        let over = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        if over.is_err() {
            std::process::abort();
        }
    })
}
