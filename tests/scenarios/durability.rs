//! P3: the sync comes before the answer.

use std::time::Duration;

use serde_json::json;

use tokio::time::Instant;

use crate::support::{
    broker::{Broker, BrokerOptions},
    client::chat,
    tools,
};

#[actix_web::test]
async fn no_answer_is_earlier_than_the_sync_of_its_message() {
    let trace =
        "-f,-qq,-o,/dev/null,-e,trace=fsync,fdatasync,-e,inject=fsync,fdatasync:delay_enter=300000";
    let mut wrapper = vec![tools::strace()];
    wrapper.extend(
        trace
            .split(",-")
            .enumerate()
            .map(|(index, part)| {
                if index == 0 {
                    part.to_owned()
                } else {
                    format!("-{part}")
                }
            })
            .flat_map(split_option),
    );
    let broker = Broker::start(BrokerOptions {
        wrapper,
        ..BrokerOptions::default()
    })
    .await;
    for number in 1..=3 {
        let began = Instant::now();
        assert_eq!(broker.chat(&chat("hello", json!({}))).await.status, 200);
        assert!(
            began.elapsed() >= Duration::from_millis(300),
            "answered before the sync"
        );
        broker.until_items(number).await;
    }
}

/// `-e,trace=…` as two arguments.
fn split_option(part: String) -> Vec<String> {
    match part.split_once(',') {
        Some((flag, value)) => vec![flag.to_owned(), value.to_owned()],
        None => vec![part],
    }
}
