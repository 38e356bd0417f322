//! Whatever a program does, its turn ends in time with nothing left.

use std::{fs, time::Duration};

use postroom_actors::domain::turn::{FailureCode, TurnResult};
use tokio::time::Instant;

use super::bench::{Bench, Ended, holds_within, own_pid};

const LIMIT: Duration = Duration::from_millis(400);

fn assert_timed_out(ended: &Ended) {
    match &ended.exit.result {
        TurnResult::TimedOut(failure) => assert_eq!(failure.code, FailureCode::TimedOut),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_at_its_limit() {
    let begun = Instant::now();
    let ended = Bench::new("hang").whole(LIMIT).run().await;
    assert_timed_out(&ended);
    assert_eq!(ended.exit.signal, Some(15));
    assert!(begun.elapsed() >= LIMIT);
}

#[tokio::test]
async fn a_program_that_ignores_signals_is_killed_after_its_grace() {
    let begun = Instant::now();
    let grace = Duration::from_millis(300);
    let ended = Bench::new("ignore_term")
        .whole(LIMIT)
        .grace(grace)
        .run()
        .await;
    assert_timed_out(&ended);
    assert_eq!(ended.exit.signal, Some(9));
    assert!(begun.elapsed() >= LIMIT + grace);
}

#[tokio::test]
async fn a_flood_ends_the_turn_and_costs_no_memory() {
    let before = most_memory();
    let bench = Bench::new("flood").whole(Duration::from_secs(15));
    let ended = bench.run().await;
    let TurnResult::Failed(failure) = &ended.exit.result else {
        panic!("{:?}", ended.exit.result);
    };
    assert!(failure.message.contains("printed more than"), "{failure}");
    let grown = most_memory() - before;
    assert!(grown < 64 * 1024, "{grown} KiB more");
    let transcript = fs::metadata(ended.exit.transcript.unwrap()).unwrap();
    assert!(transcript.len() < 3 * 1024 * 1024);
}

#[tokio::test]
async fn what_left_its_group_and_its_session_is_found_when_the_program_ends() {
    let bench = Bench::new("fork_setsid");
    let ended = bench.run().await;
    assert_eq!(ended.exit.result, TurnResult::Done("done".into()));
    assert_eq!(bench.escaped().len(), 2);
    assert_eq!(ended.exit.killed, 2);
}

#[tokio::test]
async fn what_left_its_group_and_its_session_is_found_when_the_program_is_ended() {
    let bench = Bench::new("fork_setsid").variable("AFTERWARDS", "stay");
    let bench = bench.whole(Duration::from_secs(2));
    let ended = bench.run().await;
    assert_timed_out(&ended);
    assert_eq!((bench.escaped().len(), ended.exit.killed), (2, 2));
}

#[tokio::test]
async fn a_program_that_closes_its_pipes_is_still_watched() {
    assert_timed_out(&Bench::new("close_pipes").whole(LIMIT).run().await);
}

#[tokio::test]
async fn an_exit_code_of_zero_is_no_answer() {
    let ended = Bench::new("no_answer").run().await;
    let TurnResult::Failed(failure) = &ended.exit.result else {
        panic!("{:?}", ended.exit.result);
    };
    assert_eq!(failure.code, FailureCode::NoAnswer);
    assert_eq!(ended.exit.exit_code, Some(0));
}

#[tokio::test]
async fn a_crash_is_told_with_its_code_or_signal_and_the_last_words() {
    let ended = Bench::new("crash").run().await;
    assert_eq!((ended.exit.exit_code, ended.exit.signal), (Some(3), None));
    let TurnResult::Failed(failure) = &ended.exit.result else {
        panic!("{:?}", ended.exit.result);
    };
    assert_eq!(failure.message, "cannot go on\n");

    let mut bench = Bench::new("crash");
    bench.profile.command.push("SEGV".to_owned());
    let ended = bench.run().await;
    assert_eq!((ended.exit.exit_code, ended.exit.signal), (None, Some(11)));
    assert!(matches!(ended.exit.result, TurnResult::Failed(_)));
    let files = fs::read_dir(bench.folder.path()).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["logs"], "no core file");
}

#[tokio::test]
async fn an_answer_after_the_limit_is_late_whatever_the_exit_code_says() {
    let bench = Bench::new("late").whole(Duration::from_secs(1));
    let ended = bench.run().await;
    assert_timed_out(&ended);
    assert_eq!(ended.exit.exit_code, Some(0));
}

#[tokio::test]
async fn orphans_that_end_during_the_turn_leave_no_zombies() {
    let many = "for i in 1 2 3 4 5 6 7 8 9; do (true &) done; echo ready; exec sleep 1000";
    let bench = Bench::of_command(&["sh", "-c", many]);
    let running = bench.launch().await.unwrap();
    let runner = bench.runner();
    let children = || {
        let table = postroom::adapters::turn_process::process_table::ProcessTable::now();
        let below: Vec<_> = table
            .all()
            .filter(|one| one.parent == runner)
            .copied()
            .collect();
        below.len()
    };
    assert!(children() >= 1);
    assert!(holds_within(Duration::from_secs(5), || children() == 1).await);
    (running.stop)();
    drop(running.events);
    bench
        .wait_until_nothing_is_left(Duration::from_secs(5))
        .await;
}

/// The most memory that this process ever had, in KiB.
fn most_memory() -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", own_pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
