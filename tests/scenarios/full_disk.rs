//! P4: a disk that is full or fails costs no accepted message, and is told at once.

use std::time::Duration;

use serde_json::json;

use tokio::time::Instant;

use crate::support::{
    broker::{Broker, BrokerOptions},
    client::chat,
    small_disk::SmallDisk,
};

/// Asks again and again until a chat is answered with this status.
async fn until_status(broker: &Broker, status: u16, within: Duration) {
    let began = Instant::now();
    loop {
        let answer = broker.chat(&chat("probe", json!({}))).await;
        if answer.status == status {
            return;
        }
        assert!(began.elapsed() < within, "still {}", answer.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[actix_web::test]
async fn a_full_disk_is_a_quick_503_and_accepting_goes_on_by_itself() {
    let folder = SmallDisk::new();
    let options = BrokerOptions {
        args: vec!["--store".to_owned(), folder.path("store")],
        ..BrokerOptions::default()
    };
    // All room may be used: what happens then is what this is about.
    let options = options.env("POSTROOM__STORE__MIN_FREE", "0");
    let broker = Broker::start(options).await;
    assert_eq!(broker.chat(&chat("before", json!({}))).await.status, 200);
    broker.until_items(1).await;
    folder.fill();
    let big = chat(&"x".repeat(200_000), json!({}));
    let mut kept = 1;
    let refused = loop {
        let began = Instant::now();
        let answer = broker.chat(&big).await;
        if answer.status == 200 {
            kept += 1;
            continue;
        }
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
        break answer;
    };
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert!(refused.text.contains("disk"), "{}", refused.text);
    assert_eq!(
        broker
            .send("GET", "/readyz", String::new(), &[])
            .await
            .status,
        503
    );
    folder.free();
    until_status(&broker, 200, Duration::from_secs(6)).await;
    let broker = broker.kill_and_restart().await;
    broker.until_items(kept + 1).await;
}

#[actix_web::test]
async fn a_commit_that_fails_is_never_answered_as_kept() {
    let options =
        BrokerOptions::default().env("POSTROOM_FAILPOINTS", "store::commit_io_error=20%return");
    let broker = Broker::start(options).await;
    let (mut kept, mut refused) = (0, 0);
    let began = Instant::now();
    while (kept < 5 || refused < 2) && began.elapsed() < Duration::from_mins(1) {
        let answer = broker.chat(&chat("hello", json!({}))).await;
        match answer.status {
            200 => kept += 1,
            503 => {
                refused += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert!(kept >= 5 && refused >= 2, "kept {kept}, refused {refused}");
    let options = BrokerOptions::default();
    let broker = Broker::start_in(broker.kill(), options).await;
    broker.until_items(kept).await;
}
