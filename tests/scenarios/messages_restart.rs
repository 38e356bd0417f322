//! Messages that wait while the broker ends and begins: by a signal, by a kill, many of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    agents::{Stage, id_of},
    broker::Broker,
    messages::{Office, SLOW, fixture, key_of, message},
    peers::{Peer, PeerPort, Received, Reply},
    wait::until,
};

const SECRET: &str = "secret-of-the-office";

/// Deliveries that wait while a broker starts, and how many are given to it at once before.
const MANY: usize = 3000;
const AT_ONCE: usize = 100;

/// The most of them that may arrive within a second of its start: its own bound, and some room.
const FIRST_SECOND: usize = 150;

/// Longest start with all of them.
const START: Duration = Duration::from_secs(5);

fn office(stage: &Stage, url: &str, settings: &str) -> Office {
    Office::new()
        .agent(stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer("office", url, SECRET, settings)
        .with("[limits]\npair_rate = 0\nrepeats = 0")
}

#[actix_web::test]
async fn a_stop_waits_for_no_delivery_and_the_next_start_goes_on() {
    let stage = Stage::new();
    let hangs = Peer::start(|_, _| Reply::Hang);
    let port = PeerPort::reserve();
    let office =
        office(&stage, &port.url(), "").peer("hangs", hangs.url(), "secret-of-a-hanger", "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    let say = |to: &str, text: &str| message("STATUS", text, json!({"to": to, "context_id": to}));
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(
            broker
                .sends("alice", &say("office", &format!("letter {number}")))
                .await,
        );
    }
    broker.sends("alice", &say("hangs", "into the void")).await;
    hangs.until_received(1).await;
    let began = Instant::now();
    let (status, folder) = broker.stop().await;
    assert!(status.success(), "{status}");
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let peer = port.open(|_, _| Reply::Received);
    let broker = Broker::start_in(folder, office.options()).await;
    for id in &ids {
        broker.until_message(id, "delivered").await;
    }
    let wanted: Vec<String> = (0..5).map(|number| format!("letter {number}")).collect();
    assert_eq!(peer.texts(), wanted);
    // What was on its way is on its way again, as the same message.
    let again = hangs.until_received(2).await;
    assert_eq!(again[0].key(), again[1].key());
}

#[actix_web::test]
async fn a_kill_forgets_no_delivery_no_dead_letter_and_no_time_to_wait() {
    let stage = Stage::new();
    let port = PeerPort::reserve();
    let refuses = Peer::start(|_, _| Reply::Status(400, "", "{}"));
    let office = office(&stage, &port.url(), &format!("schedule = {SLOW}")).peer(
        "refuses",
        refuses.url(),
        "secret-of-a-refuser",
        "",
    );
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    let say = |to: &str| message("STATUS", to, json!({"to": to}));
    let waits = broker.sends("alice", &say("office")).await;
    let dead = broker.sends("alice", &say("refuses")).await;
    broker.until_message(&dead, "dead").await;
    let look = async || broker.message(&waits).await["delivery"]["history"][0].clone();
    crate::support::wait::until_async("the first try", look, serde_json::Value::is_object).await;
    let before = broker.message(&waits).await;
    let broker = broker.kill_and_restart().await;
    let after = broker.message(&waits).await;
    assert_eq!(
        before["delivery"]["due_at"], after["delivery"]["due_at"],
        "{before} {after}"
    );
    assert_eq!(after["state"], "waiting", "{after}");
    assert_eq!(broker.dead_letters().await.len(), 1);
    assert_eq!(refuses.received().len(), 1);
    // Once the peer takes something, what waits for it need not wait for its time.
    let peer = port.open(|_, _| Reply::Received);
    let fields = json!({"to": "office", "context_id": "two"});
    let beside = message("STATUS", "beside", fields);
    broker.sends("alice", &beside).await;
    broker.until_message(&waits, "delivered").await;
    assert_eq!(peer.texts(), ["beside", "office"]);
}

#[actix_web::test]
async fn many_that_wait_hold_up_no_start_and_do_not_come_all_at_once() {
    let stage = Stage::new();
    let port = PeerPort::reserve();
    let settings = "concurrency = 64\nschedule = [\"1ms\", \"3s\", \"3s\", \"3s\"]";
    let office = office(&stage, &port.url(), settings);
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    let key = key_of("alice");
    let ids: BTreeSet<String> = stream::iter(0..MANY)
        .map(|number| {
            let fields = json!({"to": "office", "context_id": number.to_string()});
            let (broker, key) = (&broker, &key);
            async move {
                let say = message("STATUS", &format!("letter {number}"), fields);
                let sent = broker.send_with(key, "", &say).await;
                assert_eq!(sent.status, 200, "{sent:?}");
                id_of(&sent.json())
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(ids.len(), MANY);
    let folder = broker.kill();
    let peer = port.open(|_, _| Reply::Received);
    let began = Instant::now();
    let broker = Broker::start_in(folder, office.options()).await;
    let ready = async || broker.get("/readyz").await.status;
    crate::support::wait::until_async("a ready broker", ready, |status| *status == 200).await;
    assert!(began.elapsed() < START, "{:?}", began.elapsed());
    let received = peer.until_received(1).await;
    let first = received[0].at;
    let in_first_second = |received: &Vec<Received>| {
        let early = received
            .iter()
            .filter(|one| one.at - first <= Duration::from_secs(1));
        early.count()
    };
    let is_later = |received: &Vec<Received>| {
        let last = received.last().map(|last| last.at - first);
        last.is_some_and(|last| last > Duration::from_secs(1))
    };
    let received = until("arrivals after a second", || peer.received(), is_later).await;
    let count = in_first_second(&received);
    assert!(
        (1..=FIRST_SECOND).contains(&count),
        "{count} in the first second"
    );
    // Meanwhile it takes new ones.
    let fresh = message(
        "STATUS",
        "fresh",
        json!({"to": "office", "context_id": "fresh"}),
    );
    let fresh = broker.send_with(&key, "", &fresh).await;
    assert_eq!(fresh.status, 200, "{fresh:?}");
}

#[actix_web::test]
async fn what_waits_for_a_peer_that_is_configured_no_more_is_a_dead_letter() {
    let stage = Stage::new();
    let port = PeerPort::reserve();
    let with_it = office(&stage, &port.url(), "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), with_it.options()).await;
    let say = message("STATUS", "anyone?", json!({"to": "office"}));
    let id = broker.sends("alice", &say).await;
    let folder = broker.kill();
    let without = Office::new().agent(&stage, "alice", &fixture("send.sh", "STATUS"), "");
    let broker = Broker::start_in(folder, without.options()).await;
    let seen = broker.until_message(&id, "dead").await;
    let code = &seen["delivery"]["reason"]["code"];
    assert_eq!(code, "unknown_recipient", "{seen}");
    assert_eq!(broker.dead_letters().await.len(), 1);
    // It is back, and an operator lets the message go.
    let peer = port.open(|_, _| Reply::Received);
    let folder = broker.kill();
    let broker = Broker::start_in(folder, with_it.options()).await;
    let retried = broker
        .post(&format!("/dead-letters/{id}/retry"), "{}", &[])
        .await;
    assert_eq!(retried.status, 200, "{retried:?}");
    broker.until_message(&id, "delivered").await;
    assert_eq!(peer.texts(), ["anyone?"]);
}
