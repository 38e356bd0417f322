//! `backup`: what the service keeps, saved into a folder.

mod progress;

use std::{io::Write, path::PathBuf};

use clap::Args;
use serde_json::json;

pub(super) use self::progress::Bar;
use super::{World, exit, store::StoreArgs};
use crate::{
    failpoints,
    startup::upkeep::{self, BackupOrder, MadeBackup, StoreFacts},
};

/// `backup`
#[derive(Args)]
pub struct BackupArgs {
    /// The folder that gets the backup; made if missing
    pub target: PathBuf,
    /// The backup's name in it [default: postroom-backup-<UTC time>]
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: Option<String>,
    /// The agents' workspaces too
    #[arg(long)]
    pub workspaces: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which store.
    #[command(flatten)]
    pub store: StoreArgs,
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('.') || text.contains(['/', '\0']) {
        return Err("a name of a folder, without `/` and no dot at its beginning".to_owned());
    }
    Ok(text.to_owned())
}

/// Makes a backup, also while the service runs.
pub(super) fn run(args: &BackupArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    failpoints::set_up()?;
    let settings = args.store.settings(world)?;
    let order = BackupOrder {
        target: world.working_dir.join(&args.target),
        name: args.name.clone(),
        with_workspaces: args.workspaces,
        at: world.now,
    };
    let mut bar = Bar::new("copying the store", !args.json);
    let made = upkeep::backup(&settings, order, &mut |done, all| bar.show(done, all));
    bar.clear();
    let made = made?;
    if args.json {
        writeln!(output, "{:#}", as_json(&made))?;
        return Ok(exit::OK);
    }
    writeln!(output, "{}", made.path.display())?;
    let files = made.manifest.files.len();
    writeln!(output, "{files} files, {}", size(made.bytes))?;
    writeln!(output, "{}", held(&made.manifest.store))?;
    for skipped in &made.manifest.skipped {
        writeln!(output, "left out, since it is no file: {skipped}")?;
    }
    Ok(exit::OK)
}

fn as_json(made: &MadeBackup) -> serde_json::Value {
    json!({
        "path": made.path,
        "bytes": made.bytes,
        "files": made.manifest.files.len(),
        "created_at": made.manifest.created_at,
        "store": made.manifest.store,
        "with_workspaces": made.manifest.with_workspaces,
        "skipped": made.manifest.skipped,
    })
}

/// What a store holds, in one line.
pub(super) fn held(facts: &StoreFacts) -> String {
    format!(
        "{} messages ({} wait for the inbox), {} tasks ({} open), {} deliveries wait, {} dead letters",
        facts.messages,
        facts.pending_inbox,
        facts.tasks,
        facts.open_tasks,
        facts.waiting_deliveries,
        facts.dead_letters
    )
}

/// A number of bytes, for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 10 << 30 => format!("{} GiB", bytes >> 30),
        bytes if bytes >= 10 << 20 => format!("{} MiB", bytes >> 20),
        bytes if bytes >= 10 << 10 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} bytes"),
    }
}
