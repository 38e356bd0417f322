//! Messages on their way to peers: that are down, refuse, are busy, point elsewhere, say nothing.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    agents::{KEEP_PROMPT, Stage, id_of},
    broker::Broker,
    messages::{Office, SHORT, SLOW, fixture, message, quick},
    peers::{Peer, PeerPort, Received, Reply},
    wait::{until, until_async},
};

const SECRET: &str = "secret-between-us-and-the-office";

/// Messages to a peer that is down.
const MANY: usize = 20;

/// An office whose agent `alice` speaks from outside of its turns.
fn office() -> Office {
    let stage = Stage::new();
    let command = fixture("send.sh", "STATUS");
    Office::new()
        .agent(&stage, "alice", &command, "")
        .key_of_agent("alice")
}

fn to(peer: &str, conversation: &str, text: &str) -> Value {
    message(
        "STATUS",
        text,
        json!({"to": peer, "context_id": conversation}),
    )
}

fn schedule(schedule: &str) -> String {
    format!("schedule = {schedule}")
}

fn tries(message: &Value) -> &Vec<Value> {
    let history = message["delivery"]["history"].as_array();
    history.unwrap_or_else(|| panic!("no history: {message}"))
}

/// Waits until so many tries of a message have failed.
async fn until_tries(broker: &Broker, id: &str, count: usize) {
    let what = format!("{count} tries of {id}");
    let look = async || broker.message(id).await;
    until_async(&what, look, |seen| tries(seen).len() >= count).await;
}

#[actix_web::test]
async fn what_waits_for_a_peer_arrives_in_order_and_once_when_it_is_back() {
    let port = PeerPort::reserve();
    let broker = office()
        .peer("office", &port.url(), SECRET, "")
        .start()
        .await;
    let mut ids = Vec::new();
    for number in 0..MANY {
        let letter = to("office", "harbour", &format!("letter {number:02}"));
        ids.push(broker.sends("alice", &letter).await);
    }
    until_tries(&broker, &ids[0], 2).await;
    let peer = port.open(|_, _| Reply::Received);
    for id in &ids {
        broker.until_message(id, "delivered").await;
    }
    let wanted: Vec<String> = (0..MANY)
        .map(|number| format!("letter {number:02}"))
        .collect();
    assert_eq!(peer.texts(), wanted);
    let keys: BTreeSet<String> = peer.received().iter().map(Received::key).collect();
    assert_eq!(keys.len(), MANY, "{keys:?}");
    let received = peer.received();
    assert!(
        received
            .iter()
            .all(|one| one.header("x-shared-secret") == Some(SECRET))
    );
    assert_eq!(received[0].body["context_id"], "harbour", "{received:?}");
    let first = broker.message(&ids[0]).await;
    let errors = tries(&first).iter().rev().skip(1).map(|one| &one["error"]);
    assert!(errors.clone().all(Value::is_string), "{first}");
}

#[actix_web::test]
async fn what_waits_holds_back_its_own_conversation_alone() {
    let is_well = Arc::new(AtomicBool::new(false));
    let well = Arc::clone(&is_well);
    let peer = Peer::start(move |_, one| {
        if one.text().starts_with("ill") && !well.load(Ordering::Relaxed) {
            return Reply::Status(503, "", "{}");
        }
        Reply::Received
    });
    let broker = office()
        .peer("office", peer.url(), SECRET, "")
        .start()
        .await;
    let ill = broker.sends("alice", &to("office", "one", "ill")).await;
    let behind = broker
        .sends("alice", &to("office", "one", "behind it"))
        .await;
    let beside = broker
        .sends("alice", &to("office", "two", "beside it"))
        .await;
    broker.until_message(&beside, "delivered").await;
    until_tries(&broker, &ill, 2).await;
    assert_eq!(broker.message(&behind).await["state"], "waiting");
    is_well.store(true, Ordering::Relaxed);
    broker.until_message(&behind, "delivered").await;
    let texts = peer.texts();
    let last_ill = texts.iter().rposition(|text| text == "ill");
    assert!(
        last_ill < texts.iter().position(|text| text == "behind it"),
        "{texts:?}"
    );
}

