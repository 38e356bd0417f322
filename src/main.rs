//! `postroom`, and `ai-agent-proxy` where it is linked under that name.

use std::{io, process::ExitCode};

use postroom::cli::{self, World, exit};

fn main() -> ExitCode {
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
