//! `man`: the manual pages.

use std::{fs, io::Write, path::PathBuf};

use anyhow::Context;
use clap_mangen::Man;

use super::exit;

/// `man`
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  postroom man | man -l -
  postroom man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write all pages into this folder, one a verb, in place of printing the main one
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the main page, or writes all pages.
pub(super) fn run(args: &ManArgs, output: &mut dyn Write) -> anyhow::Result<u8> {
    let command = super::shown_command();
    let Some(folder) = &args.out else {
        output.write_all(&page(command)?)?;
        return Ok(exit::OK);
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for (name, command) in pages(command) {
        let file = folder.join(format!("{name}.1"));
        fs::write(&file, page(command)?)
            .with_context(|| format!("cannot write `{}`", file.display()))?;
        writeln!(output, "written: {}", file.display())?;
    }
    Ok(exit::OK)
}

fn page(command: clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let manual = concat!("Postroom ", env!("CARGO_PKG_VERSION"));
    Man::new(command)
        .source(manual)
        .manual("Commands of Postroom")
        .render(&mut page)?;
    Ok(page)
}

/// Each command with the name of its page: `postroom`, `postroom-messages`, `postroom-messages-list`.
#[expect(clippy::needless_pass_by_value, reason = "it calls itself with clones")]
fn pages(command: clap::Command) -> Vec<(String, clap::Command)> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    let below = verbs.cloned().flat_map(pages);
    std::iter::once((name.to_owned(), command.clone()))
        .chain(below)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verb_has_a_page_and_hidden_ones_have_none() {
        let pages = pages(super::super::shown_command());
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "postroom",
            "postroom-serve",
            "postroom-messages-list",
            "postroom-doctor",
        ] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        assert!(
            !names.iter().any(|name| name.contains("demo-agent")),
            "{names:?}"
        );
    }
}
