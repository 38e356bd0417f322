//! A store's files: copied, checked, put back.

use std::fs;

use super::*;
use crate::adapters::store_sqlite::upkeep::{
    ClaimedStore, DATABASE, UpkeepError, check, copy, facts,
};

async fn accept_large(store: &SqliteStore, number: u64) {
    let body = Some(Bytes::from(vec![b'x'; 200_000]));
    let message = StoredMessage {
        body,
        ..message(number)
    };
    store.accept(Arc::new(message)).await.unwrap();
}

fn nobody_looks(_done: u64, _all: u64) {}

#[test]
fn a_copy_is_of_one_moment_and_does_not_begin_anew_for_what_is_written_meanwhile() {
    let folder = TempDir::new().unwrap();
    let store = run(async {
        let store = open(&folder).unwrap();
        for number in 0..150 {
            accept_large(&store, number).await;
        }
        store
    });
    let (source, target) = (folder.path().join("store"), folder.path().join("copy.db"));
    let mut steps = Vec::new();
    let mut next = 150;
    copy(&source, &target, &mut |done, all| {
        steps.push((done, all));
        // More than one step would otherwise be able to catch up with.
        run_beside(&store, next);
        next += 1;
    })
    .unwrap();
    assert!(steps.len() >= 4, "{steps:?}");
    assert!(
        steps.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "{steps:?}"
    );
    assert_eq!(steps.last().map(|(done, all)| done == all), Some(true));
    let copied = facts(&target).unwrap();
    assert_eq!((copied.messages, copied.pending_inbox), (150, 150));
    let files: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("copy"))
        .collect();
    assert_eq!(files, ["copy.db"], "no log beside it");
    run(close(store));
}

/// A commit on another thread than the one that copies, which waits for it.
fn run_beside(store: &SqliteStore, number: u64) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(accept_large(store, number));
        });
    });
}

#[test]
fn another_database_takes_the_stores_place_and_the_old_one_is_moved_aside() {
    run(async {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("store");
        let store = open(&folder).unwrap();
        store.accept(Arc::new(message(1))).await.unwrap();
        let saved = folder.path().join("saved.db");
        copy(&path, &saved, &mut nobody_looks).unwrap();
        store.accept(Arc::new(message(2))).await.unwrap();
        assert!(matches!(
            ClaimedStore::claim(&path),
            Err(UpkeepError::Open(OpenError::InUse { .. }))
        ));
        close(store).await;
        let claimed = ClaimedStore::claim(&path).unwrap();
        let replaced = claimed
            .replace(&saved, "before-restore-1", None, &mut nobody_looks)
            .unwrap();
        drop(claimed);
        let aside = replaced.aside.unwrap();
        assert_eq!(facts(&aside.join(DATABASE)).unwrap().messages, 2);
        let store = open(&folder).unwrap();
        assert_eq!(pending(&store).await, [id(1, at(1))]);
        close(store).await;
    });
}

#[test]
fn what_was_begun_and_not_ready_is_forgotten_by_the_next_start() {
    run(async {
        let folder = TempDir::new().unwrap();
        close(open(&folder).unwrap()).await;
        let path = folder.path().join("store");
        fs::create_dir(path.join("restore-begun")).unwrap();
        fs::write(path.join("restore-begun/postroom.db"), "half").unwrap();
        fs::write(path.join("compacting.db"), "half").unwrap();
        let store = open(&folder).unwrap();
        assert!(!path.join("restore-begun").exists());
        assert!(!path.join("compacting.db").exists());
        close(store).await;
    });
}

#[test]
fn a_store_that_works_breaks_no_rule() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in 1..=6 {
            store.accept(Arc::new(message(number))).await.unwrap();
        }
        let done = (1..=4).map(Sequence).collect();
        store.mark_projected(done).await.unwrap();
        assert_eq!(store.prune(at(3), 9).await, Ok(2));
        let checked = check(&folder.path().join("store")).unwrap();
        assert!(checked.ok, "{checked:?}");
        let facts = checked.facts.unwrap();
        assert_eq!((facts.messages, facts.pending_inbox), (4, 2));
        assert_eq!(checked.oldest_pending, Some(at(5)));
        assert!(checked.gives_back && !checked.restore_is_ready);
        close(store).await;
    });
}
