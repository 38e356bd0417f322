//! Starts the CLI.

use std::{
    io::{self, PipeWriter},
    os::unix::process::CommandExt as _,
    process::Command,
};

use rustix::process::Pid;

use crate::adapters::turn_process::protocol::{Order, Report, StartProblem};

/// Starts the program in a process group of its own; answers it and the pipe to its input.
pub(super) fn spawn(order: &Order) -> Result<(Pid, PipeWriter), Report> {
    if !order.working_dir.is_dir() {
        let folder = order.working_dir.display();
        return Err(Report::CannotStart {
            kind: StartProblem::Other,
            reason: format!("its working folder `{folder}` is not there"),
        });
    }
    start(order).map_err(|error| Report::CannotStart {
        kind: StartProblem::of(&error),
        reason: error.to_string(),
    })
}

fn start(order: &Order) -> io::Result<(Pid, PipeWriter)> {
    let (for_program, ours) = io::pipe()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this process is there to start it, and outlives all that comes of it"
    )]
    let mut command = Command::new(&order.program);
    command
        .args(&order.arguments)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&order.working_dir)
        .process_group(0)
        .stdin(for_program);
    // It is reaped together with everything else that is left to us.
    let child = command.spawn()?;
    Ok((Pid::from_child(&child), ours))
}
