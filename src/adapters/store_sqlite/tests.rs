use std::{
    future::Future,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use postroom_actors::{
    domain::{
        envelope::{InboxForm, RecordedReply, RelayOutcome, Sequence, StoredMessage},
        ids::{ContextId, MessageId},
    },
    ports::{Clock, MessageStore, StoreError},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::{OpenError, SqliteStore, StoreLimits};

mod deliveries;
mod faults;
mod messages;
mod model;
mod recent;
mod tasks;

const DEADLINE: Duration = Duration::from_secs(20);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        at(0)
    }
}

/// A second in 2026, plus so many.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
}

fn id(number: u64, received_at: DateTime<Utc>) -> MessageId {
    let millis = u128::try_from(received_at.timestamp_millis()).unwrap();
    let id = (millis << 80) | (7 << 76) | (0b10 << 62) | u128::from(number);
    MessageId::new(Uuid::from_u128(id))
}

fn message(number: u64) -> StoredMessage {
    let received_at = at(i64::try_from(number).unwrap());
    StoredMessage {
        id: id(number, received_at),
        received_at,
        context_id: Some(ContextId::new(format!("telegram:{}", number % 3))),
        prompt: Some(format!("question {number} \u{1f4ee}").into()),
        form: InboxForm::Whole,
        body: Some(Bytes::from(format!("{{\"number\":{number}}}"))),
        reply_due: Some(received_at + TimeDelta::seconds(30)),
    }
}

fn open(folder: &TempDir) -> Result<SqliteStore, OpenError> {
    open_for(folder, "/inboxes/one")
}

fn open_for(folder: &TempDir, inbox: &str) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(
        &folder.path().join("store"),
        Path::new(inbox),
        Arc::new(FixedClock),
        StoreLimits::default(),
    )
}

/// Failpoints belong to the process: with `cargo test` one test at a time may use the store.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run<T>(scenario: impl Future<Output = T>) -> T {
    let _guard = alone();
    run_unguarded(scenario)
}

fn run_unguarded<T>(scenario: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, scenario).await.unwrap() })
}

async fn accept(store: &SqliteStore, number: u64) -> Result<Sequence, StoreError> {
    store.accept(Arc::new(message(number))).await
}

async fn pending(store: &SqliteStore) -> Vec<MessageId> {
    let items = store.pending_inbox(Sequence(0), 1000).await.unwrap();
    items.into_iter().map(|item| item.id).collect()
}

async fn close(store: SqliteStore) {
    assert!(store.close(Duration::from_secs(10)).await, "closes in time");
}

#[test]
fn what_was_accepted_is_there_after_opening_again() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let sequence = accept(&store, 7).await.unwrap();
        close(store).await;

        let store = open(&folder).unwrap();
        let loaded = store.load(vec![sequence, Sequence(99)]).await.unwrap();
        assert_eq!(loaded.len(), 1, "an unknown one is left out");
        let (_sequence, kept) = &loaded[0];
        let sent = message(7);
        assert_eq!(kept.id, sent.id);
        assert_eq!(kept.received_at, sent.received_at);
        assert_eq!(kept.context_id, sent.context_id);
        assert_eq!(kept.prompt, sent.prompt);
        assert_eq!(kept.form, sent.form);
        assert_eq!(kept.body, sent.body);
        assert_eq!(kept.reply_due, sent.reply_due);
        let stats = store.stats().await.unwrap();
        assert_eq!((stats.messages, stats.pending_inbox), (1, 1));
        assert!(stats.size_bytes > 0);
        close(store).await;
    });
}

#[test]
fn a_message_of_60_kb_comes_back_byte_for_byte() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let body = Bytes::from(
            (0..60_000u32)
                .map(|n| b'a' + u8::try_from(n % 26).unwrap())
                .collect::<Vec<_>>(),
        );
        let big = StoredMessage {
            body: Some(body.clone()),
            ..message(1)
        };
        let sequence = store.accept(Arc::new(big)).await.unwrap();
        let loaded = store.load(vec![sequence]).await.unwrap();
        assert_eq!(loaded[0].1.body.as_ref(), Some(&body));
        close(store).await;
    });
}

#[test]
fn the_order_of_calls_is_the_order_of_sequences() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let calls: Vec<_> = (0..600)
            .map(|n| store.accept(Arc::new(message(n))))
            .collect();
        let sequences: Vec<_> = join_all(calls)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]));
        let wanted: Vec<_> = (0..600).map(|n| message(n).id).collect();
        assert_eq!(pending(&store).await, wanted);
        let page = store.pending_inbox(sequences[9], 5).await.unwrap();
        let page: Vec<_> = page.into_iter().map(|item| item.sequence).collect();
        assert_eq!(page, sequences[10..15]);
        close(store).await;
    });
}

