//! `control/agent.json`: what is kept of an agent beside the configuration.
//!
//! Keys that are not ours stay, and so do all other files of the folder.

use postroom_actors::ports::turns::{HiredAgent, WorkspaceError};
use serde_json::{Map, Value};

use super::{Folder, invalid};

const FILE: &str = "agent.json";
const CLI: &str = "cli";
const STOPPED: &str = "stopped";
const REMOVED: &str = "removed";

/// What is kept; nothing where there is no file.
pub(super) fn read(control: &Folder) -> Result<HiredAgent, WorkspaceError> {
    let kept = object(control)?.unwrap_or_default();
    let cli = kept.get(CLI).and_then(Value::as_str);
    Ok(HiredAgent {
        cli: cli.filter(|cli| !cli.is_empty()).map(str::to_owned),
        is_stopped: kept.get(STOPPED) == Some(&Value::Bool(true)),
    })
}

/// Whether the agent was removed, and its workspace left.
pub(super) fn is_removed(control: &Folder) -> Result<bool, WorkspaceError> {
    let kept = object(control)?.unwrap_or_default();
    Ok(kept.get(REMOVED) == Some(&Value::Bool(true)))
}

/// Keeps that the agent was removed.
pub(super) fn note_removed(control: &Folder) -> Result<(), WorkspaceError> {
    update(control, |kept| {
        kept.insert(REMOVED.to_owned(), Value::from(true));
    })
}

/// Keeps what `hired` says: a command, or that the agent is stopped. A removed one is back.
pub(super) fn keep(control: &Folder, hired: &HiredAgent) -> Result<(), WorkspaceError> {
    update(control, |kept| {
        kept.remove(REMOVED);
        if let Some(cli) = &hired.cli {
            kept.insert(CLI.to_owned(), Value::from(cli.as_str()));
        }
        if hired.is_stopped || !kept.contains_key(STOPPED) {
            kept.insert(STOPPED.to_owned(), Value::from(hired.is_stopped));
        }
    })
}

/// Keeps whether the agent is stopped.
pub(super) fn note_stopped(control: &Folder, is_stopped: bool) -> Result<(), WorkspaceError> {
    update(control, |kept| {
        kept.insert(STOPPED.to_owned(), Value::from(is_stopped));
    })
}

fn update(
    control: &Folder,
    change: impl FnOnce(&mut Map<String, Value>),
) -> Result<(), WorkspaceError> {
    let old = object(control)?;
    let mut kept = old.clone().unwrap_or_default();
    change(&mut kept);
    if old.as_ref() == Some(&kept) {
        return Ok(());
    }
    let text = format!("{:#}\n", Value::Object(kept));
    control.replace(FILE, text.as_bytes())
}

fn object(control: &Folder) -> Result<Option<Map<String, Value>>, WorkspaceError> {
    let Some(content) = control.read(FILE)? else {
        return Ok(None);
    };
    match serde_json::from_slice(&content) {
        Ok(kept) => Ok(Some(kept)),
        Err(_) => Err(invalid(
            &control.path().join(FILE),
            "it is not a JSON object; mend it, or remove it",
        )),
    }
}
