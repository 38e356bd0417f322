//! The command line: one verb a file.
//!
//! Started under the name `ai-agent-proxy` (a link to the binary), arguments that do not begin with
//! a verb of ours are those of `serve`.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::{
    settings::{ConfigError, Flags, Sources},
    startup::StartError,
};

mod config;
pub mod serve;
mod skills;

#[cfg(test)]
mod tests;

/// Exit codes, after sysexits(3).
pub mod exit {
    /// It worked.
    pub const OK: u8 = 0;
    /// It failed in a way that has no code of its own.
    pub const FAILURE: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// A file could not be made.
    pub const CANNOT_CREATE: u8 = 73;
    /// Reading or writing failed, standard output included.
    pub const IO: u8 = 74;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 78;
    /// A second signal ended it at once.
    pub const INTERRUPTED: u8 = 130;
}

/// An actor-based message broker for AI agents
#[derive(Parser)]
#[command(
    name = "postroom",
    version,
    propagate_version = true,
    max_term_width = 79
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Subcommand)]
pub enum Command {
    /// Take in requests and keep them for the agent
    Serve(Flags),
    /// Look at the configuration
    Config(ConfigArgs),
    /// What agents are given to read
    Skills(SkillsArgs),
}

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

/// What a command takes from the process it runs in.
#[derive(Clone)]
pub struct World {
    /// All variables of the environment.
    pub environment: Vec<(String, String)>,
    /// The working directory.
    pub working_dir: PathBuf,
    /// The user's home directory.
    pub home_dir: Option<PathBuf>,
}

impl World {
    /// The process we run in. Variables that are not UTF-8 are passed over.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn of_this_process() -> io::Result<Self> {
        let text = |(key, value): (OsString, OsString)| {
            Some((key.into_string().ok()?, value.into_string().ok()?))
        };
        Ok(Self {
            environment: std::env::vars_os().filter_map(text).collect(),
            working_dir: std::env::current_dir()?,
            home_dir: std::env::var_os("HOME")
                .filter(|home| !home.is_empty())
                .map(PathBuf::from),
        })
    }

    fn sources(&self, flags: Flags, program_name: &str) -> Sources {
        Sources {
            flags,
            environment: self.environment.clone(),
            working_dir: self.working_dir.clone(),
            home_dir: self.home_dir.clone(),
            program_name: program_name.to_owned(),
        }
    }
}

/// A command line that was understood.
pub struct Invocation {
    /// The file name that we were started under.
    pub program_name: String,
    /// What to do.
    pub command: Command,
}

/// Understands a command line; the first argument is the program.
///
/// # Errors
/// Wrong usage, or a question for help or version: print it, exit with [`usage_code`].
pub fn parse(arguments: Vec<OsString>) -> Result<Invocation, clap::Error> {
    let program_name = program_name(arguments.first().map(OsString::as_os_str));
    let mut arguments = arguments;
    let mut root = Cli::command();
    if program_name == PREDECESSOR_NAME {
        root = root.name(PREDECESSOR_NAME).bin_name(PREDECESSOR_NAME);
        if !names_a_verb(&root, arguments.get(1)) {
            let at = arguments.len().min(1);
            arguments.insert(at, "serve".into());
        }
    }
    let matches = root.try_get_matches_from_mut(arguments)?;
    Ok(Invocation {
        program_name,
        command: Cli::from_arg_matches(&matches)?.command,
    })
}

/// The name that makes us behave as the predecessor.
const PREDECESSOR_NAME: &str = "ai-agent-proxy";

fn program_name(program: Option<&OsStr>) -> String {
    let name = program.and_then(|program| Path::new(program).file_name());
    name.map_or_else(
        || "postroom".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn names_a_verb(root: &clap::Command, argument: Option<&OsString>) -> bool {
    let is = |name: &str| argument.is_some_and(|argument| argument == name);
    is("help")
        || is("--version")
        || is("-V")
        || root.get_subcommands().any(|verb| is(verb.get_name()))
}

/// The exit code of what [`parse`] refuses: 0 for help and version, else 64.
pub fn usage_code(error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => exit::OK,
        _ => exit::USAGE,
    }
}

/// Runs a command line and gives the exit code. `error` gets what went wrong.
pub fn run(
    arguments: Vec<OsString>,
    world: &World,
    output: &mut dyn Write,
    error: &mut dyn Write,
) -> u8 {
    let done = match parse(arguments) {
        Ok(invocation) => execute(invocation, world, output),
        Err(usage) => return explain(&usage, output, error),
    };
    // Buffered output counts only once it is out.
    match done.and_then(|code| output.flush().map(|()| code).map_err(anyhow::Error::from)) {
        Ok(code) => code,
        Err(failure) => {
            let code = exit_code(&failure);
            tell(error, format_args!("{}\n", describe(&failure)));
            code
        }
    }
}

fn explain(usage: &clap::Error, output: &mut dyn Write, error: &mut dyn Write) -> u8 {
    let code = usage_code(usage);
    if code == exit::OK {
        let printed = write!(output, "{usage}").and_then(|()| output.flush());
        return if printed.is_ok() { exit::OK } else { exit::IO };
    }
    tell(error, format_args!("{usage}"));
    code
}

/// Writes to standard error; where that is closed there is nobody left to tell.
pub(super) fn tell(error: &mut dyn Write, text: std::fmt::Arguments<'_>) {
    drop(error.write_fmt(text));
}

fn execute(invocation: Invocation, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let sources = |flags| world.sources(flags, &invocation.program_name);
    match invocation.command {
        Command::Serve(flags) => serve::run(crate::settings::load(sources(flags))?),
        Command::Config(ConfigArgs { verb }) => match verb {
            ConfigVerb::Check(flags) => config::check(sources(flags), output),
            ConfigVerb::Show { json, flags } => config::show(sources(flags), json, output),
            ConfigVerb::Schema => config::schema(output),
        },
        Command::Skills(SkillsArgs {
            verb:
                SkillsVerb::Install {
                    dir,
                    force,
                    base_dir,
                },
        }) => skills::install(
            &sources(Flags {
                base_dir,
                ..Flags::default()
            }),
            dir,
            force,
            output,
        ),
    }
}

/// What went wrong. A start that failed tells its cause in its own words.
fn describe(failure: &anyhow::Error) -> String {
    match failure.downcast_ref::<StartError>() {
        Some(error) => error.to_string(),
        None => format!("{failure:#}"),
    }
}

/// The exit code of a command that failed.
pub fn exit_code(failure: &anyhow::Error) -> u8 {
    if failure.downcast_ref::<ConfigError>().is_some() {
        exit::CONFIG
    } else if failure.downcast_ref::<io::Error>().is_some() {
        exit::IO
    } else if let Some(error) = failure.downcast_ref::<StartError>() {
        error.exit_code()
    } else {
        exit::FAILURE
    }
}
