//! `store check|compact`: the store's files.

mod report;

use std::{io::Write, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{World, backup::size, exit};
use crate::{
    settings::{self, ConfigError, Flags, Settings},
    startup::upkeep,
};

/// Which store a command is for: the flags of `serve` that say so.
#[derive(Args)]
pub struct StoreArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the service [default: ~/.postroom]
    #[arg(long, value_name = "DIR")]
    pub base_dir: Option<PathBuf>,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    pub store: Option<String>,
    /// The inbox
    #[arg(long, value_name = "DIR")]
    pub inbox: Option<String>,
}

impl StoreArgs {
    /// The settings that a service with these flags would have.
    pub(super) fn settings(&self, world: &World) -> Result<Settings, ConfigError> {
        let flags = Flags {
            config: self.config.clone(),
            base_dir: self.base_dir.clone(),
            store: self.store.clone(),
            inbox: self.inbox.clone(),
            // Who may come in is no question of the store's.
            allow_unauthenticated: true,
            ..Flags::default()
        };
        settings::load(world.sources(flags, "postroom"))
    }
}

/// `store`
#[derive(Args)]
pub struct StoreVerbs {
    /// What about it.
    #[command(subcommand)]
    pub verb: StoreVerb,
}

/// The verbs of `store`.
#[derive(Subcommand)]
pub enum StoreVerb {
    /// Say whether the store is sound, and what is in it; changes nothing
    Check(FileArgs),
    /// Write the store anew without the room that is free in it, while no service runs
    Compact(FileArgs),
}

/// What both take.
#[derive(Args)]
pub struct FileArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Looks after the store's files.
pub(super) fn run(verbs: &StoreVerbs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    match &verbs.verb {
        StoreVerb::Check(args) => check(args, world, output),
        StoreVerb::Compact(args) => compact(args, world, output),
    }
}

/// 0: all is well; 65: it is damaged.
fn check(args: &FileArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let settings = args.store.settings(world)?;
    let checked = upkeep::check(&settings.store.path)?;
    if args.json {
        writeln!(output, "{:#}", serde_json::to_value(&checked)?)?;
    } else {
        write!(output, "{}", report::text(&checked))?;
    }
    Ok(if checked.ok { exit::OK } else { exit::DATA })
}

fn compact(args: &FileArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let settings = args.store.settings(world)?;
    let done = upkeep::compact(&settings.store.path)?;
    if args.json {
        writeln!(output, "{:#}", json!(done))?;
    } else {
        let (before, after) = (size(done.before), size(done.after));
        writeln!(output, "compacted: {before} before, {after} now")?;
    }
    Ok(exit::OK)
}
