use chrono::TimeZone;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn at(ms: i64) -> DateTime<Utc> {
    Utc.timestamp_millis_opt(1_700_000_000_000 + ms).unwrap()
}

fn id(sequence: i64) -> MessageId {
    MessageId::new(Uuid::from_u128(u128::try_from(sequence).unwrap()))
}

/// A message number, its context and its arrival in milliseconds.
fn item(sequence: i64, context: Option<&str>, ms: i64) -> PendingItem {
    PendingItem {
        sequence: Sequence(sequence),
        id: id(sequence),
        received_at: at(ms),
        context_id: context.map(ContextId::new),
        reply_due: None,
    }
}

fn awaiting(sequence: i64, context: &str, ms: i64, reply_due: i64) -> PendingItem {
    PendingItem {
        reply_due: Some(at(reply_due)),
        ..item(sequence, Some(context), ms)
    }
}

fn numbers(due: &[DueLane]) -> Vec<Vec<i64>> {
    due.iter()
        .flat_map(|lane| &lane.files)
        .map(|file| file.iter().map(|due| due.item.sequence.0).collect())
        .collect()
}

fn batcher(window_ms: i64, items: impl IntoIterator<Item = PendingItem>) -> Batcher {
    let mut batcher = Batcher::new(TimeDelta::milliseconds(window_ms));
    items.into_iter().for_each(|item| batcher.push(item));
    batcher
}

#[test]
fn without_a_window_each_message_is_a_file_at_once_and_in_order() {
    let mut batcher = batcher(
        0,
        [
            item(1, Some("a"), 0),
            item(2, Some("a"), 0),
            item(3, None, 1),
        ],
    );
    assert_eq!(
        numbers(&batcher.take_due(at(1), 10)),
        [vec![1], vec![2], vec![3]]
    );
    assert_eq!(batcher.next_due(), None);
}

#[test]
fn a_lane_that_is_being_written_gives_nothing_more() {
    let mut batcher = batcher(0, [item(1, Some("a"), 0)]);
    let first = batcher.take_due(at(0), 10);
    batcher.push(item(2, Some("a"), 1));
    assert_eq!(batcher.take_due(at(5), 10), []);
    batcher.written(&first[0]);
    assert_eq!(numbers(&batcher.take_due(at(5), 10)), [vec![2]]);
}

#[test]
fn a_window_gathers_what_came_within_it_of_the_first() {
    let mut batcher = batcher(
        20,
        [
            item(1, Some("a"), 0),
            item(2, Some("a"), 20),
            item(3, Some("a"), 21),
        ],
    );
    assert_eq!(batcher.next_due(), Some(at(20)));
    assert_eq!(batcher.take_due(at(19), 10), []);
    let first = batcher.take_due(at(20), 10);
    assert_eq!(numbers(&first), [vec![1, 2]]);
    batcher.written(&first[0]);
    assert_eq!(batcher.next_due(), Some(at(41)));
    assert_eq!(numbers(&batcher.take_due(at(41), 10)), [vec![3]]);
}

#[test]
fn a_late_start_makes_the_same_groups() {
    let items = [
        item(1, Some("a"), 0),
        item(2, Some("a"), 20),
        item(3, Some("a"), 21),
    ];
    let mut batcher = batcher(20, items);
    assert_eq!(
        numbers(&batcher.take_due(at(60_000), 10)),
        [vec![1, 2], vec![3]]
    );
}

#[test]
fn later_messages_of_a_context_wait_behind_an_awaited_reply() {
    let mut batcher = batcher(
        0,
        [
            awaiting(1, "a", 0, 60_000),
            item(2, Some("a"), 1),
            item(3, Some("b"), 2),
        ],
    );
    assert_eq!(numbers(&batcher.take_due(at(10), 10)), [vec![3]]);
    batcher.reply(id(1), Some("hello".into()), RelayOutcome::Complete);
    let due = batcher.take_due(at(11), 10);
    assert_eq!(numbers(&due), [vec![1], vec![2]]);
    assert_eq!(due[0].files[0][0].reply.as_deref(), Some("hello"));
}

#[test]
fn an_awaited_reply_that_never_comes_is_given_up_when_due() {
    let mut batcher = batcher(0, [awaiting(1, "a", 0, 60_000)]);
    assert_eq!(batcher.next_due(), Some(at(60_000)));
    assert_eq!(batcher.take_due(at(59_999), 10), []);
    let due = batcher.take_due(at(60_000), 10);
    assert_eq!(due[0].files[0][0].reply, None);
    batcher.reply(id(1), Some("late".into()), RelayOutcome::Complete);
    batcher.written(&due[0]);
    assert!(batcher.is_empty());
}

