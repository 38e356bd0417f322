#![cfg(feature = "failpoints")]

use postroom_actors::{
    domain::post::{AfterAttempt, Queued},
    ports::courier::DeliveryStore,
};
use std::sync::{
    atomic::{AtomicU32, Ordering},
    mpsc,
};

use fail::FailScenario;
use postroom_actors::ports::turns::TaskStore;
use tokio::time::Instant;

use super::{
    super::changes::{Ledger, undo_unacknowledged},
    *,
};

fn run_with_faults<T>(scenario: impl Future<Output = T>) -> T {
    let _guard = alone();
    let faults = FailScenario::setup();
    let result = run_unguarded(scenario);
    faults.teardown();
    result
}

async fn until_well(store: &SqliteStore) {
    while store.trouble().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Holds the writer at a point until the returned sender is used or dropped.
fn hold(point: &str) -> mpsc::SyncSender<()> {
    let (release, wait) = mpsc::sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    fail::cfg_callback(point, move || {
        let _released_or_dropped = wait.lock().unwrap().recv_timeout(DEADLINE);
    })
    .unwrap();
    release
}

#[test]
fn changes_that_wait_together_share_one_commit() {
    run_with_faults(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let release = hold("store::before_insert");
        let first = store.accept(Arc::new(message(0)));
        let others: Vec<_> = (1..=300)
            .map(|n| store.accept(Arc::new(message(n))))
            .collect();
        let commits = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&commits);
        fail::cfg_callback("store::before_commit", move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        drop(release);
        first.await.unwrap();
        assert!(join_all(others).await.iter().all(Result::is_ok));
        // Whatever the writer had taken before it was held, 256 at a time, and the rest.
        let commits = commits.load(Ordering::SeqCst);
        assert!(
            (2..=4).contains(&commits),
            "{commits} commits for 301 changes"
        );
        close(store).await;
    });
}

#[test]
fn no_receipt_resolves_before_the_commit() {
    run_with_faults(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let release = hold("store::before_commit");
        let receipt = store.accept(Arc::new(message(1)));
        tokio::pin!(receipt);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut receipt).await;
        assert!(
            early.is_err(),
            "resolved while the commit was still to come"
        );
        drop(release);
        receipt.await.unwrap();
        close(store).await;
    });
}

type Expected = fn(&StoreError) -> bool;

async fn a_failed_commit_keeps_nothing(point: &str, is_expected: Expected) {
    let folder = TempDir::new().unwrap();
    let store = open(&folder).unwrap();
    accept(&store, 0).await.unwrap();
    fail::cfg(point, "return").unwrap();
    every_receipt_fails(&store, is_expected).await;
    changes_are_refused_at_once(&store, is_expected).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert!(store.trouble().is_some(), "a probe that fails ends nothing");

    fail::remove(point);
    it_comes_back_by_itself(&store).await;
    close(store).await;

    let store = open(&folder).unwrap();
    assert_eq!(pending(&store).await, [message(0).id, message(40).id]);
    close(store).await;
}

async fn it_comes_back_by_itself(store: &SqliteStore) {
    let mended = Instant::now();
    until_well(store).await;
    assert!(mended.elapsed() < Duration::from_secs(5), "back within 5 s");
    assert_eq!(accept(store, 40).await, Ok(Sequence(2)));
    assert_eq!(pending(store).await, [message(0).id, message(40).id]);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.messages, stats.pending_inbox), (2, 2));
}

async fn every_receipt_fails(store: &SqliteStore, is_expected: Expected) {
    let calls: Vec<_> = (1..=20)
        .map(|n| store.accept(Arc::new(message(n))))
        .collect();
    let marked = store.mark_projected(vec![Sequence(1)]).await;
    for answer in join_all(calls).await {
        assert!(is_expected(&answer.unwrap_err()));
    }
    assert!(is_expected(&marked.unwrap_err()));
}

async fn changes_are_refused_at_once(store: &SqliteStore, is_expected: Expected) {
    let asked = Instant::now();
    assert!(is_expected(&accept(store, 30).await.unwrap_err()));
    assert!(is_expected(&store.probe().await.unwrap_err()));
    assert!(asked.elapsed() < Duration::from_millis(200));
}

#[test]
fn a_full_disk_refuses_at_once_and_is_left_without_a_restart() {
    run_with_faults(a_failed_commit_keeps_nothing(
        "store::commit_full",
        |error| *error == StoreError::Full,
    ));
}

#[test]
fn an_io_error_refuses_at_once_and_is_left_without_a_restart() {
    run_with_faults(a_failed_commit_keeps_nothing(
        "store::commit_io_error",
        |error| matches!(error, StoreError::Io(_)),
    ));
}

