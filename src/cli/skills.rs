//! `skills install`: writes what agents are given to read.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::exit;
use crate::settings::{Sources, home};

/// `skills`
#[derive(Args)]
pub struct SkillsArgs {
    /// What about them.
    #[command(subcommand)]
    pub verb: SkillsVerb,
}

/// The verbs of `skills`.
#[derive(Subcommand)]
pub enum SkillsVerb {
    /// Write the skills into a folder
    Install {
        /// The folder [default: skills in the home folder]
        dir: Option<PathBuf>,
        /// Also overwrite files that were changed
        #[arg(long)]
        force: bool,
        /// Folder for what is ours [default: ~/.postroom]
        #[arg(long, value_name = "DIR")]
        base_dir: Option<PathBuf>,
    },
}

/// What is written: each skill in a folder of its name, and what belongs to it.
pub(super) const FILES: [(&str, &str); 5] = [
    (
        "work-an-inbox/SKILL.md",
        include_str!("../../skills/work-an-inbox/SKILL.md"),
    ),
    (
        "context-cache/SKILL.md",
        include_str!("../../skills/context-cache/SKILL.md"),
    ),
    (
        "openclaw-outbound-message/SKILL.md",
        include_str!("../../skills/openclaw-outbound-message/SKILL.md"),
    ),
    (
        "reply-to-peer/SKILL.md",
        include_str!("../../skills/reply-to-peer/SKILL.md"),
    ),
    (
        "reply-to-peer/instructions.md",
        include_str!("../../skills/reply-to-peer/instructions.md"),
    ),
];

enum Installed {
    Written,
    Unchanged,
    KeptAsChanged,
}

/// Writes the skills into `dir`, or into `skills` in our folder.
///
/// A file that differs from ours is kept, unless `force` is set; then the exit code is 73.
pub(super) fn install(
    sources: &Sources,
    dir: Option<PathBuf>,
    force: bool,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let dir = match dir {
        Some(dir) => sources.working_dir.join(dir),
        None => home(sources)?.join("skills"),
    };
    let mut code = exit::OK;
    for (name, text) in FILES {
        let file = dir.join(name);
        let shown = file.display();
        let installed =
            write_skill(&file, text, force).with_context(|| format!("cannot write `{shown}`"))?;
        match installed {
            Installed::Written => writeln!(output, "written: {shown}")?,
            Installed::Unchanged => writeln!(output, "unchanged: {shown}")?,
            Installed::KeptAsChanged => {
                code = exit::CANNOT_CREATE;
                writeln!(
                    output,
                    "kept, it was changed (overwrite with --force): {shown}"
                )?;
            }
        }
    }
    let outbound = dir.join("openclaw-outbound-message").join("SKILL.md");
    writeln!(
        output,
        "to name it in inbox files: mailbox.openclaw_message_cli_skill_path = {:?}",
        outbound.display().to_string()
    )?;
    Ok(code)
}

fn write_skill(file: &Path, text: &str, force: bool) -> io::Result<Installed> {
    match fs::read(file) {
        Ok(old) if old == text.as_bytes() => return Ok(Installed::Unchanged),
        Ok(_) if !force => return Ok(Installed::KeptAsChanged),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = file.with_extension("md.unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, file)?;
    Ok(Installed::Written)
}
