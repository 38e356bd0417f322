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

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::cli::unit;

    fn deploy(name: &str) -> String {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/deploy");
        fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn systemd_itself_takes_the_unit() {
        let is_there = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .any(|folder| folder.join("systemd-analyze").is_file());
        if !is_there {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("upstream-proxy.service");
        let program = std::env::current_exe().unwrap();
        let text = deploy("upstream-proxy.service");
        assert!(text.contains("ExecStart=/usr/local/bin/postroom upstream-proxy\n"));
        let text = text.replace("/usr/local/bin/postroom", &program.display().to_string());
        fs::write(&file, text).unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test may wait for a program")]
        let verified = std::process::Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=no"])
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(
            verified.status.success() && !said.contains("upstream-proxy.service"),
            "{said}"
        );
    }

    #[test]
    fn the_example_of_the_environment_is_all_that_it_needs_once_it_is_filled_in() {
        let text = deploy("upstream-proxy.env.example");
        let offered = text
            .lines()
            .map(|line| line.strip_prefix('#').unwrap_or(line));
        let offered: Vec<_> = offered.filter(|line| !line.starts_with(' ')).collect();
        let mut environment: Vec<_> = unit::variables(&offered.join("\n")).into_iter().collect();
        for (_, value) in environment.iter_mut().filter(|(_, value)| value.is_empty()) {
            "0123456789abcdef".clone_into(value);
        }
        assert_eq!(environment.len(), 7, "{environment:?}");
        let folder = tempfile::tempdir().unwrap();
        let loaded = settings::load(Sources {
            flags: Flags::default(),
            environment,
            working_dir: folder.path().to_owned(),
            home_dir: Some(folder.path().to_owned()),
            program_name: "postroom".to_owned(),
        });
        let settings = loaded.unwrap_or_else(|error| panic!("{error}"));
        let url = settings.upstream_proxy.runnable().unwrap();
        assert_eq!(url, "https://api.example/v1");
        assert_eq!(settings.warnings, Vec::<String>::new());
    }

    #[test]
    fn the_container_is_built_from_what_is_there_and_runs_as_nobody() {
        let text = deploy("Containerfile.upstream-proxy");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let copied = text.lines().filter_map(|line| line.strip_prefix("COPY "));
        for line in copied.filter(|line| !line.starts_with("--from")) {
            let mut names: Vec<_> = line.split(' ').collect();
            names.pop();
            for name in names {
                assert!(root.join(name).exists(), "{name}");
            }
        }
        assert!(text.contains("\nUSER 65534:65534\n"));
        assert!(text.ends_with("ENTRYPOINT [\"/postroom\", \"upstream-proxy\"]\n"));
    }
}
