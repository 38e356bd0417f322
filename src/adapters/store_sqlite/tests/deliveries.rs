//! Deliveries: their tries, their ends, what is pruned and what is undone of them.

use postroom_actors::{
    domain::{
        agent_message::Envelope,
        party::Party,
        post::{
            AfterAttempt, AttemptEnd, Beginning, DeliveryRecord, DeliveryState, MessageRecord,
            Queued,
        },
        task::{NewTask, TaskOutcome},
    },
    ports::{
        courier::{DeliveryStore, MessageBook},
        turns::TaskStore,
    },
};

use super::{
    super::{
        changes::{Change, Ledger, undo_unacknowledged},
        deliveries::DeliveryChange,
    },
    messages::*,
    *,
};

async fn record(store: &SqliteStore, number: u64) -> DeliveryRecord {
    match store.message(msg(number)).await.unwrap() {
        Some(MessageRecord::Delivery(delivery)) => delivery,
        other => panic!("{other:?}"),
    }
}

fn again(due: u64) -> AfterAttempt {
    AfterAttempt::Again { due: second(due) }
}

async fn queue_deliveries(store: &SqliteStore, numbers: &[u64]) {
    for number in numbers {
        store.queue_delivery(delivery(*number), None).await.unwrap();
    }
}

#[test]
fn a_delivery_goes_its_way() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        queue_deliveries(&store, &[1, 2]).await;
        assert_eq!(
            store.end_attempt(attempt_end(1, 5, again(9))).await,
            Ok(true)
        );
        let skipped = AttemptEnd {
            attempt: None,
            ..attempt_end(1, 6, again(11))
        };
        assert_eq!(store.end_attempt(skipped).await, Ok(true));
        close(store).await;

        let store = open(&folder).unwrap();
        let waiting = store.waiting_deliveries(Sequence(0), 9).await.unwrap();
        let first = &waiting[0];
        assert_eq!((first.id, first.attempts, first.due), (msg(1), 1, at(11)));
        assert_eq!((first.since, &first.to), (at(1), &peer("lab")));
        assert_eq!(waiting[1].expires_at, Some(at(52)));
        let to_post = store.delivery_to_post(msg(1)).await.unwrap();
        assert_eq!(to_post, Some(delivery(1)));

        let done = attempt_end(1, 12, AfterAttempt::Delivered);
        assert_eq!(store.end_attempt(done.clone()).await, Ok(true));
        assert_eq!(store.end_attempt(done).await, Ok(false));
        assert_eq!(store.delivery_to_post(msg(1)).await, Ok(None));
        let kept = record(&store, 1).await;
        assert_eq!((kept.state, kept.attempts), (DeliveryState::Delivered, 1));
        assert_eq!((kept.due, kept.ended_at), (None, Some(at(13))));
        let numbers: Vec<_> = kept.history.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(kept.history[0].error.as_deref(), Some("it is busy"));
        assert_eq!(kept.history[1].status, None);
        let unknown = store.end_attempt(attempt_end(99, 1, again(2))).await;
        assert_eq!(unknown, Ok(false));
        close(store).await;
    });
}

#[test]
fn a_delivery_that_was_taken_back_stays_so_unless_it_arrived() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        queue_deliveries(&store, &[1, 2]).await;
        for number in [1, 2] {
            assert_eq!(store.cancel_delivery(msg(number), at(8)).await, Ok(true));
            assert_eq!(store.cancel_delivery(msg(number), at(9)).await, Ok(false));
        }
        assert_eq!(
            store.end_attempt(attempt_end(1, 5, again(9))).await,
            Ok(false)
        );
        let arrived = attempt_end(2, 5, AfterAttempt::Delivered);
        assert_eq!(store.end_attempt(arrived).await, Ok(false));
        let (first, second) = (record(&store, 1).await, record(&store, 2).await);
        assert_eq!(
            (first.state, first.ended_at),
            (DeliveryState::Cancelled, Some(at(8)))
        );
        assert_eq!(second.state, DeliveryState::Delivered);
        assert_eq!((first.history.len(), second.history.len()), (0, 1));

        let held = delivery_with(3, outgoing(3), Beginning::Held);
        store.queue_delivery(Arc::new(held), None).await.unwrap();
        assert_eq!(store.delivery_to_post(msg(3)).await, Ok(None));
        assert_eq!(
            store.waiting_deliveries(Sequence(0), 9).await,
            Ok(Vec::new())
        );
        assert_eq!(store.cancel_delivery(msg(3), at(9)).await, Ok(true));
        close(store).await;
    });
}

