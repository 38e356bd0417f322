//! Turns that are ended from our side.

use std::{fs, thread, time::Duration};

use futures_util::StreamExt as _;
use postroom_actors::domain::turn::{TurnEvent, TurnResult};
use tokio::{runtime, time::sleep};

use super::bench::{Bench, SLACK, ended, holds_within};

/// Prints a line again and again, as fast as it can.
const CHATTER: [&str; 3] = ["sh", "-c", "while :; do echo line; done"];

#[tokio::test]
async fn a_turn_that_is_asked_to_stop_says_that_it_was_stopped() {
    for program in ["hang", "ignore_term", "late"] {
        let bench = Bench::new(program);
        let running = bench.launch().await.unwrap();
        (running.stop)();
        let ended = ended(running.events, SLACK).await;
        assert_eq!(ended.exit.result, TurnResult::Stopped, "{program}");
        bench.assert_nothing_is_left();
    }
}

#[tokio::test]
async fn a_turn_that_ended_by_itself_is_not_stopped_afterwards() {
    let bench = Bench::new("echo");
    let mut running = bench.launch().await.unwrap();
    bench.wait_until_nothing_is_left(SLACK).await;
    (running.stop)();
    let mut last = None;
    while let Some(event) = running.events.next().await {
        last = Some(event);
    }
    let Some(TurnEvent::Exited(exit)) = last else {
        panic!("{last:?}");
    };
    assert_eq!(exit.result, TurnResult::Done("hello".into()));
}

#[tokio::test]
async fn a_turn_whose_stop_is_thrown_away_goes_on() {
    let running = Bench::new("echo").launch().await.unwrap();
    drop(running.stop);
    let ended = ended(running.events, SLACK).await;
    assert_eq!(ended.exit.result, TurnResult::Done("hello".into()));
}

#[tokio::test]
async fn dropping_the_events_ends_the_turn() {
    let bench = Bench::new("fork_setsid").variable("AFTERWARDS", "stay");
    let running = bench.launch().await.unwrap();
    assert!(holds_within(SLACK, || bench.escaped().len() == 2).await);
    drop(running);
    bench.wait_until_nothing_is_left(SLACK).await;
}

#[tokio::test]
async fn dropping_a_launch_under_way_leaves_nothing() {
    for microseconds in [0, 100, 1000, 3000, 10_000] {
        let bench = Bench::new("hang");
        tokio::select! {
            biased;
            running = bench.launch() => drop(running),
            () = sleep(Duration::from_micros(microseconds)) => {}
        }
        bench.wait_until_nothing_is_left(SLACK).await;
    }
}

#[test]
fn a_broker_that_ends_takes_its_turns_with_it() {
    let bench = Bench::new("fork_setsid").variable("AFTERWARDS", "stay");
    let broker = runtime::Builder::new_current_thread().enable_all().build();
    let broker = broker.unwrap();
    let running = broker.block_on(async {
        let running = bench.launch().await.unwrap();
        assert!(holds_within(SLACK, || bench.escaped().len() == 2).await);
        running
    });
    broker.shutdown_background();
    let watcher = runtime::Builder::new_current_thread().enable_all().build();
    let gone = bench.wait_until_nothing_is_left(SLACK);
    watcher.unwrap().block_on(gone);
    drop(running);
}

#[tokio::test]
async fn silence_ends_a_turn_where_there_is_an_idle_limit() {
    let said = "echo once >&2; sleep 0.3; echo again; exec sleep 1000";
    let mut bench = Bench::of_command(&["sh", "-c", said]);
    bench.profile.limits.idle = Duration::from_millis(600);
    let ended = bench.run().await;
    let TurnResult::TimedOut(failure) = &ended.exit.result else {
        panic!("{:?}", ended.exit.result);
    };
    assert!(failure.message.contains("no output for 0.6 s"), "{failure}");
    assert!(ended.events.contains(&TurnEvent::Said("again".into())));
}

#[tokio::test]
async fn a_slow_listener_puts_off_neither_stop_nor_limit() {
    for is_asked in [true, false] {
        let bench = Bench::of_command(&CHATTER).whole(Duration::from_secs(1));
        let running = bench.launch().await.unwrap();
        if is_asked {
            (running.stop)();
        }
        // Nobody reads the events until all processes are gone.
        bench
            .wait_until_nothing_is_left(Duration::from_secs(1) + SLACK)
            .await;
        let ended = ended(running.events, SLACK).await;
        let is_stopped = ended.exit.result == TurnResult::Stopped;
        assert_eq!(is_stopped, is_asked, "{:?}", ended.exit.result);
    }
}

#[tokio::test]
async fn a_slow_listener_misses_nothing() {
    let bench = Bench::of_command(&["seq", "20000"]);
    let mut running = bench.launch().await.unwrap();
    let mut numbers = Vec::new();
    while let Some(event) = running.events.next().await {
        if let TurnEvent::Said(line) = event {
            numbers.push(line.parse::<u32>().unwrap());
        }
        if numbers.len() % 5000 == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(numbers, (1..=20_000).collect::<Vec<u32>>());
}

#[tokio::test]
async fn a_transcript_that_cannot_be_written_fails_no_turn() {
    let bench = Bench::new("echo");
    fs::write(bench.folder.path().join("logs"), "a file").unwrap();
    let ended = bench.run().await;
    assert_eq!(ended.exit.result, TurnResult::Done("hello".into()));
    assert_eq!(ended.exit.transcript, None);
}

#[test]
fn turns_run_on_a_thread_whose_runtime_has_no_other() {
    let on_its_own = || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let exit = runtime.unwrap().block_on(async {
            let running = Bench::new("echo").launch().await.unwrap();
            ended(running.events, SLACK).await.exit
        });
        assert_eq!(exit.result, TurnResult::Done("hello".into()));
    };
    thread::spawn(on_its_own).join().unwrap();
}
