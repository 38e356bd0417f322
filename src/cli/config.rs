//! `config check`, `config show`, `config schema`.

use std::io::Write;

use clap::{Args, Subcommand};

use super::exit;
use crate::settings::{Flags, Sources, load_with_sources, schema::schema_text, show};

/// `config`
#[derive(Args)]
pub struct ConfigArgs {
    /// What about it.
    #[command(subcommand)]
    pub verb: ConfigVerb,
}

/// The verbs of `config`.
#[derive(Subcommand)]
pub enum ConfigVerb {
    /// Say what is wrong with the configuration, or ok
    Check(Flags),
    /// Show the settings in effect, secrets masked
    Show {
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// The flags of `serve`.
        #[command(flatten)]
        flags: Flags,
    },
    /// Print the JSON schema of postroom.toml
    Schema,
}

/// Lists every problem and answers 78, or says `ok`; warnings are printed either way they can be known.
pub(super) fn check(sources: Sources, output: &mut dyn Write) -> anyhow::Result<u8> {
    match load_with_sources(sources) {
        Ok(loaded) => {
            for warning in &loaded.settings.warnings {
                writeln!(output, "warning: {warning}")?;
            }
            writeln!(output, "ok")?;
            Ok(exit::OK)
        }
        Err(error) => {
            writeln!(output, "{error}")?;
            Ok(exit::CONFIG)
        }
    }
}

/// Prints the settings in effect, as TOML or as JSON.
pub(super) fn show(sources: Sources, json: bool, output: &mut dyn Write) -> anyhow::Result<u8> {
    let loaded = load_with_sources(sources)?;
    if json {
        writeln!(output, "{:#}", show::as_json(&loaded))?;
    } else {
        write!(output, "{}", show::as_toml(&loaded))?;
    }
    Ok(exit::OK)
}

/// Prints the JSON schema of the file.
pub(super) fn schema(output: &mut dyn Write) -> anyhow::Result<u8> {
    write!(output, "{}", schema_text())?;
    Ok(exit::OK)
}
