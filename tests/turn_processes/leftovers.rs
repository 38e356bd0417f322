//! What a former run of the broker has left.

use std::{
    fs,
    process::{Command, Stdio},
};

use postroom::adapters::turn_process::process_table::ProcessTable;
use postroom_actors::ports::turns::TurnLauncher as _;

use super::bench::{Bench, SLACK, holds_within};

/// Starts a script whose processes carry the turn's id, and ends its first one: the rest are
/// orphans.
fn leave(bench: &Bench, script: &str) {
    let mut command = Command::new("setsid");
    command
        .args(["sh", "-c", script])
        .current_dir(bench.folder.path())
        .env("POSTROOM_TURN_ID", bench.turn.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().unwrap();
}

#[tokio::test]
async fn orphans_of_unfinished_turns_are_ended_with_all_that_came_of_them() {
    let bench = Bench::new("echo");
    let stubborn = "trap '' TERM; env -i sh -c 'echo $$ >>escaped; sleep 1000; :' & \
                    echo $! >>escaped; while :; do sleep 1; done";
    let script = format!("({stubborn}) & sleep 1000 & :");
    leave(&bench, &script);
    assert!(holds_within(SLACK, || bench.escaped().len() == 2).await);
    let ended = bench.processes.end_leftovers(vec![bench.turn]).await;
    assert!(ended >= 3, "{ended}");
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn processes_of_other_turns_stay() {
    let (bench, other) = (Bench::new("echo"), Bench::new("echo"));
    leave(&other, "sleep 1000 &");
    assert!(holds_within(SLACK, || other.members().len() == 1).await);
    assert_eq!(bench.processes.end_leftovers(vec![bench.turn]).await, 0);
    assert_eq!(bench.processes.end_leftovers(Vec::new()).await, 0);
    assert_eq!(other.members().len(), 1);
    assert_eq!(other.processes.end_leftovers(vec![other.turn]).await, 1);
    other.assert_nothing_is_left();
}

/// The name of the test that the next one starts again inside of a turn.
const INSIDE: &str = "leftovers::what_we_run_in_is_left_alone";

#[tokio::test]
async fn what_we_run_in_is_left_alone() {
    let Ok(turn) = std::env::var("POSTROOM_TURN_ID") else {
        return;
    };
    let bench = Bench::new("echo");
    let turn = postroom_actors::domain::ids::TurnId::parse(&turn).unwrap();
    assert_eq!(bench.processes.end_leftovers(vec![turn]).await, 0);
    let table = ProcessTable::now();
    let own = table.find(super::bench::own_pid()).unwrap();
    assert!(table.find(own.parent).is_some(), "the shell around us");
    fs::write("survived", "").unwrap();
}

#[tokio::test]
async fn neither_we_nor_what_we_descend_from_are_leftovers() {
    let bench = Bench::new("echo");
    let own = std::env::current_exe().unwrap();
    let script = format!("'{}' --exact {INSIDE}; echo $? >status", own.display());
    leave(&bench, &script);
    let status = fs::read_to_string(bench.folder.path().join("status"));
    assert_eq!(status.unwrap(), "0\n");
    assert!(bench.folder.path().join("survived").exists());
}