#[test]
fn a_store_that_cannot_be_opened_anew_is_tried_until_it_can() {
    run_with_faults(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        fail::cfg("store::commit_io_error", "1*return->off").unwrap();
        fail::cfg("store::reopen_error", "1*return->off").unwrap();
        assert!(accept(&store, 1).await.is_err());
        assert!(store.load(vec![Sequence(1)]).await.unwrap().is_empty());
        until_well(&store).await;
        accept(&store, 2).await.unwrap();
        assert_eq!(pending(&store).await, [message(2).id]);
        close(store).await;
    });
}

#[test]
fn a_writer_that_dies_closes_the_store() {
    run_with_faults(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        fail::cfg("store::before_commit", "panic").unwrap();
        assert_eq!(accept(&store, 1).await, Err(StoreError::Closed));
        store.ended().await;
        assert_eq!(accept(&store, 2).await, Err(StoreError::Closed));
    });
}

#[test]
fn what_a_failed_sync_left_in_the_log_is_undone() {
    let folder = TempDir::new().unwrap();
    let _guard = alone();
    run_unguarded(async {
        let store = open(&folder).unwrap();
        for number in 0..8 {
            accept(&store, number).await.unwrap();
        }
        close(store).await;
    });
    let path = folder.path().join("store/postroom.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    let kept = Ledger {
        next: 4,
        ..Ledger::read(&connection).unwrap()
    };
    undo_unacknowledged(&connection, &kept).unwrap();
    let left = |query: &str| -> Vec<i64> {
        let mut statement = connection.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(left("SELECT seq FROM message ORDER BY seq"), [1, 2, 3]);
    assert_eq!(left("SELECT seq FROM body ORDER BY seq"), [1, 2, 3]);
    assert_eq!(
        left("SELECT seq FROM pending_inbox ORDER BY seq"),
        [1, 2, 3]
    );
    assert_eq!(
        left("SELECT newest FROM context ORDER BY context_id"),
        [1, 2, 3]
    );
}

#[test]
fn a_task_whose_commit_failed_is_not_kept() {
    run_with_faults(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        tasks::queue(&store, &[0]).await;
        fail::cfg("store::commit_io_error", "1*return->off").unwrap();
        let refused = store.queue_task(tasks::task(2), None).await;
        assert!(matches!(refused, Err(StoreError::Io(_))));
        until_well(&store).await;
        assert_eq!(
            store.queue_task(tasks::task(4), None).await,
            Ok(Queued::New(Sequence(2)))
        );
        let open = store.open_tasks(tasks::agent(0)).await.unwrap();
        let open: Vec<_> = open.into_iter().map(|task| task.id).collect();
        assert_eq!(open, [tasks::task_id(0), tasks::task_id(4)]);
        close(store).await;
    });
}

#[test]
fn a_message_whose_commit_failed_may_be_sent_again_under_its_key() {
    run_with_faults(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        fail::cfg("store::commit_full", "1*return->off").unwrap();
        let once = || Some(messages::key("k", 1));
        let refused = store.queue_delivery(messages::delivery(1), once()).await;
        assert_eq!(refused, Err(StoreError::Full));
        until_well(&store).await;
        let taken = store.queue_delivery(messages::delivery(2), once()).await;
        assert_eq!(taken, Ok(Queued::New(Sequence(1))));
        close(store).await;
    });
}

#[test]
fn messages_pass_points_of_their_own_before_and_after_the_commit() {
    run_with_faults(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let passed: Arc<Mutex<Vec<&str>>> = Arc::default();
        for point in [
            "store::queue_task",
            "store::task_queued",
            "store::queue_delivery",
            "store::delivery_queued",
            "store::end_attempt",
            "store::attempt_ended",
            "store::before_commit",
        ] {
            let passed = Arc::clone(&passed);
            fail::cfg_callback(point, move || passed.lock().unwrap().push(point)).unwrap();
        }
        let commit = "store::before_commit";
        let mut wanted = Vec::new();
        store.queue_task(messages::task(1), None).await.unwrap();
        wanted.extend(["store::queue_task", commit, "store::task_queued"]);
        let delivery = store.queue_delivery(messages::delivery(2), None);
        delivery.await.unwrap();
        wanted.extend(["store::queue_delivery", commit, "store::delivery_queued"]);
        let done = messages::attempt_end(2, 3, AfterAttempt::Delivered);
        store.end_attempt(done).await.unwrap();
        wanted.extend(["store::end_attempt", commit, "store::attempt_ended"]);
        assert_eq!(*passed.lock().unwrap(), wanted);
        close(store).await;
    });
}
