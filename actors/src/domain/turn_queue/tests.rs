use std::time::Duration;

use chrono::TimeZone;
use uuid::Uuid;

use super::*;
use crate::domain::agent_message::Priority;
use crate::domain::envelope::Sequence;

fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_000_000 + second, 0).unwrap()
}

fn session(name: &str) -> SessionKey {
    SessionKey::new(name)
}

fn task(number: i64, in_session: &str) -> WaitingTask {
    WaitingTask {
        sequence: Sequence(number),
        id: MessageId::new(Uuid::from_u128(u128::try_from(number).unwrap())),
        session: session(in_session),
        received_at: at(number),
        attempts: 0,
        not_before: None,
        is_background: true,
        priority: Priority::NORMAL,
        expires_at: None,
        interrupted_turn: None,
    }
}

fn queue(tasks: impl IntoIterator<Item = WaitingTask>) -> TurnQueue {
    let mut queue = TurnQueue::new(QueueMode::Followup);
    tasks.into_iter().for_each(|task| queue.push(task));
    queue
}

fn numbers(batch: &Batch) -> Vec<i64> {
    batch.tasks.iter().map(|task| task.sequence.0).collect()
}

#[test]
fn a_turn_takes_all_that_waits_in_its_session_in_order() {
    let mut queue = queue([task(2, "a"), task(1, "a"), task(3, "b"), task(4, "a")]);
    let batch = queue.next_batch(at(9)).unwrap();
    assert_eq!(
        (batch.session.as_str(), numbers(&batch)),
        ("a", vec![1, 2, 4])
    );
    assert_eq!(queue.waiting(), 1);
}

#[test]
fn a_session_never_has_two_turns_at_once_but_another_one_may_run_beside_it() {
    let mut queue = queue([task(1, "a")]);
    queue.next_batch(at(9)).unwrap();
    queue.push(task(2, "a"));
    assert_eq!(queue.next_batch(at(9)), None);
    assert_eq!(queue.wait(at(9)), Some(Wait::Session));
    queue.push(task(3, "b"));
    assert_eq!(numbers(&queue.next_batch(at(9)).unwrap()), [3]);
    queue.ended(&session("a"));
    assert_eq!(numbers(&queue.next_batch(at(9)).unwrap()), [2]);
}

#[test]
fn sessions_are_served_in_turn() {
    let mut queue = queue([task(1, "busy"), task(2, "quiet")]);
    let mut served = Vec::new();
    for number in 3..7 {
        let batch = queue.next_batch(at(9)).unwrap();
        queue.ended(&batch.session);
        queue.push(task(number, "busy"));
        served.push(batch.session.as_str().to_owned());
    }
    assert_eq!(served, ["busy", "quiet", "busy", "busy"]);
}

#[test]
fn a_pause_holds_back_its_whole_session_and_says_until_when() {
    let mut paused = task(1, "a");
    paused.not_before = Some(at(100));
    let mut queue = queue([paused, task(2, "a")]);
    assert!(!queue.has_ready(at(99)));
    assert_eq!(queue.wait(at(99)), Some(Wait::Until(at(100))));
    assert_eq!(queue.wake_at(at(99)), Some(at(100)));
    assert_eq!(numbers(&queue.next_batch(at(100)).unwrap()), [1, 2]);
}

#[test]
fn pauses_are_forgotten_when_an_agent_is_resumed() {
    let mut paused = task(1, "a");
    paused.not_before = Some(at(100));
    let mut queue = queue([paused]);
    queue.forget_pauses();
    assert!(queue.has_ready(at(0)));
}

#[test]
fn collecting_waits_for_a_quiet_time_after_the_newest() {
    let mut queue = TurnQueue::new(QueueMode::Collect(Duration::from_secs(5)));
    queue.push(task(1, "a"));
    queue.push(task(4, "a"));
    assert_eq!(queue.wait(at(8)), Some(Wait::Until(at(9))));
    assert_eq!(numbers(&queue.next_batch(at(9)).unwrap()), [1, 4]);
}

#[test]
fn what_is_taken_out_is_not_begun() {
    let mut queue = queue([task(1, "a"), task(2, "a"), task(3, "b")]);
    assert_eq!(queue.remove(task(2, "a").id), Some(task(2, "a")));
    assert_eq!(queue.remove(task(2, "a").id), None);
    assert_eq!(queue.remove(task(3, "b").id), Some(task(3, "b")));
    assert_eq!(queue.waiting(), 1);
    assert_eq!(numbers(&queue.next_batch(at(9)).unwrap()), [1]);
    assert_eq!(queue.next_batch(at(9)), None);
}

#[test]
fn an_emptied_queue_still_knows_what_runs() {
    let mut queue = queue([task(1, "a")]);
    queue.next_batch(at(9)).unwrap();
    queue.push(task(3, "b"));
    queue.push(task(2, "a"));
    let removed = queue.remove_all();
    assert_eq!(removed, [task(2, "a"), task(3, "b")]);
    assert!(queue.is_running(&session("a")) && queue.waiting() == 0);
    queue.push(task(4, "a"));
    assert_eq!(queue.next_batch(at(9)), None);
}

#[test]
fn nothing_is_kept_of_sessions_that_are_done() {
    let mut queue = queue([task(1, "a")]);
    let batch = queue.next_batch(at(9)).unwrap();
    queue.ended(&batch.session);
    assert!(queue.lanes.is_empty() && queue.order.is_empty());
    assert_eq!(queue.oldest(), None);
}

#[test]
fn the_most_urgent_session_is_next_and_its_own_order_stays() {
    let urgent = WaitingTask {
        priority: Priority::HIGH,
        ..task(4, "urgent")
    };
    let low = WaitingTask {
        priority: Priority::LOW,
        ..task(1, "low")
    };
    let mut queue = queue([low, task(2, "normal"), task(3, "urgent"), urgent]);
    let mut served = Vec::new();
    while let Some(batch) = queue.next_batch(at(9)) {
        served.push(numbers(&batch));
    }
    assert_eq!(served, [vec![3, 4], vec![2], vec![1]]);
}

#[test]
fn what_expires_is_taken_out_unless_a_turn_has_begun_with_it() {
    let expiring = |number: i64, second: i64, attempts: u32| WaitingTask {
        expires_at: Some(at(second)),
        attempts,
        ..task(number, "a")
    };
    let mut queue = queue([
        expiring(1, 30, 0),
        expiring(2, 20, 0),
        expiring(3, 20, 1),
        task(4, "a"),
    ]);
    assert_eq!(queue.next_expiry(), Some(at(20)));
    assert_eq!(queue.take_expired(at(19)), []);
    let expired = |queue: &mut TurnQueue, second| -> Vec<i64> {
        let expired = queue.take_expired(at(second));
        expired.iter().map(|task| task.sequence.0).collect()
    };
    assert_eq!(expired(&mut queue, 20), [2]);
    assert_eq!((queue.waiting(), queue.next_expiry()), (3, Some(at(30))));
    assert_eq!(numbers(&queue.next_batch(at(21)).unwrap()), [1, 3, 4]);
    assert_eq!(
        (queue.next_expiry(), expired(&mut queue, 99)),
        (None, vec![])
    );
}
