//! How it stops.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use tokio::time::Instant;

use crate::support::{
    backend::{ScriptedBackend, Step, completion, json_answer},
    broker::{Broker, BrokerOptions, inbox_files, inbox_of},
    client::chat,
    wait::until,
};

#[actix_web::test]
async fn a_stop_writes_what_waits_and_ends_with_zero() {
    let options = BrokerOptions::toml("[mailbox]\ninbox = \"{inbox}\"\nbatch_window = \"1s\"\n");
    let broker = Broker::start(options).await;
    broker.chat(&chat("hello", json!({"channel": "c"}))).await;
    let began = Instant::now();
    let (status, folder) = broker.stop().await;
    assert!(status.success(), "{status}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(inbox_files(&inbox_of(folder.path())).len(), 1);
}

#[actix_web::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let mut script = vec![Step::Wait(Duration::from_millis(800))];
    script.extend(json_answer("200 OK", &completion("in time")));
    let backend = ScriptedBackend::start(script).await;
    let mut broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let body = chat("hello", json!({}));
    let answer = {
        let answer = broker.chat(&body);
        let stop = async {
            until(
                "the request upstream",
                || backend.asked().len(),
                |asked| *asked == 1,
            )
            .await;
            broker.signal(Signal::TERM);
        };
        tokio::join!(answer, stop).0
    };
    assert_eq!(answer.content(), "in time");
    assert!(broker.ended().await.success());
    assert_eq!(broker.inbox_items()[0]["backend-llm-reply"], "in time");
}

#[actix_web::test]
async fn a_second_signal_ends_it_at_once_and_loses_nothing() {
    let backend = ScriptedBackend::start(vec![Step::Hold]).await;
    let mut broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let body = chat("hello", json!({}));
    {
        let answer = broker.chat(&body);
        let kept = async {
            until(
                "the request upstream",
                || backend.asked().len(),
                |asked| *asked == 1,
            )
            .await;
            while !broker
                .get("/metrics")
                .await
                .text
                .contains("postroom_accept_duration_seconds_count 1")
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! { _ = answer => panic!("answered"), () = kept => {} }
    }
    // The client above has gone, but its relay goes on until its time limits.
    broker.signal(Signal::TERM);
    let log = || broker.log_lines().join("\n");
    until("the beginning of the end", log, |log| {
        log.contains("second signal ends it")
    })
    .await;
    broker.signal(Signal::INT);
    let began = Instant::now();
    let _ = broker.ended().await;
    assert!(began.elapsed() < Duration::from_secs(2));
    let broker = broker.kill_and_restart().await;
    broker.until_items(1).await;
}
