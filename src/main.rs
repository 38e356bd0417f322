//! `postroom`, and `ai-agent-proxy` where it is linked under that name.

use std::{io, process::ExitCode};

use postroom::{
    cli::{self, World, exit},
    turn_runner,
};

fn main() -> ExitCode {
    // Before anything else is set up: a turn's process waits for it.
    let verb = std::env::args_os().nth(1);
    if verb.is_some_and(|verb| verb == turn_runner::RUNNER_VERB) {
        return turn_runner::run();
    }
    let (mut output, mut error) = (io::stdout().lock(), io::stderr());
    let code = match World::of_this_process() {
        Ok(world) => cli::run(
            std::env::args_os().collect(),
            &world,
            &mut output,
            &mut error,
        ),
        Err(_gone) => exit::IO,
    };
    ExitCode::from(code)
}
