//! The broker that `demo` starts: a process of its own, in a folder of its own.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use tokio::time::{Instant, sleep};

use super::{World, configuration};
use crate::{
    cli::client::{Client, ClientError},
    runtime_file::fresh_key,
};

/// How long it may take until it listens.
const START: Duration = Duration::from_secs(20);

/// How long it may take to end after it was asked to.
const END: Duration = Duration::from_secs(10);

/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

const LOG: &str = "broker.log";

/// A running broker; killed when dropped.
pub(super) struct Broker {
    child: Child,
    home: PathBuf,
}

/// A new folder that nobody else may look into.
pub(super) fn new_folder() -> anyhow::Result<PathBuf> {
    let random: String = fresh_key()?.chars().take(12).collect();
    let folder = std::env::temp_dir().join(format!("postroom-demo-{random}"));
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make `{}`", folder.display()))?;
    Ok(folder)
}

/// What the broker said last, for whoever wonders what went wrong.
pub(super) fn last_words(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    format!(
        "the demo failed; its broker said last:\n{}\n",
        lines.join("\n")
    )
}

impl Broker {
    /// Starts a broker with one agent, ours.
    #[expect(
        clippy::disallowed_methods,
        reason = "the broker of the demo is our own program; it is ended by `stop` or `drop`"
    )]
    pub(super) fn spawn(world: &World, folder: &Path) -> anyhow::Result<Self> {
        let config = folder.join("postroom.toml");
        fs::write(&config, configuration(folder, &world.executable))?;
        let log = fs::File::create(folder.join(LOG))?;
        let mut command = Command::new(&world.executable);
        command
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .arg("--base-dir")
            .arg(folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // It is set up by its file alone.
        let settings = world
            .environment
            .iter()
            .map(|(name, _)| name)
            .filter(|name| {
                let name = name.to_ascii_uppercase();
                name.starts_with("POSTROOM_") || name.starts_with("AI_AGENT_PROXY_")
            });
        for name in settings {
            command.env_remove(name);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", world.executable.display()))?;
        Ok(Self {
            child,
            home: folder.to_owned(),
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens.
    pub(super) async fn ready(&mut self) -> anyhow::Result<Client> {
        let until = Instant::now() + START;
        loop {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the broker ended at once: {status}");
            }
            match Client::of_home(&self.home) {
                Ok(client) => return Ok(client),
                Err(ClientError::NotRunning { .. }) if Instant::now() < until => {}
                Err(error) => return Err(error.into()),
            }
            sleep(LOOK).await;
        }
    }

    /// Asks it to end, and waits for that.
    pub(super) async fn stop(&mut self) {
        let number = i32::try_from(self.child.id()).ok();
        if let Some(pid) = number.and_then(rustix::process::Pid::from_raw)
            && matches!(self.child.try_wait(), Ok(None))
        {
            // Where it has ended meanwhile, there is nobody left to ask.
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
        }
        let until = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            sleep(LOOK).await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
