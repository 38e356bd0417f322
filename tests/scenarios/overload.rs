//! More than there is room for is refused quickly, and what was accepted is kept.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use tokio::time::Instant;

use crate::support::{
    broker::{Broker, BrokerOptions},
    client::chat,
};

#[actix_web::test]
async fn without_room_the_answer_is_503_with_when_to_come_back() {
    // Each commit takes 200 ms, so that one message holds the only place for a while.
    let options = BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\n[limits]\nin_flight = 1\n")
        .env("POSTROOM_FAILPOINTS", "store::before_commit=sleep(200)");
    let broker = Broker::start(options).await;
    let body = chat("hello", json!({}));
    let answers = join_all((0..8).map(|_| async {
        let began = Instant::now();
        (broker.chat(&body).await, began.elapsed())
    }))
    .await;
    let kept = answers
        .iter()
        .filter(|(answer, _)| answer.status == 200)
        .count();
    assert!(kept >= 1, "{answers:?}");
    let refused: Vec<_> = answers
        .iter()
        .filter(|(answer, _)| answer.status == 503)
        .collect();
    assert_eq!(refused.len(), 8 - kept);
    for (answer, took) in &refused {
        assert_eq!(answer.json()["error"]["type"], "overloaded_error");
        assert!(answer.header("retry-after").is_some());
        assert!(*took < Duration::from_secs(2), "{took:?}");
    }
    broker.until_items(kept).await;
    let metrics = broker.get("/metrics").await.text;
    let counted = format!(
        "postroom_requests_refused_total{{reason=\"busy\"}} {}",
        refused.len()
    );
    assert!(metrics.contains(&counted), "{metrics}");
}
