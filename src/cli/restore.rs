//! `restore`: a backup in the place of the store.

use std::{io::Write, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    World,
    backup::{Bar, held},
    exit,
    store::StoreArgs,
};
use crate::{
    failpoints,
    startup::upkeep::{self, Placed, Restored},
};

/// `restore`
#[derive(Args)]
pub struct RestoreArgs {
    /// The backup's folder
    pub backup: PathBuf,
    /// Also where its messages wait for another inbox than the one here: they are written here
    #[arg(long)]
    pub force: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Puts the backup in place while no service runs, and says what follows from it.
pub(super) fn run(args: &RestoreArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    failpoints::set_up()?;
    let path = world.working_dir.join(&args.backup);
    let mut bar = Bar::new("writing the store", !args.json);
    let restored = upkeep::restore(
        &path,
        || args.store.settings(world),
        args.force,
        world.now,
        &mut |done, all| bar.show(done, all),
    );
    bar.clear();
    let restored = restored?;
    if args.json {
        writeln!(output, "{:#}", as_json(&restored))?;
    } else {
        tell(&restored, output)?;
    }
    Ok(exit::OK)
}

fn tell(restored: &Restored, output: &mut dyn Write) -> anyhow::Result<()> {
    let facts = &restored.manifest.store;
    writeln!(output, "restored: {}", restored.store.display())?;
    writeln!(output, "  {}", held(facts))?;
    let at = restored.manifest.created_at.format("%Y-%m-%d %H:%M:%S UTC");
    writeln!(
        output,
        "  it is as of {at}: what was accepted later is not in it"
    )?;
    if let Some(aside) = &restored.aside {
        writeln!(
            output,
            "  the store that was there is in {}; remove it when you need it no more",
            aside.display()
        )?;
    }
    for placed in &restored.placed {
        match placed {
            Placed::New(path) => writeln!(output, "  put in place: {}", path.display())?,
            Placed::Kept(path) => writeln!(
                output,
                "  left as it is, the backup has another: {}",
                path.display()
            )?,
            Placed::Same(_) => {}
        }
    }
    writeln!(output, "at the next start:")?;
    for line in what_follows(restored) {
        writeln!(output, "  {line}")?;
    }
    Ok(())
}

/// What the service will do with what it finds in the store, since it cannot know what happened
/// after the backup.
fn what_follows(restored: &Restored) -> Vec<String> {
    let facts = &restored.manifest.store;
    let mut lines = Vec::new();
    if facts.pending_inbox > 0 {
        let (pending, inbox) = (facts.pending_inbox, restored.inbox.display());
        lines.push(format!(
            "{pending} messages are written to {inbox}, under the names they would have had before"
        ));
    }
    if facts.open_tasks > 0 {
        let tasks = facts.open_tasks;
        lines.push(format!(
            "{tasks} tasks wait or ran at the time: they are done, also where they were done since"
        ));
    }
    if facts.waiting_deliveries > 0 {
        let deliveries = facts.waiting_deliveries;
        lines.push(format!(
            "{deliveries} messages are delivered, also where they have arrived since; their ids are the same, so who keeps ids sees them once"
        ));
    }
    lines.push(
        "a message that came after the backup and is sent again is taken for a new one".to_owned(),
    );
    lines
}

fn as_json(restored: &Restored) -> Value {
    let of = |wanted: fn(&Placed) -> Option<&PathBuf>| -> Vec<&PathBuf> {
        restored.placed.iter().filter_map(wanted).collect()
    };
    let new = of(|placed| match placed {
        Placed::New(path) => Some(path),
        _ => None,
    });
    let kept = of(|placed| match placed {
        Placed::Kept(path) => Some(path),
        _ => None,
    });
    json!({
        "store": restored.store,
        "aside": restored.aside,
        "as_of": restored.manifest.created_at,
        "holds": restored.manifest.store,
        "inbox": restored.inbox,
        "inbox_changed": restored.is_other_inbox,
        "put_in_place": new,
        "left_as_it_is": kept,
    })
}
