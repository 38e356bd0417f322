//! The command line: one verb a file.
//!
//! Started under the name `ai-agent-proxy` (a link to the binary), arguments that do not begin with
//! a verb of ours are those of `serve`.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::Path,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};
use postroom_actors::domain::ids::InvalidAgentId;

use self::{
    backup::BackupArgs,
    bridge::BridgeArgs,
    client::ClientError,
    completions::CompletionsArgs,
    config::{ConfigArgs, ConfigVerb},
    connect::ConnectArgs,
    daemon::DaemonArgs,
    dead_letters::DeadLettersArgs,
    demo::DemoArgs,
    doctor::DoctorArgs,
    enable::{EnableArgs, UnitArgs},
    hire::{HireArgs, InitArgs},
    keys::KeysArgs,
    list::ListArgs,
    man::ManArgs,
    messages::MessagesArgs,
    restore::RestoreArgs,
    send::{SendArgs, SendFailure},
    skills::{SkillsArgs, SkillsVerb},
    start::{AgentArgs, Verb},
    status::StatusArgs,
    stop::StopArgs,
    store::StoreVerbs,
    system::RealSystem,
    tail::TailArgs,
    turns::TurnsArgs,
    upstream_proxy::UpstreamProxyArgs,
};
use crate::{
    settings::{ConfigError, Flags, stored_keys::InvalidKey},
    startup::{
        StartError,
        upkeep::{self, UpkeepError},
    },
};

mod agent_view;
mod backup;
mod bridge;
mod client;
mod completions;
mod config;
mod connect;
mod daemon;
mod dead_letters;
mod demo;
mod demo_agent;
mod disable;
mod doctor;
mod enable;
pub mod exit;
mod hire;
mod keys;
mod list;
mod man;
mod message_view;
mod messages;
mod progress;
mod restore;
mod send;
pub mod serve;
mod service_view;
mod skills;
mod start;
mod status;
mod stop;
mod store;
mod system;
mod table;
mod tail;
mod turns;
mod unit;
mod upstream_proxy;
mod world;

pub use world::{HomeArgs, World};

#[cfg(test)]
mod tests;

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
    /// As serve, with agents: the manager takes what names nobody
    Daemon(Box<DaemonArgs>),
    /// See a message go to an agent and back, without any model
    Demo(DemoArgs),
    /// Make an agent for a role
    Init(InitArgs),
    /// Make an agent with a role and a name
    Hire(HireArgs),
    /// The agents
    List(ListArgs),
    /// The service and what its agents do
    Status(StatusArgs),
    /// Look at a set-up and say how to mend what is wrong
    Doctor(Box<DoctorArgs>),
    /// Talk to an agent
    Connect(ConnectArgs),
    /// End an agent's turns, and begin none
    Stop(StopArgs),
    /// Let an agent that was stopped take turns again
    Start(AgentArgs),
    /// Let an agent that was parked take turns again
    Resume(AgentArgs),
    /// What an agent did last
    Turns(TurnsArgs),
    /// What happens, as it happens
    Tail(TailArgs),
    /// Send a message to an agent, here or elsewhere
    Send(Box<SendArgs>),
    /// Messages between agents, and what became of them
    Messages(MessagesArgs),
    /// Messages that got nowhere
    DeadLetters(DeadLettersArgs),
    /// Keys that let others in
    Keys(KeysArgs),
    /// Save the store, the configuration and the keys, also while the service runs
    Backup(BackupArgs),
    /// Put a backup in the store's place, while no service runs
    Restore(RestoreArgs),
    /// Look after the store's files
    Store(StoreVerbs),
    /// Have systemd run the service
    Enable(EnableArgs),
    /// Have systemd start the service again
    Restart(UnitArgs),
    /// Take the service out of systemd; the home folder stays
    Disable(UnitArgs),
    /// Reach a remote proxy that wants a token of its own
    Bridge(BridgeArgs),
    /// The remote side of the bridge: a proxy before an API
    UpstreamProxy(UpstreamProxyArgs),
    /// The agent of `demo`
    #[command(hide = true)]
    DemoAgent,
    /// Look at the configuration
    Config(ConfigArgs),
    /// What agents are given to read
    Skills(SkillsArgs),
    /// Print what a shell needs to complete our command lines
    Completions(CompletionsArgs),
    /// Print the manual page, or write all pages
    Man(ManArgs),
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