#[test]
fn a_dead_letter_is_revived_with_a_new_schedule_or_dropped() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        queue_deliveries(&store, &[2, 3]).await;
        let refused = delivery_with(4, outgoing(4), Beginning::Dead(reason()));
        store.queue_delivery(Arc::new(refused), None).await.unwrap();
        assert_eq!(store.revive_delivery(msg(2), at(9)).await, Ok(false));
        assert_eq!(store.drop_dead_letter(msg(2)).await, Ok(false));
        for number in [2, 3] {
            let dead = attempt_end(number, 5, AfterAttempt::Dead(reason()));
            assert_eq!(store.end_attempt(dead).await, Ok(true));
        }
        let dead = record(&store, 2).await;
        assert_eq!(
            (dead.state, dead.reason),
            (DeliveryState::Dead, Some(reason()))
        );
        assert_eq!((dead.attempts, dead.ended_at), (1, Some(at(6))));
        assert_eq!(store.dead_letters().await, Ok(3));

        assert_eq!(store.revive_delivery(msg(2), at(9)).await, Ok(true));
        let back = record(&store, 2).await;
        assert_eq!((back.state, back.reason), (DeliveryState::Waiting, None));
        assert_eq!(
            (back.attempts, back.due, back.ended_at),
            (0, Some(at(9)), None)
        );
        assert_eq!(back.delivery.envelope.hops, 0);
        assert_eq!(back.delivery.envelope.expires_at, None);
        store
            .end_attempt(attempt_end(2, 10, again(20)))
            .await
            .unwrap();
        let numbers: Vec<_> = record(&store, 2).await.history;
        let numbers: Vec<_> = numbers.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, [1, 2], "counted over all retries");
        let waiting = store.waiting_deliveries(Sequence(0), 9).await.unwrap();
        assert_eq!((waiting[0].since, waiting[0].attempts), (at(9), 1));

        let to_ops = Envelope {
            recipient: Party::Key("ops".into()),
            ..outgoing(5)
        };
        let refused = delivery_with(5, to_ops, Beginning::Dead(reason()));
        store.queue_delivery(Arc::new(refused), None).await.unwrap();
        assert_eq!(store.revive_delivery(msg(5), at(9)).await, Ok(true));
        let held = record(&store, 5).await;
        assert_eq!((held.state, held.due), (DeliveryState::Held, None));

        assert_eq!(store.drop_dead_letter(msg(3)).await, Ok(true));
        let dropped = record(&store, 3).await;
        assert_eq!(
            (dropped.state, dropped.reason),
            (DeliveryState::Dropped, Some(reason()))
        );
        assert_eq!(store.revive_delivery(msg(3), at(9)).await, Ok(false));
        assert_eq!(store.dead_letters().await, Ok(1));
        close(store).await;
    });
}

#[test]
fn of_many_tries_the_last_hundred_are_kept() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        queue_deliveries(&store, &[1]).await;
        let calls: Vec<_> = (0..105)
            .map(|number| store.end_attempt(attempt_end(1, number, again(number))))
            .collect();
        join_all(calls).await;
        let kept = record(&store, 1).await;
        assert_eq!((kept.attempts, kept.history.len()), (105, 100));
        assert_eq!(kept.history[0].number, 6);
        assert_eq!(kept.history[99].number, 105);
        close(store).await;
    });
}

#[test]
fn what_waits_is_read_in_pages_after_a_restart() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let calls: Vec<_> = (0..1500)
            .map(|number| store.queue_delivery(delivery(number), None))
            .collect();
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        for number in [0, 700, 1499] {
            store.cancel_delivery(msg(number), at(1)).await.unwrap();
        }
        close(store).await;

        let store = open(&folder).unwrap();
        let mut found = Vec::new();
        let mut after = Sequence(0);
        loop {
            let page = store.waiting_deliveries(after, 400).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.sequence;
            found.extend(page.into_iter().map(|waiting| waiting.id));
        }
        let wanted = (0..1500).filter(|number| ![0, 700, 1499].contains(number));
        assert_eq!(found, wanted.map(msg).collect::<Vec<_>>());
        close(store).await;
    });
}

const DAY: i64 = 24 * 3600;

