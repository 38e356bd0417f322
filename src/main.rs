//! `postroom`, and `ai-agent-proxy` where it is linked under that name.

use std::process::ExitCode;

fn main() -> ExitCode {
    postroom::cli::main()
}