/// Statuses after which a message is tried again, and after which it is not.
const AGAIN: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];
const NEVER: [u16; 7] = [400, 404, 405, 409, 410, 413, 422];

/// Answers with the status that a message ends with.
fn as_told(_: usize, one: &Received) -> Reply {
    let status = one.text().split(' ').next_back().unwrap().parse().unwrap();
    Reply::Status(status, "", r#"{"error":"as it was told"}"#)
}

/// Sends messages that are answered with a status, and one that is taken: a peer that fails five
/// times in a row is left alone.
async fn answered(broker: &Broker, status: u16) -> String {
    let letter = |status| {
        let text = format!("status {status}");
        to("office", &text, &text)
    };
    let id = broker.sends("alice", &letter(status)).await;
    let look = async || broker.message(&id).await["ended_at"].clone();
    until_async("the end of a delivery", look, Value::is_string).await;
    let well = broker.sends("alice", &letter(200)).await;
    broker.until_message(&well, "delivered").await;
    id
}

#[actix_web::test]
async fn the_status_decides_whether_a_message_is_tried_again() {
    let peer = Peer::start(as_told);
    let broker = office()
        .peer("office", peer.url(), SECRET, &schedule(SHORT))
        .with("[limits]\nrepeats = 0")
        .start()
        .await;
    for status in AGAIN.iter().chain(&NEVER).chain(&[201, 202, 204]) {
        let id = answered(&broker, *status).await;
        let (state, code, count) = match status {
            200..300 => ("delivered", Value::Null, 1),
            _ if AGAIN.contains(status) => ("dead", json!("out_of_attempts"), 3),
            _ => ("dead", json!("refused"), 1),
        };
        let seen = broker.message(&id).await;
        assert_eq!(seen["state"], state, "{seen}");
        assert_eq!(seen["delivery"]["reason"]["code"], code, "{seen}");
        assert_eq!(tries(&seen).len(), count, "{seen}");
        assert!(
            tries(&seen).iter().all(|one| one["status"] == *status),
            "{seen}"
        );
    }
}

#[actix_web::test]
async fn what_a_peer_refuses_is_kept_until_an_operator_retries_or_drops_it() {
    let peer = Peer::start(|number, _| {
        if number < 3 {
            Reply::Status(400, "", r#"{"error":"no such project"}"#)
        } else {
            Reply::Received
        }
    });
    let broker = office()
        .peer("office", peer.url(), SECRET, &schedule(SLOW))
        .start()
        .await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let letter = to(
            "office",
            &format!("project {number}"),
            &format!("refused {number}"),
        );
        ids.push(broker.sends("alice", &letter).await);
        broker.until_message(&ids[number], "dead").await;
    }
    let dead = broker.until_dead_letters(3).await;
    let listed: Vec<String> = dead.iter().rev().map(id_of).collect();
    assert_eq!(listed, ids);
    let seen = broker.fetch(&format!("/dead-letters/{}", ids[0])).await;
    let why = seen["delivery"]["reason"]["message"].as_str().unwrap();
    assert!(
        why.contains("400") && why.contains("no such project"),
        "{seen}"
    );
    let retry = format!("/dead-letters/{}/retry", ids[0]);
    let retried = broker.post(&retry, "{}", &[]).await;
    assert_eq!(retried.status, 200, "{retried:?}");
    let seen = broker.until_message(&ids[0], "delivered").await;
    assert_eq!(tries(&seen).len(), 2, "{seen}");
    let dropped = broker.delete(&format!("/dead-letters/{}", ids[1])).await;
    assert_eq!(dropped.status, 200, "{dropped:?}");
    let left: Vec<String> = broker.dead_letters().await.iter().map(id_of).collect();
    assert_eq!(left, [ids[2].as_str()]);
    // Neither is a dead letter any more.
    for id in &ids[..2] {
        let again = broker
            .post(&format!("/dead-letters/{id}/retry"), "{}", &[])
            .await;
        assert!(matches!(again.status, 404 | 409), "{again:?}");
    }
    assert_eq!(
        peer.texts(),
        ["refused 0", "refused 1", "refused 2", "refused 0"]
    );
    let keys: Vec<String> = peer.received().iter().map(Received::key).collect();
    assert_eq!(keys[0], keys[3], "the retry is another message");
}

#[actix_web::test]
async fn a_peer_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let peer = Peer::start(|number, _| match number {
        0 => Reply::Status(429, "Retry-After: 1", "{}"),
        _ => Reply::Received,
    });
    let broker = office()
        .peer("office", peer.url(), SECRET, "")
        .start()
        .await;
    let id = broker.sends("alice", &to("office", "one", "first")).await;
    broker.until_message(&id, "delivered").await;
    let received = peer.received();
    assert_eq!(received.len(), 2, "{received:?}");
    let pause = received[1].at - received[0].at;
    assert!(pause >= Duration::from_secs(1), "{pause:?}");
}

