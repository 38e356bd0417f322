//! Finds what is compared, and installs the predecessor where it is missing.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::options::Options;
use crate::report::say;

const PREDECESSOR: &str = "ai-agent-proxy==2.3.0";

/// The programs that can be started.
pub(crate) struct Tools {
    /// This benchmark itself.
    pub(crate) own: PathBuf,
    /// The Python package's command.
    pub(crate) predecessor: Option<PathBuf>,
    /// nginx, for relay cells.
    pub(crate) nginx: Option<PathBuf>,
    /// The release binary that is measured.
    pub(crate) postroom: Option<PathBuf>,
    /// Where all servers' folders lie.
    pub(crate) data: PathBuf,
}

impl Tools {
    /// Looks for everything; what is missing is said aloud and left out.
    pub(crate) fn find(options: &Options) -> Result<Self> {
        let own = env::current_exe().context("finding this program")?;
        let target = target_folder(&own)?;
        let data = options
            .dir
            .clone()
            .unwrap_or_else(|| target.join("bench-data"));
        let named = options
            .postroom
            .clone()
            .unwrap_or_else(|| target.join("release/postroom"));
        let postroom = named.is_file().then_some(named.clone());
        if postroom.is_none() {
            say(&format!(
                "!! no Postroom at {}: the limit program STANDS IN for it. Run `cargo build --release`.",
                named.display()
            ));
        }
        Ok(Self {
            predecessor: predecessor(&target),
            nginx: nginx(),
            own,
            postroom,
            data,
        })
    }
}

/// The folder `target` that this program was built into.
pub(crate) fn target_folder(own: &Path) -> Result<PathBuf> {
    let folder = own
        .ancestors()
        .nth(3)
        .context("the benchmark lies in `target/release/deps`")?;
    Ok(folder.to_path_buf())
}

fn nginx() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders
        .map(|folder| folder.join("nginx"))
        .find(|file| file.is_file());
    if found.is_none() {
        say(
            "!! nginx is not on PATH: relay cells run WITHOUT it. Debian: `apt-get install nginx-light`.",
        );
    }
    found
}

fn predecessor(target: &Path) -> Option<PathBuf> {
    let home = target.join("bench-tools/predecessor");
    let program = home.join("bin/ai-agent-proxy");
    if !program.is_file() {
        say(&format!("installing {PREDECESSOR} into {}", home.display()));
        if let Err(error) = install(&home) {
            say(&format!(
                "!! the predecessor could not be installed, all runs go WITHOUT it: {error:#}"
            ));
            return None;
        }
    }
    Some(program)
}

fn install(home: &Path) -> Result<()> {
    run(command("python3").args(["-m", "venv"]).arg(home))?;
    run(command(home.join("bin/pip")).args(["install", "--quiet", PREDECESSOR]))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark starts programs and waits for them"
)]
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}
