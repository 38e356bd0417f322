//! `bridge run`, `bridge status`, `bridge login`: the local side of the remote bridge.

use std::{io::Write, path::PathBuf};

use clap::{Args, Subcommand};

use self::{login::LoginArgs, status::StatusArgs};
use super::World;
use crate::{
    settings::{self, Flags, MoreFlag, Sources},
    startup::bridge,
};

mod ask;
mod config_file;
mod login;
mod openclaw;
mod status;

/// `bridge`
#[derive(Args)]
pub struct BridgeArgs {
    /// What about it.
    #[command(subcommand)]
    pub verb: BridgeVerb,
}

/// The verbs of `bridge`.
#[derive(Subcommand)]
pub enum BridgeVerb {
    /// Pass requests of this machine on to the remote proxy
    Run(RunArgs),
    /// Say whether both sides work, and what to do
    Status(StatusArgs),
    /// Set the bridge up: ask for the remote proxy, try it, write it down
    Login(Box<LoginArgs>),
}

/// Which configuration, and how to log.
#[derive(Args, Clone, Default)]
pub struct CommonArgs {
    /// Configuration file [default: postroom.toml in the home folder, or here]
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for what is ours [default: ~/.postroom]
    #[arg(long, value_name = "DIR")]
    pub base_dir: Option<PathBuf>,
    /// HTTP worker threads
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub worker: Option<String>,
    /// 1 for debug lines
    #[arg(long, value_name = "0|1", value_parser = ["0", "1"])]
    pub debug: Option<String>,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", value_parser = ["auto", "text", "json"])]
    pub log_format: Option<String>,
}

impl CommonArgs {
    /// The flags of the settings, with what one verb adds.
    pub(super) fn flags(self, more: Vec<MoreFlag>) -> Flags {
        Flags {
            config: self.config,
            base_dir: self.base_dir,
            worker: self.worker,
            debug: self.debug,
            log_format: self.log_format,
            more,
            ..Flags::default()
        }
    }
}

/// `bridge run`
#[derive(Args)]
pub struct RunArgs {
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on [default: 18800]
    #[arg(long, allow_hyphen_values = true)]
    pub port: Option<String>,
    /// Base URL of the remote proxy; its token comes from the configuration
    /// or `PROXY_BRIDGE_TOKEN`
    #[arg(long, visible_alias = "remote-url")]
    pub url: Option<String>,
    /// Speak plain HTTP also to a remote proxy that is not on this machine
    #[arg(long)]
    pub allow_insecure: bool,
    /// Which configuration.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl RunArgs {
    fn flags(self) -> Flags {
        let allowed = self.allow_insecure.then(|| "true".to_owned());
        let more = given([
            ("--host", &["bridge", "host"], self.host),
            ("--port", &["bridge", "port"], self.port),
            ("--url", &["bridge", "remote_url"], self.url),
            ("--allow-insecure", &["bridge", "allow_insecure"], allowed),
        ]);
        self.common.flags(more)
    }
}

/// The flags that were given.
pub(super) fn given<const COUNT: usize>(
    all: [(&'static str, &'static [&'static str], Option<String>); COUNT],
) -> Vec<MoreFlag> {
    let given = |(flag, path, text): (_, _, Option<String>)| Some((flag, path, text?));
    all.into_iter().filter_map(given).collect()
}

/// Runs a verb of the bridge.
pub(super) fn run(
    args: BridgeArgs,
    world: &World,
    sources: impl Fn(Flags) -> Sources,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    match args.verb {
        BridgeVerb::Run(args) => bridge::run_bridge(&settings::load(sources(args.flags()))?),
        BridgeVerb::Status(args) => status::run(args, sources, output),
        BridgeVerb::Login(args) => login::run(&args, world, sources, output),
    }
}
