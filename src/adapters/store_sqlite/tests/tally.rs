//! What is counted for good.

use std::collections::BTreeMap;

use postroom_actors::{
    domain::{
        agent_message::Envelope,
        post::{AfterAttempt, Beginning},
        task::{NewTask, TaskOutcome},
        turn::{AfterTurn, Failure, FailureCode, TurnEnd, TurnStart, TurnState, Usage},
    },
    ports::{
        courier::DeliveryStore,
        tally::{TallyBook, TallySheet},
        turns::TaskStore,
    },
};

use super::{
    super::{
        changes::{Change, Ledger, apply, undo_unacknowledged},
        deliveries::DeliveryChange,
        tasks::TaskChange,
    },
    messages::*,
    *,
};

fn named(sheet: TallySheet) -> BTreeMap<String, f64> {
    let series = sheet.tallies.into_iter().map(|tally| {
        let metric = tally.metric.trim_start_matches("postroom_");
        (format!("{metric} {}", tally.labels.join(" ")), tally.value)
    });
    series.collect()
}

async fn counted(store: &SqliteStore) -> BTreeMap<String, f64> {
    named(store.tally_sheet(at(1000)).await.unwrap())
}

fn expected(series: &[(&str, f64)]) -> BTreeMap<String, f64> {
    let named = series
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value));
    named.collect()
}

fn begin(number: u64, tasks: &[u64]) -> TurnStart {
    TurnStart {
        id: turn_id(number),
        agent: manager(),
        session: postroom_actors::domain::ids::SessionKey::new("msg:lab"),
        tasks: tasks.iter().copied().map(msg).collect(),
        cli_session: None,
        started_at: second(number),
    }
}

fn end(number: u64, state: TurnState, usage: Option<Usage>) -> TurnEnd {
    TurnEnd {
        id: turn_id(number),
        state,
        exit_code: Some(0),
        signal: None,
        usage,
        usage_total: None,
        failure: None,
        transcript: None,
        ended_at: second(number + 1),
        tasks: Vec::new(),
    }
}

fn failed() -> TaskOutcome {
    TaskOutcome::Failed(Failure {
        code: FailureCode::OutOfAttempts,
        message: "three times".to_owned(),
    })
}

fn sent_by(turn: u64, number: u64) -> Envelope {
    Envelope {
        turn: Some(turn_id(turn)),
        ..outgoing(number)
    }
}

#[test]
fn turns_are_counted_once_with_tokens_price_and_messages_and_stay_counted() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        assert_eq!(counted(&store).await, BTreeMap::new(), "a fresh store");
        let usage = Usage {
            input_tokens: 11,
            output_tokens: 5,
            cost_microdollars: Some(1_250_000),
            ..Usage::default()
        };
        store.begin_turn(begin(1, &[])).await.unwrap();
        for number in [10, 11] {
            let kept = delivery_with(number, sent_by(1, number), Beginning::Due);
            store.queue_delivery(Arc::new(kept), None).await.unwrap();
        }
        for _twice in 0..2 {
            store
                .end_turn(end(1, TurnState::Done, Some(usage)))
                .await
                .unwrap();
        }
        store.begin_turn(begin(2, &[])).await.unwrap();
        store
            .end_turn(end(2, TurnState::Interrupted, None))
            .await
            .unwrap();
        store
            .end_turn(end(99, TurnState::Done, Some(usage)))
            .await
            .unwrap();
        let all = expected(&[
            ("turn_callbacks_total manager", 2.0),
            ("turn_cost_usd_total manager", 1.25),
            ("turn_tokens_total manager input", 11.0),
            ("turn_tokens_total manager output", 5.0),
            ("turns_total manager done", 1.0),
            ("turns_total manager interrupted", 1.0),
        ]);
        assert_eq!(counted(&store).await, all);
        store.prune(at(900), 100).await.unwrap();
        close(store).await;
        let store = open(&folder).unwrap();
        assert_eq!(counted(&store).await, all, "after pruning and opening anew");
        close(store).await;
    });
}

#[test]
fn each_end_of_a_delivery_is_counted_once() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in 1..=4 {
            store.queue_delivery(delivery(number), None).await.unwrap();
        }
        let held = delivery_with(5, outgoing(5), Beginning::Held);
        store.queue_delivery(Arc::new(held), None).await.unwrap();
        let dead = delivery_with(6, outgoing(6), Beginning::Dead(reason()));
        store.queue_delivery(Arc::new(dead), None).await.unwrap();
        let sheet = store.tally_sheet(at(2)).await.unwrap();
        assert_eq!((sheet.deliveries_due, sheet.dead_letters), (2, 1));

        let delivered = attempt_end(1, 5, AfterAttempt::Delivered);
        let dead = attempt_end(2, 5, AfterAttempt::Dead(reason()));
        let again = attempt_end(4, 5, AfterAttempt::Again { due: at(900) });
        for end in [&delivered, &delivered, &dead, &dead, &again] {
            store.end_attempt(end.clone()).await.unwrap();
        }
        for _twice in 0..2 {
            store.cancel_delivery(msg(3), at(8)).await.unwrap();
        }
        let all = expected(&[
            ("dead_letters_total lab refused", 2.0),
            ("deliveries_total lab cancelled", 1.0),
            ("deliveries_total lab dead", 2.0),
            ("deliveries_total lab delivered", 1.0),
            ("deliveries_total lab held", 1.0),
        ]);
        assert_eq!(counted(&store).await, all);
        store.drop_dead_letter(msg(2)).await.unwrap();
        assert_eq!(counted(&store).await, all, "dropping takes nothing back");
        close(store).await;
    });
}

