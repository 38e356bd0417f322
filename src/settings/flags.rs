//! What the command line may set: the predecessor's flags, and few of our own.

use std::path::PathBuf;

use clap::Args;

use super::{
    check::from_text,
    layers::{Layer, Layers, Leaf, Source},
    problem::Problem,
    shape::TableShape,
};

/// Flags of `serve` and `config`. Each may be given once; each wins over environment and file.
#[derive(Clone, Default, Args)]
pub struct Flags {
    /// Configuration file; one that does not end in .toml is of the form
    /// NAME=value. Standard input (`-`) is not read.
    #[arg(short = 'f', long, value_name = "FILE", value_parser = config_file)]
    pub config: Option<PathBuf>,
    /// Folder for what is ours [default: ~/.postroom]
    #[arg(long, value_name = "DIR")]
    pub base_dir: Option<PathBuf>,
    /// Address to listen on
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on [default: 7011]
    #[arg(long, allow_hyphen_values = true)]
    pub port: Option<String>,
    /// Key that clients must show; prefer a file: arguments can be seen by
    /// every user of the machine
    #[arg(long)]
    pub key: Option<String>,
    /// HTTP worker threads
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub worker: Option<String>,
    /// 1 for debug lines
    #[arg(long, value_name = "0|1", value_parser = ["0", "1"])]
    pub debug: Option<String>,
    /// The folder that the agent watches
    #[arg(long, value_name = "DIR")]
    pub inbox: Option<String>,
    /// Base URL of the backend
    #[arg(long)]
    pub url: Option<String>,
    /// Key for the backend; prefer a file
    #[arg(long = "api_key", visible_alias = "api-key", value_name = "KEY")]
    pub api_key: Option<String>,
    /// Program that runs the turns of agents, with its first arguments
    #[arg(long, value_name = "COMMAND")]
    pub cli: Option<String>,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    pub store: Option<String>,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", value_parser = ["auto", "text", "json"])]
    pub log_format: Option<String>,
    /// Listen beyond loopback although there is no key
    #[arg(long)]
    pub allow_unauthenticated: bool,
    /// Flags of other verbs: their name, their key, and what was said.
    #[arg(skip)]
    pub more: Vec<MoreFlag>,
}

/// A flag that only some verbs have.
pub type MoreFlag = (&'static str, &'static [&'static str], String);

fn config_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("the name of the file is empty".to_owned()),
        "-" => Err("the configuration is not read from standard input; name a file".to_owned()),
        _ => Ok(PathBuf::from(text)),
    }
}

impl Flags {
    /// Each flag that was given, with the path of its key and the text.
    fn given(&self) -> impl Iterator<Item = (&'static str, &'static [&'static str], &str)> {
        let unauthenticated = self.allow_unauthenticated.then_some("true");
        let all: [(_, &[_], _); 12] = [
            ("--host", &["server", "host"], self.host.as_deref()),
            ("--port", &["server", "port"], self.port.as_deref()),
            ("--key", &["server", "key"], self.key.as_deref()),
            ("--worker", &["server", "workers"], self.worker.as_deref()),
            ("--debug", &["telemetry", "debug"], self.debug.as_deref()),
            ("--inbox", &["mailbox", "inbox"], self.inbox.as_deref()),
            ("--url", &["backend", "url"], self.url.as_deref()),
            (
                "--api_key",
                &["backend", "api_key"],
                self.api_key.as_deref(),
            ),
            ("--cli", &["agents", "defaults", "cli"], self.cli.as_deref()),
            ("--store", &["store", "path"], self.store.as_deref()),
            (
                "--log-format",
                &["telemetry", "log_format"],
                self.log_format.as_deref(),
            ),
            (
                "--allow-unauthenticated",
                &["server", "allow_unauthenticated"],
                unauthenticated,
            ),
        ];
        let more = self.more.iter();
        let more = more.map(|(flag, path, text)| (*flag, *path, Some(text.as_str())));
        all.into_iter()
            .chain(more)
            .filter_map(|(flag, path, text)| Some((flag, path, text?)))
    }

    /// Adds what the flags say.
    pub(super) fn read(
        &self,
        root: &TableShape,
        layers: &mut Layers,
    ) -> (Vec<Problem>, Vec<String>) {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        for (flag, path, text) in self.given() {
            let Some(shape) = root.find(path) else {
                continue;
            };
            if shape.secret {
                warnings.push(format!(
                    "`{flag}`: arguments can be seen by every user of this machine; put the key in a file"
                ));
            }
            match from_text(shape, text) {
                Ok(value) => {
                    let source = Source {
                        layer: Layer::Flag,
                        place: flag.to_owned(),
                    };
                    let leaf = Leaf {
                        value,
                        source,
                        secret: shape.secret,
                    };
                    let path = path.iter().copied().map(str::to_owned);
                    layers.set(path.collect(), leaf);
                }
                Err(error) => problems.push(Problem::new(flag, error)),
            }
        }
        (problems, warnings)
    }
}