#[test]
fn a_tool_loop_goes_on_waiting_and_its_last_text_counts() {
    let mut batcher = batcher(0, [awaiting(1, "a", 0, 60_000)]);
    batcher.reply(id(1), Some("let me look".into()), RelayOutcome::ToolCalls);
    assert_eq!(batcher.take_due(at(100), 10), []);
    batcher.reply(id(1), None, RelayOutcome::ToolCalls);
    batcher.reply(id(1), Some("done".into()), RelayOutcome::Complete);
    let due = batcher.take_due(at(100), 10);
    assert_eq!(due[0].files[0][0].reply.as_deref(), Some("done"));
}

#[test]
fn a_failed_write_comes_back_first_and_not_before_its_time() {
    let mut batcher = batcher(0, [item(1, Some("a"), 0)]);
    let mut due = batcher.take_due(at(0), 10);
    batcher.push(item(2, Some("a"), 1));
    batcher.failed(due.remove(0), at(1_000));
    assert_eq!(batcher.next_due(), Some(at(1_000)));
    assert_eq!(
        numbers(&batcher.take_due(at(1_000), 10)),
        [vec![1], vec![2]]
    );
}

#[test]
fn a_message_is_taken_in_once() {
    let mut batcher = batcher(0, [item(1, None, 0), item(1, None, 0)]);
    assert_eq!(batcher.len(), 1);
    assert_eq!(numbers(&batcher.take_due(at(0), 10)), [vec![1]]);
}

#[test]
fn giving_up_replies_makes_everything_due() {
    let mut batcher = batcher(0, [awaiting(1, "a", 0, 60_000), item(2, Some("a"), 1)]);
    batcher.give_up_replies();
    assert_eq!(numbers(&batcher.take_due(at(5), 10)), [vec![1], vec![2]]);
}

#[test]
fn a_limit_leaves_the_rest_for_later() {
    let mut batcher = batcher(0, (1..=5).map(|n| item(n, Some("a"), 0)));
    let due = batcher.take_due(at(0), 2);
    assert_eq!(numbers(&due), [vec![1], vec![2]]);
    batcher.written(&due[0]);
    assert_eq!(
        numbers(&batcher.take_due(at(0), 10)),
        [vec![3], vec![4], vec![5]]
    );
}

/// What may happen to a batcher.
#[derive(Debug, Clone)]
enum Step {
    Push { context: u8, awaited: bool },
    Reply(u8),
    Write { fails: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_u8, any::<bool>()).prop_map(|(context, awaited)| Step::Push { context, awaited }),
        any::<u8>().prop_map(Step::Reply),
        any::<bool>().prop_map(|fails| Step::Write { fails }),
    ]
}

proptest! {
    /// Whatever happens, each message is written once, and each context in its order.
    #[test]
    fn every_message_is_written_once_and_in_order(
        window in prop_oneof![Just(0_i64), 1..50_i64],
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let mut batcher = Batcher::new(TimeDelta::milliseconds(window));
        let mut written: Vec<(Option<ContextId>, i64)> = Vec::new();
        let (mut now, mut pushed) = (0_i64, 0_i64);
        for step in steps {
            now += 7;
            match step {
                Step::Push { context, awaited } => {
                    pushed += 1;
                    let name = (context > 0).then(|| format!("c{context}"));
                    let reply_due = awaited.then(|| at(now + 100));
                    batcher.push(PendingItem { reply_due, ..item(pushed, name.as_deref(), now) });
                }
                Step::Reply(number) => {
                    batcher.reply(id(i64::from(number % 20)), None, RelayOutcome::Failed);
                }
                Step::Write { fails } => write(&mut batcher, &mut written, now, fails),
            }
        }
        while !batcher.is_empty() {
            now += 200;
            write(&mut batcher, &mut written, now, false);
        }
        prop_assert_eq!(i64::try_from(written.len()).unwrap(), pushed);
        for context in (1..4).map(|n| Some(ContextId::new(format!("c{n}")))) {
            let order: Vec<i64> =
                written.iter().filter(|(of, _)| *of == context).map(|(_, n)| *n).collect();
            prop_assert!(order.is_sorted(), "{:?}", order);
        }
    }
}

fn write(
    batcher: &mut Batcher,
    written: &mut Vec<(Option<ContextId>, i64)>,
    now: i64,
    fails: bool,
) {
    for due in batcher.take_due(at(now), 3) {
        if fails {
            batcher.failed(due, at(now + 5));
            continue;
        }
        let items = due.files.iter().flatten().map(|due| &due.item);
        written.extend(items.map(|item| (item.context_id.clone(), item.sequence.0)));
        batcher.written(&due);
    }
}
