//! Runners that are killed, or do not work.

use std::{path::PathBuf, sync::Arc, time::Duration};

use postroom::adapters::{
    system_clock::SystemClock,
    turn_process::{TurnProcessOptions, TurnProcesses},
};
use postroom_actors::{
    domain::turn::TurnResult,
    ports::turns::{LaunchError, TurnLauncher as _},
};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    bench::{Bench, SLACK, ended, holds_within},
    plain_dialect::Plain,
};

static PLAIN: Plain = Plain { can_sandbox: true };

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_killed_runner_fails_the_turn_and_leaves_nothing() {
    for sent in [Signal::KILL, Signal::TERM, Signal::INT] {
        let bench = Bench::new("fork_setsid").variable("AFTERWARDS", "stay");
        let running = bench.launch().await.unwrap();
        assert!(holds_within(SLACK, || bench.escaped().len() == 2).await);
        signal(bench.runner(), sent);
        let ended = ended(running.events, SLACK).await;
        assert!(matches!(ended.exit.result, TurnResult::Failed(_)));
        assert_eq!((ended.exit.exit_code, ended.exit.signal), (None, None));
        // The script may still be in the short sleep after which it looks again.
        assert!((3..=4).contains(&ended.exit.killed), "{:?}", ended.exit);
        bench.assert_nothing_is_left();
    }
}

#[tokio::test]
async fn other_turns_go_on_where_a_runner_is_killed() {
    let victim = Bench::new("ignore_term");
    let other = Bench::new("hang");
    let mut neighbour = Bench::new("hang");
    neighbour.processes = victim.processes.clone();
    let running = victim.launch().await.unwrap();
    let by_the_same = neighbour.launch().await.unwrap();
    signal(victim.runner(), Signal::KILL);
    let end = ended(running.events, SLACK).await;
    assert!(matches!(end.exit.result, TurnResult::Failed(_)));
    assert_eq!(neighbour.members().len(), 2);
    drop(by_the_same);
    neighbour.wait_until_nothing_is_left(SLACK).await;
    drop(other);
}

#[tokio::test]
async fn a_runner_that_hangs_is_ended_with_its_turn() {
    let bench = Bench::new("ignore_term").grace(Duration::from_millis(100));
    let running = bench.launch().await.unwrap();
    signal(bench.runner(), Signal::STOP);
    (running.stop)();
    let ended = ended(running.events, SLACK).await;
    assert_eq!(ended.exit.result, TurnResult::Stopped);
    bench.assert_nothing_is_left();
}

#[tokio::test]
async fn a_runner_that_does_not_work_is_said_so() {
    for (runner, is_found) in [("/no/such/runner", false), ("/bin/true", true)] {
        let mut options = TurnProcessOptions::of_this_process(Arc::new(SystemClock));
        options.runner = PathBuf::from(runner);
        let mut bench = Bench::new("echo");
        bench.processes = TurnProcesses::new(options, Arc::new(|_, _| Ok(&PLAIN)));
        let refusal = bench.launch().await.map(drop).unwrap_err();
        let is_told_found = !matches!(refusal, LaunchError::NotFound(_));
        assert_eq!(is_told_found, is_found, "{refusal}");
        assert_eq!(bench.processes.check(&bench.profile), Ok(()));
        bench.assert_nothing_is_left();
    }
}