#[actix_web::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = PeerPort::reserve();
    let location: &'static str = Box::leak(format!("Location: {}/message", elsewhere.url()).into());
    let elsewhere = elsewhere.open(|_, _| Reply::Received);
    let peer = Peer::start(move |number, one| match as_told(number, one) {
        Reply::Status(status @ 300..400, _, body) => Reply::Status(status, location, body),
        other => other,
    });
    let broker = office()
        .peer("office", peer.url(), SECRET, &schedule(SHORT))
        .with("[limits]\nrepeats = 0")
        .start()
        .await;
    for status in [301, 302, 303, 307, 308] {
        let seen = broker.message(&answered(&broker, status).await).await;
        assert_eq!(seen["state"], "dead", "{seen}");
        assert_eq!(tries(&seen)[0]["status"], status, "{seen}");
    }
    assert!(
        elsewhere.received().is_empty(),
        "{:?}",
        elsewhere.received()
    );
}

#[actix_web::test]
async fn the_end_of_the_schedule_is_a_dead_letter_that_tells_its_history() {
    let port = PeerPort::reserve();
    let broker = office()
        .peer("office", &port.url(), SECRET, &schedule(SHORT))
        .start()
        .await;
    let id = broker
        .sends("alice", &to("office", "one", "to nobody"))
        .await;
    let seen = broker.until_message(&id, "dead").await;
    assert_eq!(
        seen["delivery"]["reason"]["code"], "out_of_attempts",
        "{seen}"
    );
    let history = tries(&seen);
    assert_eq!(history.len(), 3, "{seen}");
    for (number, one) in history.iter().enumerate() {
        assert_eq!(one["number"], number + 1, "{seen}");
        assert!(
            one["error"].is_string() && one["status"].is_null(),
            "{seen}"
        );
    }
    let began: Vec<&str> = history
        .iter()
        .map(|one| one["started_at"].as_str().unwrap())
        .collect();
    assert!(began.is_sorted(), "{seen}");
    // It is kept before it is counted and told of.
    let metrics = async || broker.get("/metrics").await.text;
    let counted = r#"postroom_dead_letters_total{recipient="office",reason="out_of_attempts"} 1"#;
    let is_counted = |metrics: &String| metrics.lines().any(|line| line == counted);
    until_async("a dead letter in the metrics", metrics, is_counted).await;
    let is_told = |lines: &Vec<String>| lines.iter().any(|line| line.contains("dead letter"));
    until("a line of the log", || broker.log_lines(), is_told).await;
}

/// Messages of each to the peer that hangs and to the one that does not.
const BESIDE: usize = 25;

