//! `completions <shell>`: what a shell completes of our command lines.

use std::io::Write;

use clap_complete::{Shell, generate};

use super::exit;

/// `completions`
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  source <(postroom completions bash)
  postroom completions zsh > ~/.zfunc/_postroom
  postroom completions fish > ~/.config/fish/completions/postroom.fish")]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
}

/// Prints the script for a shell.
pub(super) fn run(args: &CompletionsArgs, output: &mut dyn Write) -> anyhow::Result<u8> {
    // A writer that fails would be a panic in there.
    let mut script = Vec::new();
    generate(
        args.shell,
        &mut super::shown_command(),
        "postroom",
        &mut script,
    );
    output.write_all(&script)?;
    Ok(exit::OK)
}