#[test]
fn a_message_that_goes_straight_to_its_agent_is_one_delivery() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let handed_over = |number| {
            Arc::new(NewTask {
                is_handed_over: true,
                ..(*task(number)).clone()
            })
        };
        for number in [1, 1, 2] {
            store.queue_task(handed_over(number), None).await.unwrap();
        }
        store.queue_task(task(3), None).await.unwrap();
        // Kept as a delivery first: its own end counts.
        let kept = delivery_with(4, envelope(4), Beginning::Due);
        store.queue_delivery(Arc::new(kept), None).await.unwrap();
        store.queue_task(handed_over(4), None).await.unwrap();
        let delivered = ("deliveries_total manager delivered", 2.0);
        assert_eq!(counted(&store).await, expected(&[delivered]));
        let end = attempt_end(4, 5, AfterAttempt::Delivered);
        store.end_attempt(end).await.unwrap();
        let delivered = ("deliveries_total manager delivered", 3.0);
        assert_eq!(counted(&store).await, expected(&[delivered]));
        close(store).await;
    });
}

#[test]
fn a_message_whose_turns_failed_is_a_dead_letter_of_its_agent() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in [1, 2] {
            store.queue_task(task(number), None).await.unwrap();
        }
        let chat = NewTask {
            envelope: None,
            ..(*task(3)).clone()
        };
        store.queue_task(Arc::new(chat), None).await.unwrap();
        store.begin_turn(begin(9, &[1])).await.unwrap();
        let ended = TurnEnd {
            tasks: vec![(msg(1), AfterTurn::Ended(failed()))],
            ..end(9, TurnState::Failed, None)
        };
        store.end_turn(ended).await.unwrap();
        store
            .end_task(msg(2), TaskOutcome::Cancelled, at(5))
            .await
            .unwrap();
        for number in [1, 2, 3] {
            store.end_task(msg(number), failed(), at(6)).await.unwrap();
        }
        assert_eq!(
            counted(&store).await,
            expected(&[
                ("dead_letters_total manager out_of_attempts", 1.0),
                ("turns_total manager failed", 1.0),
            ])
        );
        close(store).await;
    });
}

#[test]
fn accepting_a_mailbox_message_counts_nothing_here() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        accept(&store, 1).await.unwrap();
        assert_eq!(counted(&store).await, BTreeMap::new());
        close(store).await;
    });
}

/// What the tables hold once whatever a failed commit may have left is undone.
#[test]
fn what_was_never_acknowledged_is_not_counted() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        store.begin_turn(begin(1, &[])).await.unwrap();
        close(store).await;
        let path = folder.path().join("store/postroom.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        let kept = Ledger::read(&connection).unwrap();
        let mut ledger = kept;
        let lost = [
            Change::Deliveries(DeliveryChange::Queue {
                delivery: Arc::new(delivery_with(5, sent_by(1, 5), Beginning::Held)),
                once: None,
            }),
            Change::Deliveries(DeliveryChange::Queue {
                delivery: Arc::new(delivery_with(6, outgoing(6), Beginning::Dead(reason()))),
                once: None,
            }),
            Change::Tasks(TaskChange::EndTurn(Box::new(end(1, TurnState::Done, None)))),
        ];
        for change in &lost {
            apply(&connection, &mut ledger, change, at(9))
                .unwrap()
                .unwrap();
        }
        undo_unacknowledged(&connection, &kept).unwrap();
        drop(connection);
        let store = open(&folder).unwrap();
        let counted: BTreeMap<_, _> = counted(&store).await;
        let left = counted.into_iter().filter(|(_, value)| *value > 0.0);
        // The end of a turn stays where the log has kept it: telling it again changes nothing.
        let left: BTreeMap<String, f64> = left.collect();
        assert_eq!(left, expected(&[("turns_total manager done", 1.0)]));
        close(store).await;
    });
}

#[test]
fn a_store_of_the_third_schema_begins_to_count() {
    run(async {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let path = folder.path().join("store/postroom.db");
        let old = rusqlite::Connection::open(&path).unwrap();
        for step in [
            include_str!("../schema_1.sql"),
            include_str!("../schema_2.sql"),
            include_str!("../schema_3.sql"),
        ] {
            old.execute_batch(step).unwrap();
        }
        old.pragma_update(None, "user_version", 3).unwrap();
        drop(old);
        let store = open(&folder).unwrap();
        assert_eq!(counted(&store).await, BTreeMap::new());
        store.queue_delivery(delivery(1), None).await.unwrap();
        store.cancel_delivery(msg(1), at(8)).await.unwrap();
        let cancelled = ("deliveries_total lab cancelled", 1.0);
        assert_eq!(counted(&store).await, expected(&[cancelled]));
        close(store).await;
    });
}