#[test]
fn pruning_takes_what_has_ended_but_no_dead_letter_and_nothing_that_waits() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        // Deliveries: 1 delivered, 2 waits, 3 dead, 4 dropped, 5 held. Tasks: 6 failed, 7 failed and
        // dropped, 8 done, 9 waits. 10 is delivered to an agent where it waits as a task.
        queue_deliveries(&store, &[1, 2, 3, 4, 10]).await;
        let held = delivery_with(5, outgoing(5), Beginning::Held);
        store.queue_delivery(Arc::new(held), None).await.unwrap();
        for number in [1, 10] {
            let done = attempt_end(number, 20, AfterAttempt::Delivered);
            store.end_attempt(done).await.unwrap();
        }
        for number in [3, 4] {
            let dead = attempt_end(number, 20, AfterAttempt::Dead(reason()));
            store.end_attempt(dead).await.unwrap();
        }
        for number in [6, 7, 8, 9, 10] {
            store.queue_task(task(number), None).await.unwrap();
        }
        begin(&store, 11, 6).await;
        end(&store, 11, 6, failed()).await;
        store.end_task(msg(7), failed(), at(20)).await.unwrap();
        store
            .end_task(msg(8), TaskOutcome::Done, at(20))
            .await
            .unwrap();
        for number in [4, 7] {
            assert_eq!(store.drop_dead_letter(msg(number)).await, Ok(true));
        }

        assert_eq!(store.prune(at(5), 99).await, Ok(0), "all ended later");
        // Deliveries 1, 4, 5 and 10, tasks 7 and 8.
        assert_eq!(store.prune(at(60), 5).await, Ok(5));
        assert_eq!(store.prune(at(60), 5).await, Ok(1));
        assert_eq!(store.prune(at(60), 5).await, Ok(0));
        let mut left = Vec::new();
        for number in 1..11 {
            let is_there = store.message(msg(number)).await.unwrap().is_some();
            let is_known = store.envelope(msg(number)).await.unwrap().is_some();
            assert_eq!(is_there, is_known, "{number}");
            left.extend(is_there.then_some(number));
        }
        assert_eq!(left, [2, 3, 6, 9, 10]);
        assert!(
            store.turn(turn_id(11)).await.unwrap().is_some(),
            "of a dead letter"
        );
        assert_eq!(store.dead_letters().await, Ok(2));

        store.revive_task(msg(6)).await.unwrap();
        store
            .end_task(msg(6), TaskOutcome::Done, at(61))
            .await
            .unwrap();
        assert_eq!(
            store.prune(at(70), 99).await,
            Ok(2),
            "the message, its turn"
        );
        close(store).await;
        let store = open(&folder).unwrap();
        let next = store.queue_delivery(delivery(20), None).await;
        assert_eq!(next, Ok(Queued::New(Sequence(7))));
        close(store).await;
    });
}

#[test]
fn a_key_outlives_its_message_for_three_days() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        // Now is `at(0)`.
        let sent = |number: u64, seconds: i64| {
            let received_at = at(seconds);
            let task = NewTask {
                id: id(number, received_at),
                received_at,
                ..task(number).as_ref().clone()
            };
            Arc::new(task)
        };
        let (old, young) = (sent(1, -3 * DAY - 60), sent(2, -3 * DAY + 60));
        let waits = sent(3, -4 * DAY);
        for (task, name) in [(&old, "old"), (&young, "young"), (&waits, "waits")] {
            let kept = store.queue_task(Arc::clone(task), Some(key(name, 1))).await;
            assert!(matches!(kept, Ok(Queued::New(_))));
        }
        for task in [&old, &young] {
            store
                .end_task(task.id, TaskOutcome::Done, at(-DAY))
                .await
                .unwrap();
        }
        // Two tasks and the old key.
        assert_eq!(store.prune(at(-60), 99).await, Ok(3));
        assert_eq!(store.tasks(vec![old.id, young.id]).await, Ok(Vec::new()));
        let again = |name, number| store.queue_task(task(number), Some(key(name, 1)));
        assert_eq!(again("young", 4).await, Ok(Queued::Duplicate(young.id)));
        assert_eq!(again("waits", 5).await, Ok(Queued::Duplicate(waits.id)));
        assert!(matches!(again("old", 6).await, Ok(Queued::New(_))));
        let find = |name: &str| store.by_sender_id(peer("lab"), name.into());
        assert_eq!(find("young").await, Ok(None), "it is gone");
        assert_eq!(find("waits").await, Ok(Some(waits.id)));
        close(store).await;
    });
}