#[actix_web::test]
async fn a_peer_that_hangs_slows_no_other() {
    let hangs = Peer::start(|_, _| Reply::Hang);
    let quick = Peer::that_takes_all();
    let broker = office()
        .peer("hangs", hangs.url(), SECRET, "")
        .peer("quick", quick.url(), "secret-of-the-quick-one", "")
        .start()
        .await;
    let mut stuck = Vec::new();
    for number in 0..BESIDE {
        let letter = to(
            "hangs",
            &number.to_string(),
            &format!("into the void {number}"),
        );
        stuck.push(broker.sends("alice", &letter).await);
    }
    hangs.until_received(1).await;
    let began = Instant::now();
    for number in 0..BESIDE {
        let letter = to("quick", &number.to_string(), &format!("beside it {number}"));
        let id = broker.sends("alice", &letter).await;
        broker.until_message(&id, "delivered").await;
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(quick.received().len(), BESIDE);
    for id in &stuck {
        assert_eq!(broker.message(id).await["state"], "waiting");
    }
    // No more are on their way at once than it may have.
    assert!(hangs.received().len() <= 8, "{}", hangs.received().len());
}

#[actix_web::test]
async fn a_peer_that_hangs_up_is_tried_again_and_sees_the_same_key() {
    let peer = Peer::start(|number, _| match number {
        0 | 1 => Reply::HangUp,
        _ => Reply::Received,
    });
    let broker = office()
        .peer("office", peer.url(), SECRET, "")
        .start()
        .await;
    let id = broker.sends("alice", &to("office", "one", "whole")).await;
    let seen = broker.until_message(&id, "delivered").await;
    assert_eq!(tries(&seen).len(), 3, "{seen}");
    let keys: BTreeSet<String> = peer.received().iter().map(Received::key).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[actix_web::test]
async fn a_sender_can_wait_until_its_message_is_delivered() {
    let port = PeerPort::reserve();
    let broker = office()
        .peer("office", &port.url(), SECRET, "")
        .start()
        .await;
    let key = crate::support::messages::key_of("alice");
    let letter = to("office", "one", "nobody there");
    let too_long = broker
        .send_with(&key, "?wait=delivered&timeout=1", &letter)
        .await;
    assert_eq!(too_long.status, 200, "{too_long:?}");
    assert_eq!(too_long.json()["status"], "sent", "{too_long:?}");
    assert_ne!(too_long.json()["delivered"], true, "{too_long:?}");
    let letter = to("office", "two", "somebody there soon");
    let (answer, peer) = tokio::join!(
        broker.send_with(&key, "?wait=delivered&timeout=30", &letter),
        async { port.open(|_, _| Reply::Received) }
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["delivered"], true, "{answer:?}");
    assert!(peer.texts().contains(&"somebody there soon".to_owned()));
}

#[actix_web::test]
async fn answers_go_where_a_message_asked_for_them_and_no_secret_goes_along() {
    let (stage, inbox, own) = (Stage::new(), Peer::that_takes_all(), Peer::that_takes_all());
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .peer("office", own.url(), SECRET, "to = \"alice\"")
        .with("[courier]\nreply_hosts = [\"127.0.0.1\"]\nallow_private = true")
        .start()
        .await;
    let reply_to = format!("{}/inbox?of=7", inbox.url());
    let task = message("TASK", "tell them", json!({"reply_to": reply_to}));
    let id = broker.receives(SECRET, &task).await;
    let received = inbox.until_received(1).await;
    assert!(
        received[0].head.starts_with("POST /inbox?of=7 "),
        "{received:?}"
    );
    assert_eq!(received[0].kind(), "STATUS");
    assert!(!received[0].head.contains(SECRET), "{received:?}");
    broker.until_message(&id, "answered").await;
    assert!(own.received().is_empty());
}

#[actix_web::test]
async fn what_is_sent_to_an_agent_that_is_stopped_waits_for_it_in_order_and_over_a_kill() {
    let (stage, bobs) = (Stage::new(), Stage::new());
    let bob = bobs.script("keeps.sh", KEEP_PROMPT);
    let office = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .agent(&bobs, "bob", &bob, "")
        .key_of_agent("alice")
        .with(&format!("[courier]\nschedule = {}", quick()));
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    let stopped = broker.post("/agents/bob/stop", "{}", &[]).await;
    assert!((200..300).contains(&stopped.status), "{stopped:?}");
    let mut ids = Vec::new();
    for text in ["one", "two", "three"] {
        ids.push(broker.sends("alice", &to("bob", "harbour", text)).await);
    }
    assert_eq!(broker.message(&ids[0]).await["state"], "waiting");
    let broker = broker.kill_and_restart().await;
    let started = broker.post("/agents/bob/start", "{}", &[]).await;
    assert!((200..300).contains(&started.status), "{started:?}");
    for id in &ids {
        let seen = broker.until_message(id, "done").await;
        assert_eq!(seen["to"], "agent:bob", "{seen}");
    }
    let prompts = bobs.prompts().concat();
    let places = ["one", "two", "three"].map(|text| prompts.find(&format!("\"{text}\"")));
    assert!(places.is_sorted() && places[0].is_some(), "{prompts}");
}