/// The command line as people are shown it, under its own name and built whole.
fn shown_command() -> clap::Command {
    // Each verb would have a `help` of its own, with all verbs below it again.
    let whole = Cli::command();
    let shown = whole.get_subcommands().filter(|verb| !verb.is_hide_set());
    let mut command = clap::Command::new("postroom")
        .version(env!("CARGO_PKG_VERSION"))
        .about(whole.get_about().cloned().unwrap_or_default())
        .propagate_version(true)
        .disable_help_subcommand(true)
        .subcommands(shown.cloned());
    command.build();
    command
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
        Command::Daemon(args) => {
            let (flags, mode) = args.split();
            daemon::run(crate::settings::load(sources(flags))?, mode)
        }
        Command::Demo(args) => demo::run(&args, world, output),
        Command::DemoAgent => demo_agent::run(world, output),
        Command::Init(args) => hire::run(&args.into(), world, output),
        Command::Hire(args) => hire::run(&args, world, output),
        Command::List(args) => list::run(&args, world, output),
        Command::Status(args) => status::run(&args, world, output),
        Command::Doctor(args) => doctor::run(*args, world, sources, output),
        Command::Connect(args) => connect::run(args, world, output),
        Command::Stop(args) => stop::run(&args, world, output),
        Command::Start(args) => start::run(Verb::Start, &args, world, output),
        Command::Resume(args) => start::run(Verb::Resume, &args, world, output),
        Command::Turns(args) => turns::run(&args, world, output),
        Command::Tail(args) => tail::run(&args, world, output),
        Command::Send(args) => send::run(&args, world, output),
        Command::Messages(args) => messages::run(&args, world, output),
        Command::DeadLetters(args) => dead_letters::run(&args, world, output),
        Command::Keys(args) => keys::run(&args, world, output),
        Command::Backup(args) => backup::run(&args, world, output),
        Command::Restore(args) => restore::run(&args, world, output),
        Command::Store(verbs) => store::run(&verbs, world, output),
        Command::Enable(args) => enable::run(&args, world, &mut RealSystem, output),
        Command::Restart(args) => enable::restart(&args, world, &mut RealSystem, output),
        Command::Disable(args) => disable::run(&args, world, &mut RealSystem, output),
        Command::Bridge(args) => bridge::run(args, world, sources, output),
        Command::UpstreamProxy(args) => upstream_proxy::run(args, sources),
        Command::Completions(args) => completions::run(&args, output),
        Command::Man(args) => man::run(&args, output),
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

/// What went wrong. A start that failed tells its cause in its own words, as work on the store does.
fn describe(failure: &anyhow::Error) -> String {
    let start = failure
        .downcast_ref::<StartError>()
        .map(ToString::to_string);
    let upkeep = failure
        .downcast_ref::<UpkeepError>()
        .map(ToString::to_string);
    start.or(upkeep).unwrap_or_else(|| format!("{failure:#}"))
}

/// The exit code of a command that failed.
pub fn exit_code(failure: &anyhow::Error) -> u8 {
    if failure.downcast_ref::<ConfigError>().is_some() {
        exit::CONFIG
    } else if let Some(error) = failure.downcast_ref::<ClientError>() {
        error.exit_code()
    } else if let Some(error) = failure.downcast_ref::<SendFailure>() {
        error.exit_code()
    } else if failure.downcast_ref::<InvalidAgentId>().is_some()
        || failure.downcast_ref::<InvalidKey>().is_some()
    {
        exit::USAGE
    } else if failure.downcast_ref::<io::Error>().is_some() {
        exit::IO
    } else if let Some(error) = failure.downcast_ref::<UpkeepError>() {
        upkeep::exit_code(error)
    } else if let Some(error) = failure.downcast_ref::<StartError>() {
        error.exit_code()
    } else {
        exit::FAILURE
    }
}