#[test]
fn a_store_of_the_second_schema_is_brought_up_to_date() {
    run(async {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let path = folder.path().join("store/postroom.db");
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch(include_str!("../schema_1.sql")).unwrap();
        old.execute_batch(include_str!("../schema_2.sql")).unwrap();
        old.pragma_update(None, "user_version", 2).unwrap();
        for (seq, origin, state) in [(41, "chat", "queued"), (42, "message", "failed")] {
            let number = u64::try_from(seq).unwrap();
            old.execute(
                "INSERT INTO task (seq, id, agent, session, origin, received_ms, is_background,
                                   is_streamed, is_kept, state)
                 VALUES (?1, ?2, 'manager', 'chat:1', ?3, ?4, 1, 0, 1, ?5)",
                rusqlite::params![
                    seq,
                    msg(number).as_uuid().as_bytes(),
                    origin,
                    second(number).timestamp_millis(),
                    state
                ],
            )
            .unwrap();
            old.execute("INSERT INTO task_body VALUES (?1, x'7b7d')", [seq])
                .unwrap();
        }
        drop(old);

        let store = open(&folder).unwrap();
        let kept = store.tasks(vec![msg(41), msg(42)]).await.unwrap();
        assert_eq!(kept.len(), 2);
        assert_eq!(kept[0].task.envelope, None);
        assert_eq!(store.dead_letters().await, Ok(0), "it has no envelope");
        let next = store.queue_task(task(43), None).await;
        assert_eq!(next, Ok(Queued::New(Sequence(43))));
        queue_deliveries(&store, &[44]).await;
        close(store).await;
        let now = rusqlite::Connection::open(&path).unwrap();
        let version = now.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        assert_eq!(version, Ok(4));
    });
}

fn rows(connection: &rusqlite::Connection) -> Vec<(&'static str, i64)> {
    let tables = [
        "envelope",
        "idempotency_key",
        "delivery",
        "delivery_body",
        "attempt",
        "task",
        "task_body",
    ];
    let count = |table| {
        let query = format!("SELECT count(*) FROM {table}");
        connection.query_row(&query, [], |row| row.get(0)).unwrap()
    };
    tables.map(|table| (table, count(table))).to_vec()
}

#[test]
fn messages_that_were_never_acknowledged_are_undone_with_all_that_is_theirs() {
    let folder = TempDir::new().unwrap();
    let _guard = alone();
    let path = folder.path().join("store/postroom.db");
    let database = || rusqlite::Connection::open(&path).unwrap();
    let sent_in_turn = |number| Envelope {
        turn: Some(turn_id(2)),
        ..outgoing(number)
    };
    run_unguarded(async {
        let store = open(&folder).unwrap();
        store
            .queue_task(task(1), Some(key("kept", 1)))
            .await
            .unwrap();
        begin(&store, 2, 1).await;
        let kept = delivery_with(3, sent_in_turn(3), Beginning::Due);
        store.queue_delivery(Arc::new(kept), None).await.unwrap();
        close(store).await;
    });
    let before = rows(&database());
    let ledger = Ledger::read(&database()).unwrap();
    run_unguarded(async {
        let store = open(&folder).unwrap();
        let lost = delivery_with(4, sent_in_turn(4), Beginning::Due);
        store
            .queue_delivery(Arc::new(lost), Some(key("lost", 1)))
            .await
            .unwrap();
        store
            .end_attempt(attempt_end(4, 5, again(9)))
            .await
            .unwrap();
        store
            .queue_task(task_with(5, sent_in_turn(5)), Some(key("lost too", 1)))
            .await
            .unwrap();
        // The delivery that is kept is handed to an agent: its envelope and its count stay.
        store
            .queue_task(task_with(3, sent_in_turn(3)), None)
            .await
            .unwrap();
        close(store).await;
    });
    assert_ne!(rows(&database()), before);
    undo_unacknowledged(&database(), &ledger).unwrap();
    assert_eq!(rows(&database()), before);
    run_unguarded(async {
        let store = open(&folder).unwrap();
        let turn = store.turn(turn_id(2)).await.unwrap().unwrap();
        assert_eq!(turn.callbacks, 1);
        let again = store
            .queue_delivery(delivery(6), Some(key("lost", 2)))
            .await;
        assert_eq!(again, Ok(Queued::New(Sequence(2))));
        let known = store.queue_task(task(7), Some(key("kept", 1))).await;
        assert_eq!(known, Ok(Queued::Duplicate(msg(1))));
        close(store).await;
    });
}

#[test]
fn only_a_try_that_is_followed_by_another_may_be_forgotten() {
    let needs_sync = |after| {
        let end = DeliveryChange::EndAttempt(attempt_end(1, 2, after));
        Change::Deliveries(end).needs_sync()
    };
    assert!(!needs_sync(again(9)));
    assert!(needs_sync(AfterAttempt::Delivered));
    assert!(needs_sync(AfterAttempt::Dead(reason())));
    let others = [
        DeliveryChange::Queue {
            delivery: delivery(1),
            once: None,
        },
        DeliveryChange::Cancel {
            id: msg(1),
            at: at(1),
        },
        DeliveryChange::Revive {
            id: msg(1),
            at: at(1),
        },
        DeliveryChange::Drop(msg(1)),
    ];
    assert!(others.iter().all(DeliveryChange::needs_sync));
}
