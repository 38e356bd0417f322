//! `upstream-proxy`: the remote side of the bridge, before an API.

use std::path::PathBuf;

use clap::Args;

use super::bridge::{CommonArgs, given};
use crate::{
    settings::{self, Flags, Sources},
    startup::bridge,
};

/// `upstream-proxy`
///
/// Token and key come from the configuration or from `OPENAI_PROXY_TOKEN`
/// and `OPENAI_API_KEY`: arguments can be seen by every user of a machine.
#[derive(Args)]
pub struct UpstreamProxyArgs {
    /// Address to listen on [default: 0.0.0.0]
    #[arg(long)]
    pub host: Option<String>,
    /// Port to listen on [default: 8089]
    #[arg(long, allow_hyphen_values = true)]
    pub port: Option<String>,
    /// Base URL of the API [default: `OpenAI`'s]
    #[arg(long)]
    pub base_url: Option<String>,
    /// Speak plain HTTP also to an API that is not on this machine
    #[arg(long)]
    pub allow_insecure: bool,
    /// Which configuration.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl UpstreamProxyArgs {
    fn flags(self) -> Flags {
        let allowed = self.allow_insecure.then(|| "true".to_owned());
        let more = given([
            ("--host", &["upstream_proxy", "host"], self.host),
            ("--port", &["upstream_proxy", "port"], self.port),
            ("--base-url", &["upstream_proxy", "base_url"], self.base_url),
            (
                "--allow-insecure",
                &["upstream_proxy", "allow_insecure"],
                allowed,
            ),
        ]);
        self.common.flags(more)
    }
}

/// Runs the proxy until it is told to stop. It keeps nothing and so needs no home directory.
pub(super) fn run(
    args: UpstreamProxyArgs,
    sources: impl Fn(Flags) -> Sources,
) -> anyhow::Result<u8> {
    let mut sources = sources(args.flags());
    sources.home_dir.get_or_insert_with(|| PathBuf::from("/"));
    bridge::run_upstream_proxy(&settings::load(sources)?)
}
