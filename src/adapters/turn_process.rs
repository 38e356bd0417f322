//! Runs turns as processes and leaves none behind.
//!
//! A turn's CLI is not started by the broker itself but by a runner (`postroom turn-runner`, see
//! [`crate::turn_runner`]), one process a turn: everything that the CLI leaves behind falls to it,
//! and it ends the turn when the broker dies. What the CLI prints comes to the broker directly. For
//! runners that are killed from outside the broker does the same itself (`cleanup`).

mod cleanup;
mod control;
mod ending;
pub mod environment;
mod launch;
mod limits;
pub mod orphans;
pub mod outlook;
mod output;
pub mod process_table;
mod program;
pub mod protocol;
mod runner_process;
mod supervise;
mod transcript;

use std::{path::PathBuf, sync::Arc};

use postroom_actors::{
    domain::{
        agent::{AgentProfile, Permissions},
        ids::TurnId,
        turn::TurnOrder,
    },
    ports::{
        Clock, SendFuture,
        turns::{LaunchError, RunningTurn, TurnLauncher},
    },
};
use tokio::task;

use self::runner_process::Runners;
use super::cli_dialects::Dialect;

/// Finds a dialect by the name that the configuration gives (empty: none) and the program.
///
/// # Errors
/// [`LaunchError::UnknownDialect`].
pub type FindDialect =
    Arc<dyn Fn(&str, &str) -> Result<&'static dyn Dialect, LaunchError> + Send + Sync>;

/// What runs of turns depend on.
#[derive(Clone)]
pub struct TurnProcessOptions {
    /// The executable that `turn-runner` is a verb of; default: this very program.
    pub runner: PathBuf,
    /// Our own environment; see [`environment::of_this_process`].
    pub environment: Vec<(String, String)>,
    /// Our own secrets; variables with such a value are not passed on to turns.
    pub secrets: Vec<String>,
    /// Names the transcripts.
    pub clock: Arc<dyn Clock>,
}

impl TurnProcessOptions {
    /// The program and the environment of this process; no secrets.
    pub fn of_this_process(clock: Arc<dyn Clock>) -> Self {
        Self {
            // Also right when the file has been replaced since we started.
            runner: PathBuf::from("/proc/self/exe"),
            environment: environment::of_this_process(),
            secrets: Vec::new(),
            clock,
        }
    }
}

/// Turns as processes.
#[derive(Clone)]
pub struct TurnProcesses {
    options: Arc<TurnProcessOptions>,
    find_dialect: FindDialect,
    runners: Runners,
}

impl TurnProcesses {
    /// Makes this process the one to which orphans of turns fall when a runner is killed.
    pub fn new(options: TurnProcessOptions, find_dialect: FindDialect) -> Self {
        if let Err(error) = rustix::process::set_child_subreaper(Some(rustix::process::getpid())) {
            tracing::warn!(%error, "orphans of a killed runner will not be found");
        }
        Self {
            options: Arc::new(options),
            find_dialect,
            runners: Runners::default(),
        }
    }

    /// The program and the dialect of an agent, where its turns could start now.
    fn resolve(
        &self,
        profile: &AgentProfile,
    ) -> Result<(PathBuf, &'static dyn Dialect), LaunchError> {
        let program = profile.command.first().map_or("", String::as_str);
        let dialect = (self.find_dialect)(&profile.dialect, program)?;
        if profile.permissions == Permissions::Sandboxed && !dialect.can_sandbox() {
            return Err(LaunchError::NoSandbox(dialect.name()));
        }
        let path = find_program(profile, program, &self.options.environment)?;
        Ok((path, dialect))
    }
}

/// The program of an agent, along the search path that its turns have.
fn find_program(
    profile: &AgentProfile,
    program: &str,
    environment: &[(String, String)],
) -> Result<PathBuf, LaunchError> {
    let own_path = environment.iter().filter(|(name, _)| name == "PATH");
    let search_path = profile.environment.get("PATH");
    let search_path = search_path.or(own_path.map(|(_, value)| value).next());
    let search_path = search_path.map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    let path = program::find(program, search_path, &profile.working_dir);
    path.ok_or_else(|| LaunchError::NotFound(program.to_owned()))
}

impl TurnLauncher for TurnProcesses {
    fn check(&self, profile: &AgentProfile) -> Result<(), LaunchError> {
        self.resolve(profile).map(|_| ())
    }

    fn launch(&self, order: TurnOrder) -> SendFuture<Result<RunningTurn, LaunchError>> {
        Box::pin(launch::launch(self.clone(), order))
    }

    fn end_leftovers(&self, turns: Vec<TurnId>) -> SendFuture<usize> {
        let work = move || cleanup::end_leftovers(&turns);
        Box::pin(async move { task::spawn_blocking(work).await.unwrap_or(0) })
    }
}