#[test]
fn dropping_a_receipt_takes_nothing_back() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        drop(store.accept(Arc::new(message(1))));
        drop(store.mark_projected(vec![Sequence(1)]));
        drop(store.accept(Arc::new(message(2))));
        store.probe().await.unwrap();
        assert_eq!(pending(&store).await, [message(2).id]);
        close(store).await;
    });
}

#[test]
fn closing_commits_what_waits_and_refuses_what_comes_later() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let calls: Vec<_> = (0..50)
            .map(|n| store.accept(Arc::new(message(n))))
            .collect();
        assert!(store.close(Duration::from_secs(10)).await);
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(accept(&store, 50).await, Err(StoreError::Closed));
        assert_eq!(
            store.load(Vec::new()).await.unwrap_err(),
            StoreError::Closed
        );
        store.ended().await;
        let log = folder.path().join("store/postroom.db-wal");
        assert_eq!(
            log.metadata().map_or(0, |log| log.len()),
            0,
            "the log is folded in"
        );

        let store = open(&folder).unwrap();
        assert_eq!(pending(&store).await.len(), 50);
        close(store).await;
    });
}

#[test]
fn a_projected_message_is_not_pending_after_opening_again() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let first = accept(&store, 1).await.unwrap();
        accept(&store, 2).await.unwrap();
        store.mark_projected(vec![first]).await.unwrap();
        store.mark_projected(vec![first]).await.unwrap();
        assert_eq!(store.stats().await.unwrap().pending_inbox, 1);
        close(store).await;

        let store = open(&folder).unwrap();
        assert_eq!(pending(&store).await, [message(2).id]);
        close(store).await;
    });
}

#[test]
fn replies_and_exchanges_belong_to_their_message() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        accept(&store, 1).await.unwrap();
        let known = message(1).id;
        for number in [1, 2] {
            let request = Bytes::from_static(b"[]");
            let answered = store.accept_exchange(known, request, at(5)).await;
            assert_eq!(answered, Ok(number));
        }
        let reply = |exchange, text: &str| RecordedReply {
            message: known,
            exchange,
            backend: "main".to_owned(),
            text: Some(text.into()),
            outcome: RelayOutcome::Partial,
            ended_at: at(9),
        };
        for (exchange, text) in [(1, "later"), (0, "cut"), (0, "whole")] {
            store.record_reply(reply(exchange, text)).await.unwrap();
        }
        let wanted = [reply(0, "whole"), reply(1, "later")];
        assert_eq!(store.replies(known).await.unwrap(), wanted);

        let unknown = message(2).id;
        let lost = RecordedReply {
            message: unknown,
            ..reply(0, "")
        };
        assert_eq!(
            store.record_reply(lost).await,
            Err(StoreError::NotFound(unknown))
        );
        assert_eq!(store.replies(unknown).await, Ok(Vec::new()));
        close(store).await;
    });
}

#[test]
fn one_bad_entry_does_not_spoil_its_group() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let calls = [1, 1, 2].map(|n| store.accept(Arc::new(message(n))));
        let unknown = message(9).id;
        let lost = store.accept_exchange(unknown, Bytes::new(), at(0));
        let answers = join_all(calls).await;
        assert!(answers[0].is_ok() && answers[2].is_ok());
        assert!(
            matches!(answers[1], Err(StoreError::Io(_))),
            "an id counts once"
        );
        assert_eq!(lost.await, Err(StoreError::NotFound(unknown)));
        assert_eq!(store.trouble(), None);
        assert_eq!(pending(&store).await, [message(1).id, message(2).id]);
        close(store).await;
    });
}

#[test]
fn the_newest_message_of_a_context_is_known() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in 0..7 {
            accept(&store, number).await.unwrap();
        }
        let newest = store.newest_of_context(ContextId::new("telegram:0")).await;
        assert_eq!(newest.unwrap(), Some((Sequence(7), message(6).id)));
        let none = store.newest_of_context(ContextId::new("telegram:9")).await;
        assert_eq!(none, Ok(None));
        close(store).await;
    });
}

