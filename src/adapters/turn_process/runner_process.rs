//! Starts the runner of a turn, and knows which children of ours are runners.

use std::{
    collections::HashSet,
    io,
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::CommandExt as _},
    },
    path::Path,
    process::{Child, Command},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use postroom_actors::domain::ids::TurnId;

use super::protocol::{RUNNER_VARIABLE, RUNNER_VERB};

/// The runners that are children of this process now.
#[derive(Debug, Clone, Default)]
pub(super) struct Runners(Arc<Mutex<HashSet<i32>>>);

impl Runners {
    /// The runners; none is started while they are held.
    pub(super) fn hold(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A runner. Dropped before it has ended, it is reaped by a thread of its own.
pub(super) struct RunnerProcess {
    child: Option<Child>,
    pid: i32,
    runners: Runners,
}

/// Our ends of what a runner is connected to.
pub(super) struct Pipes {
    /// Orders and reports; a runner that reads its end ends its turn.
    pub(super) control: UnixStream,
    /// What the CLI prints.
    pub(super) stdout: OwnedFd,
    /// What the CLI complains about.
    pub(super) stderr: OwnedFd,
}

/// Starts a runner; it waits for its order. Blocks for as long as starting a process takes.
pub(super) fn start(
    executable: &Path,
    turn: TurnId,
    runners: &Runners,
) -> io::Result<(RunnerProcess, Pipes)> {
    let (control, for_runner) = UnixStream::pair()?;
    let (stdout, its_stdout) = io::pipe()?;
    let (stderr, its_stderr) = io::pipe()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the adapter; its runner leaves no process behind"
    )]
    let mut command = Command::new(executable);
    // Nothing may be done between fork and exec: the slow fork would copy our page tables.
    command
        .arg0("postroom")
        .arg(RUNNER_VERB)
        .env_clear()
        .env(RUNNER_VARIABLE, turn.to_string())
        .process_group(0)
        .stdin(OwnedFd::from(for_runner))
        .stdout(its_stdout)
        .stderr(its_stderr);
    let mut known = runners.hold();
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).unwrap_or(0);
    known.insert(pid);
    drop(known);
    let runner = RunnerProcess {
        child: Some(child),
        pid,
        runners: runners.clone(),
    };
    let pipes = Pipes {
        control,
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    Ok((runner, pipes))
}

impl RunnerProcess {
    /// Its id.
    pub(super) const fn pid(&self) -> i32 {
        self.pid
    }

    /// Kills it, so that all its descendants fall to us. Blocks until it has ended.
    pub(super) fn kill(mut self) {
        if let Some(child) = &mut self.child {
            let _ended_already = child.kill();
        }
        self.reap();
    }

    /// Blocks until it has ended.
    pub(super) fn reap(mut self) {
        if let Some(child) = self.child.take() {
            wait(child, &self.runners, self.pid);
        }
    }
}

impl Drop for RunnerProcess {
    fn drop(&mut self) {
        let Some(child) = self.child.take() else {
            return;
        };
        let (runners, pid) = (self.runners.clone(), self.pid);
        let reaper = thread::Builder::new().name("turn-reaper".to_owned());
        // Without a thread it stays in the process table until we end.
        let _no_thread = reaper.spawn(move || wait(child, &runners, pid));
    }
}

fn wait(mut child: Child, runners: &Runners, pid: i32) {
    let _no_child = child.wait();
    runners.hold().remove(&pid);
}
