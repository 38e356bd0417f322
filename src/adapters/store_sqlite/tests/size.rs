//! A store that is too large: what goes, what stays, and what the disk gets back.

use super::*;

const BODY: usize = 200_000;

fn large(number: u64) -> StoredMessage {
    StoredMessage {
        body: Some(Bytes::from(vec![b'x'; BODY])),
        ..message(number)
    }
}

async fn used(store: &SqliteStore) -> u64 {
    store.stats().await.unwrap().used_bytes
}

async fn prune_to(store: &SqliteStore, max_bytes: u64) {
    while store.prune_to_size(max_bytes, 500).await.unwrap() > 0 {}
}

#[test]
fn the_oldest_that_is_done_goes_until_the_store_fits_and_what_waits_stays() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in 0..60 {
            store.accept(Arc::new(large(number))).await.unwrap();
        }
        // The first ten wait for the inbox; all others are done.
        let done = (11..=60).map(Sequence).collect();
        store.mark_projected(done).await.unwrap();
        let max_bytes = u64::try_from(30 * BODY).unwrap();
        assert!(used(&store).await > max_bytes);
        prune_to(&store, max_bytes).await;
        assert!(used(&store).await <= max_bytes);
        let left: Vec<Sequence> = store
            .load((1..=60).map(Sequence).collect())
            .await
            .unwrap()
            .into_iter()
            .map(|(sequence, _message)| sequence)
            .collect();
        assert_eq!(left[..10], (1..=10).map(Sequence).collect::<Vec<_>>());
        let kept = left.len() - 10;
        assert!(kept >= 5, "no more than needed: {kept}");
        let newest: Vec<Sequence> = (61 - i64::try_from(kept).unwrap()..=60)
            .map(Sequence)
            .collect();
        assert_eq!(left[10..], newest, "the oldest that was done is gone");
        let messages = store.stats().await.unwrap().messages;
        assert_eq!(usize::try_from(messages), Ok(left.len()));
        prune_to(&store, 0).await;
        assert_eq!(store.stats().await.unwrap().messages, 10, "these wait");
        assert_eq!(pending(&store).await.len(), 10);
        close(store).await;
        let store = open(&folder).unwrap();
        assert_eq!(accept(&store, 99).await, Ok(Sequence(61)));
        close(store).await;
    });
}

#[test]
fn a_store_within_its_size_loses_nothing() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        accept(&store, 1).await.unwrap();
        store.mark_projected(vec![Sequence(1)]).await.unwrap();
        assert_eq!(store.prune_to_size(1 << 30, 500).await, Ok(0));
        close(store).await;
    });
}

#[test]
fn what_is_free_is_given_back_in_steps_and_the_file_shrinks() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in 0..50 {
            store.accept(Arc::new(large(number))).await.unwrap();
        }
        let done = (1..=50).map(Sequence).collect();
        store.mark_projected(done).await.unwrap();
        prune_to(&store, 0).await;
        let free = store.stats().await.unwrap().free_bytes;
        assert!(free > 5_000_000, "{free}");
        let mut given = 0;
        loop {
            let pages = store.give_back(64).await.unwrap();
            assert!(pages <= 64, "{pages} in one step");
            if pages == 0 {
                break;
            }
            given += pages;
        }
        assert!(given > 300, "{given}");
        assert_eq!(store.stats().await.unwrap().free_bytes, 0);
        close(store).await;
        let size = std::fs::metadata(folder.path().join("store/postroom.db"))
            .unwrap()
            .len();
        assert!(size < 2_000_000, "{size}");
    });
}
