//! A table of bad requests against one broker: each gets the answer that is pinned here, none of
//! them keeps the broker from serving the next, and the inbox holds just what was accepted.

mod header_rows;
mod json_rows;
mod rows;
mod target_rows;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::rows::Row;
use crate::support::{
    broker::{Broker, BrokerOptions, inbox_files},
    client::chat,
    raw,
};

const AT_ONCE: usize = 16;

#[actix_web::test]
async fn every_bad_request_gets_its_answer_and_harms_nobody() {
    // Trusted, so that rows with a wrong key can come from addresses of their own.
    let options =
        BrokerOptions::toml("trusted_proxies = [\"127.0.0.1\"]\n[mailbox]\ninbox = \"{inbox}\"\n");
    let broker = Broker::start(options).await;
    let table: Vec<Row> = [
        json_rows::rows(&broker),
        header_rows::rows(&broker),
        target_rows::rows(&broker),
    ]
    .into_iter()
    .flatten()
    .collect();
    let kept: usize = table.iter().map(Row::kept).sum();
    let problems: Vec<String> = stream::iter(table)
        .map(|row| run(&broker, row))
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert_eq!(broker.chat(&chat("healthy", json!({}))).await.status, 200);
    broker.until_items(kept + 1).await;
    nothing_broke(&broker).await;
    numbers_keys_and_nuls_are_kept_as_they_came(&broker);
}

async fn run(broker: &Broker, row: Row) -> Option<String> {
    let (name, expected) = (row.name, row.expected);
    let began = Instant::now();
    let answer = row.send(broker).await;
    let took = began.elapsed();
    let seen = rows::Expected {
        status: answer.status(),
        answers: answer.text.matches("HTTP/1.1 ").count(),
        closed: answer.closed,
    };
    let in_time = took < Duration::from_secs(15);
    let starts: String = answer.text.chars().take(300).collect();
    (seen != expected || !in_time)
        .then(|| format!("{name}: expected {expected:?}, saw {seen:?} in {took:?}: {starts:?}"))
}

async fn nothing_broke(broker: &Broker) {
    let metrics = broker.get("/metrics").await.text;
    let panics = metrics
        .lines()
        .find(|line| line.starts_with("postroom_http_panics_total"));
    assert!(panics.is_none_or(|line| line.ends_with(" 0")), "{panics:?}");
    for line in broker.log_lines() {
        assert!(!line.contains("panicked"), "{line}");
        let record: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(record["level"].is_string(), "{line}");
    }
    let peak = broker.peak_memory_bytes();
    assert!(peak < 200 << 20, "{peak} bytes");
}

fn numbers_keys_and_nuls_are_kept_as_they_came(broker: &Broker) {
    let files: Vec<String> = inbox_files(&broker.inbox())
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let number = json_rows::long_number();
    for (what, text) in [
        ("the whole number", number.as_str()),
        ("the escaped NUL", "a\\u0000b"),
        (
            "the second of two keys",
            "\"latest-user-prompt\": \"second\"",
        ),
    ] {
        let found = files.iter().filter(|file| file.contains(text)).count();
        assert_eq!(found, 1, "{what}");
    }
}

#[actix_web::test]
async fn deep_nesting_is_refused_at_once() {
    let broker = Broker::start(BrokerOptions::default()).await;
    assert_eq!(
        broker.post("/v1/chat/completions", "1", &[]).await.status,
        200
    );
    let before = broker.peak_memory_bytes();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let began = Instant::now();
    let answer = broker.post("/v1/chat/completions", deep, &[]).await;
    assert_eq!(answer.status, 400);
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    let grown = broker.peak_memory_bytes() - before;
    assert!(grown < 5 << 20, "{grown} bytes");
}

#[actix_web::test]
async fn a_header_that_dribbles_in_is_given_up_on() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let began = Instant::now();
    let head = raw::head(&broker, "Content-Length: 2\r\n");
    let answer = rows::exchange(
        &broker,
        &head,
        Some(Duration::from_millis(700)),
        rows::CLOSING,
    )
    .await;
    let took = began.elapsed();
    assert_eq!((answer.status(), answer.closed), (408, true), "{answer:?}");
    assert!(
        took > Duration::from_secs(3) && took < Duration::from_secs(10),
        "{took:?}"
    );
}

#[actix_web::test]
async fn a_handler_panic_is_a_500_and_the_next_request_is_served() {
    let options =
        BrokerOptions::default().env("POSTROOM_FAILPOINTS", "http::handler=1*panic(test)");
    let broker = Broker::start(options).await;
    let answer = broker.chat(&chat("unlucky", json!({}))).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["status"], "error");
    assert_eq!(answer.json()["error"]["code"], 500);
    assert_eq!(broker.chat(&chat("lucky", json!({}))).await.status, 200);
    let items = broker.until_items(1).await;
    assert_eq!(items[0]["latest-user-prompt"], "lucky");
    let metrics = broker.get("/metrics").await.text;
    assert!(
        metrics
            .lines()
            .any(|line| line == "postroom_http_panics_total 1"),
        "{metrics}"
    );
}
