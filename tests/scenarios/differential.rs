//! The predecessor 2.3.0 and the broker get the same requests and do the same, but for the differences that are wanted.

use std::os::unix::fs::symlink;

use crate::support::tools::{Client, ClientResult, installed};

#[test]
fn the_predecessor_can_be_replaced_under_its_own_name() -> ClientResult {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let link = folder.path().join("ai-agent-proxy");
    symlink(env!("CARGO_BIN_EXE_postroom"), &link).expect("the broker can be linked");
    Client::with_plain_python("differential.py")?
        .option(
            "--predecessor",
            installed("predecessor/bin/ai-agent-proxy")?,
        )
        .option("--", link)
        .passes()
}

#[test]
fn serve_does_what_the_predecessor_does() -> ClientResult {
    Client::with_plain_python("differential.py")?
        .option(
            "--predecessor",
            installed("predecessor/bin/ai-agent-proxy")?,
        )
        .option("--", env!("CARGO_BIN_EXE_postroom"))
        .arguments(["serve"])
        .passes()
}

#[test]
fn the_predecessor_does_not_differ_from_itself() -> ClientResult {
    Client::with_plain_python("differential.py")?
        .option(
            "--predecessor",
            installed("predecessor/bin/ai-agent-proxy")?,
        )
        .arguments(["--self-check"])
        .passes()
}