#[test]
fn pruning_takes_old_done_messages_and_never_frees_a_sequence() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in 0..6 {
            accept(&store, number).await.unwrap();
        }
        let done = [1, 2, 4, 5, 6].map(Sequence).to_vec();
        store.mark_projected(done).await.unwrap();
        assert_eq!(store.prune(at(5), 2).await, Ok(2));
        assert_eq!(store.prune(at(5), 2).await, Ok(2));
        assert_eq!(
            store.prune(at(5), 2).await,
            Ok(0),
            "one waits, one is too young"
        );
        assert_eq!(store.stats().await.unwrap().messages, 2);
        assert_eq!(store.prune(at(6), 9).await, Ok(1));
        close(store).await;

        let store = open(&folder).unwrap();
        assert_eq!(accept(&store, 9).await, Ok(Sequence(7)));
        assert_eq!(pending(&store).await, [message(2).id, message(9).id]);
        close(store).await;
    });
}

#[test]
fn a_second_broker_is_told_who_has_the_store() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let second = open(&folder).unwrap_err();
        let me = std::process::id();
        assert!(matches!(second, OpenError::InUse { pid: Some(pid) } if pid == me));
        assert!(
            second
                .to_string()
                .starts_with(&format!("store in use by pid {me}"))
        );
        close(store).await;
        close(open(&folder).unwrap()).await;
    });
}

#[test]
fn a_store_that_is_let_go_in_a_moment_is_waited_for() {
    run(async {
        let folder = TempDir::new().unwrap();
        close(open(&folder).unwrap()).await;
        // A child that a killed broker was about to start shares its lock for a moment.
        let lock = std::fs::File::open(folder.path().join("store/lock")).unwrap();
        lock.lock().unwrap();
        let opening =
            tokio::task::spawn_blocking(move || open(&folder).map(|store| (store, folder)));
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(lock);
        let (store, _folder) = opening.await.unwrap().unwrap();
        close(store).await;
    });
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    run(async {
        let folder = TempDir::new().unwrap();
        close(open(&folder).unwrap()).await;
        let path = folder.path().join("store/postroom.db");
        let outside = rusqlite::Connection::open(&path).unwrap();
        outside.pragma_update(None, "user_version", 9).unwrap();
        outside
            .pragma_update(None, "journal_mode", "DELETE")
            .unwrap();
        drop(outside);
        let before = std::fs::read(&path).unwrap();
        let refused = open(&folder).unwrap_err();
        assert!(matches!(
            refused,
            OpenError::NewerSchema { found: 9, known: 3 }
        ));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    });
}

#[test]
fn another_inbox_is_refused_only_while_something_waits() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let sequence = accept(&store, 1).await.unwrap();
        close(store).await;
        let refused = open_for(&folder, "/inboxes/two").unwrap_err();
        assert!(matches!(
            refused,
            OpenError::OtherInbox { remembered, pending: 1 } if remembered == Path::new("/inboxes/one")
        ));

        let store = open(&folder).unwrap();
        store.mark_projected(vec![sequence]).await.unwrap();
        close(store).await;
        close(open_for(&folder, "/inboxes/two").unwrap()).await;
    });
}

#[test]
fn nobody_else_can_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        accept(&store, 1).await.unwrap();
        let root = folder.path().join("store");
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&root), 0o700);
        for file in ["lock", "postroom.db", "postroom.db-wal", "postroom.db-shm"] {
            assert_eq!(mode(&root.join(file)), 0o600, "{file}");
        }
        close(store).await;
    });
}

#[test]
fn what_is_no_database_is_reported_with_its_path() {
    run(async {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let path = folder.path().join("store/postroom.db");
        std::fs::write(
            &path,
            "not a database, but long enough to be taken for one".repeat(9),
        )
        .unwrap();
        let refused = open(&folder).unwrap_err();
        assert!(matches!(&refused, OpenError::Database { .. }));
        assert!(refused.to_string().contains("postroom.db"));
    });
}

#[test]
fn a_queue_that_is_full_of_bytes_is_busy() {
    run(async {
        let folder = TempDir::new().unwrap();
        let limits = StoreLimits {
            queue_bytes: 1000,
            group_entries: 1,
            ..StoreLimits::default()
        };
        let root = folder.path().join("store");
        let store =
            SqliteStore::open(&root, Path::new("/in"), Arc::new(FixedClock), limits).unwrap();
        let big = |number| {
            Arc::new(StoredMessage {
                body: Some(Bytes::from(vec![b' '; 5000])),
                ..message(number)
            })
        };
        let calls: Vec<_> = (0..40).map(|n| store.accept(big(n))).collect();
        let answers = join_all(calls).await;
        assert!(answers[0].is_ok(), "alone it may exceed the limit");
        assert!(answers.contains(&Err(StoreError::Busy)));
        let kept = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(pending(&store).await.len(), kept);
        close(store).await;
    });
}
