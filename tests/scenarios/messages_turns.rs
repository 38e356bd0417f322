//! Messages in an agent's queue: that expire, that are urgent, that are taken back; turns that say nothing.

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{
    agents::{KEEP_PROMPT, Stage, id_of},
    broker::Broker,
    messages::{Office, fixture, key_of, message},
    peers::Peer,
    processes::{expect_none, until_runs},
};

const SECRET: &str = "secret-of-the-office";

/// Keeps its token and its prompt, and waits.
const KEEPS_ITS_TOKEN: &str = "echo \"$POSTROOM_TURN_TOKEN\" > \"$STAGE/token\"\n";

/// An office with the agent `alice`, whose turns wait until they are let on.
fn gated(stage: &Stage, settings: &str) -> Office {
    Office::new()
        .agent(stage, "alice", &stage.gated_script(), settings)
        .peer_without_url("office", SECRET, "to = \"alice\"")
}

/// A message in a conversation of its own.
fn task(text: &str, fields: Value) -> Value {
    let mut task = message("TASK", text, fields);
    task["context_id"] = text.into();
    task
}

fn in_seconds(seconds: i64) -> String {
    #[expect(clippy::disallowed_methods, reason = "the broker has the same clock")]
    let at = Utc::now() + TimeDelta::seconds(seconds);
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[actix_web::test]
async fn what_has_expired_is_accepted_and_never_begun() {
    let stage = Stage::new();
    let broker = gated(&stage, "").start().await;
    let late = task("too late", json!({"expires_at": in_seconds(-1)}));
    let late = broker.receives(SECRET, &late).await;
    let seen = broker.until_message(&late, "expired").await;
    assert_eq!(seen["turns"], json!([]), "{seen}");
    broker.receives(SECRET, &task("opener", json!({}))).await;
    stage.until_prompts(1).await;
    let soon = task("soon too late", json!({"expires_at": in_seconds(1)}));
    let soon = broker.receives(SECRET, &soon).await;
    assert_eq!(broker.message(&soon).await["state"], "queued");
    broker.until_message(&soon, "expired").await;
    stage.open();
    let next = task("in time", json!({"expires_at": in_seconds(600)}));
    let next = broker.receives(SECRET, &next).await;
    broker.until_message(&next, "done").await;
    let prompts = stage.prompts().concat();
    assert!(!prompts.contains("too late"), "{prompts}");
}

#[actix_web::test]
async fn what_expires_on_its_way_to_a_peer_is_a_dead_letter() {
    let stage = Stage::new();
    let port = crate::support::peers::PeerPort::reserve();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer("office", &port.url(), SECRET, "")
        .start()
        .await;
    let fields = json!({"to": "office", "expires_at": in_seconds(1)});
    let id = broker
        .sends("alice", &message("STATUS", "soon stale", fields))
        .await;
    let seen = broker.until_message(&id, "dead").await;
    assert_eq!(seen["delivery"]["reason"]["code"], "expired", "{seen}");
    let peer = port.open(|_, _| crate::support::peers::Reply::Received);
    let fresh = message("STATUS", "fresh", json!({"to": "office"}));
    let fresh = broker.sends("alice", &fresh).await;
    broker.until_message(&fresh, "delivered").await;
    assert_eq!(peer.texts(), ["fresh"]);
}

#[actix_web::test]
async fn the_urgent_passes_what_waits_in_other_conversations() {
    let stage = Stage::new();
    let broker = gated(&stage, "").start().await;
    broker.receives(SECRET, &task("opener", json!({}))).await;
    stage.until_prompts(1).await;
    for (text, priority) in [
        ("first normal", json!("normal")),
        ("low", json!("low")),
        ("second normal", json!(4)),
        ("high", json!("high")),
        ("highest", json!(9)),
    ] {
        broker
            .receives(SECRET, &task(text, json!({"priority": priority})))
            .await;
    }
    stage.open();
    let prompts = stage.until_prompts(6).await;
    let order: Vec<&str> = prompts
        .iter()
        .map(|prompt| {
            let said = [
                "opener",
                "first normal",
                "second normal",
                "low",
                "highest",
                "high",
            ];
            *said
                .iter()
                .find(|text| prompt.contains(&format!("\"{text}\"")))
                .unwrap()
        })
        .collect();
    let wanted = [
        "opener",
        "highest",
        "high",
        "first normal",
        "second normal",
        "low",
    ];
    assert_eq!(order, wanted);
}

#[actix_web::test]
async fn a_message_is_taken_back_before_its_turn_and_during_it() {
    let stage = Stage::new();
    let script = format!("{KEEP_PROMPT}setsid tail -f /dev/null &\ntail -f /dev/null\n");
    let command = stage.script("hangs.sh", &script);
    let broker = Office::new()
        .agent(&stage, "alice", &command, "")
        .peer_without_url("office", SECRET, "to = \"alice\"")
        .start()
        .await;
    let runs = broker.receives(SECRET, &task("runs", json!({}))).await;
    until_runs(&stage.setting(), "tail -f /dev/null").await;
    let waits = broker.receives(SECRET, &task("waits", json!({}))).await;
    for id in [&waits, &runs] {
        let answer = broker.delete(&format!("/messages/{id}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["cancelled"], true, "{answer:?}");
        assert_eq!(broker.message(id).await["state"], "cancelled");
    }
    expect_none(&stage.setting());
    let again = broker.delete(&format!("/messages/{runs}")).await;
    assert_eq!(again.json()["cancelled"], false, "{again:?}");
    assert_eq!(stage.prompts().len(), 1);
    let turns = broker.turns_of("alice").await;
    assert_eq!(turns.len(), 1, "{turns:?}");
    assert_eq!(turns[0]["state"], "cancelled", "{turns:?}");
}

#[actix_web::test]
async fn a_message_is_taken_back_by_its_sender_and_read_by_nobody_else() {
    let stage = Stage::new();
    let broker = gated(&stage, "")
        .peer_without_url("lab", "secret-of-the-lab", "to = \"alice\"")
        .with("[keys.reader]\nkey = \"key-of-a-client\"\nrole = \"client\"")
        .start()
        .await;
    broker.receives(SECRET, &task("opener", json!({}))).await;
    let id = broker.receives(SECRET, &task("mine", json!({}))).await;
    let path = format!("/messages/{id}");
    let lab = [("x-shared-secret", "secret-of-the-lab")];
    let reader = [("authorization", "Bearer key-of-a-client")];
    for foreign in [lab, reader] {
        let read = broker.send("GET", &path, String::new(), &foreign).await;
        assert_eq!(read.status, 404, "{read:?}");
        let delete = broker.send("DELETE", &path, String::new(), &foreign).await;
        assert_eq!(delete.status, 404, "{delete:?}");
    }
    let own = [("x-shared-secret", SECRET)];
    let read = broker.send("GET", &path, String::new(), &own).await;
    assert_eq!(read.json()["state"], "queued", "{read:?}");
    let delete = broker.send("DELETE", &path, String::new(), &own).await;
    assert_eq!(delete.json()["cancelled"], true, "{delete:?}");
    stage.open();
}

#[actix_web::test]
async fn a_delivery_is_taken_back_while_it_waits() {
    let stage = Stage::new();
    let port = crate::support::peers::PeerPort::reserve();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer("office", &port.url(), SECRET, "")
        .start()
        .await;
    let say = |text| message("STATUS", text, json!({"to": "office"}));
    let taken = broker.sends("alice", &say("never mind")).await;
    let kept = broker.sends("alice", &say("this one stays")).await;
    let answer = broker.delete(&format!("/messages/{taken}")).await;
    assert_eq!(answer.json()["cancelled"], true, "{answer:?}");
    let peer = port.open(|_, _| crate::support::peers::Reply::Received);
    broker.until_message(&kept, "delivered").await;
    assert_eq!(broker.message(&taken).await["state"], "cancelled");
    assert_eq!(peer.texts(), ["this one stays"]);
}

#[actix_web::test]
async fn a_turn_that_ends_without_a_callback_is_seen_as_such() {
    let stage = Stage::new();
    let silent = stage.script("silent.sh", &format!("{KEEP_PROMPT}echo thinking\n"));
    let (talks, peer) = (Stage::new(), Peer::that_takes_all());
    let broker = Office::new()
        .agent(&stage, "silent", &silent, "")
        .agent(&talks, "talks", &fixture("send.sh", "STATUS"), "")
        .peer("office", peer.url(), SECRET, "")
        .start()
        .await;
    for (agent, state, callbacks) in [("silent", "done", 0), ("talks", "answered", 1)] {
        let id = broker
            .receives(SECRET, &task("a task", json!({"to": agent})))
            .await;
        let seen = broker.until_message(&id, state).await;
        assert_eq!(seen["turns"][0]["callbacks"], callbacks, "{seen}");
        assert_eq!(
            seen["callbacks"].as_array().unwrap().len(),
            callbacks,
            "{seen}"
        );
    }
    let listed = broker.messages("?direction=in&agent=silent").await;
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["callbacks"], 0, "{listed:?}");
}

/// What goes to a peer that has no URL is kept nowhere: 422 or a dead letter, never silence.
#[actix_web::test]
async fn an_answer_to_a_peer_without_an_address_is_refused_in_words() {
    let stage = Stage::new();
    let broker = Office::new()
        .agent(&stage, "alice", &fixture("send.sh", "STATUS"), "")
        .key_of_agent("alice")
        .peer_without_url("office", SECRET, "to = \"alice\"")
        .start()
        .await;
    let say = message("STATUS", "anyone?", json!({"to": "office"}));
    let refused = broker.send_with(&key_of("alice"), "", &say).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.text.contains("peers.office.url"), "{refused:?}");
}

#[actix_web::test]
async fn the_token_of_a_turn_sends_for_its_own_agent_during_the_turn_and_after_it() {
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let script = format!(
        "{KEEPS_ITS_TOKEN}{KEEP_PROMPT}while [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\n"
    );
    let command = stage.script("keeps-token.sh", &script);
    let other = Stage::new();
    let broker = Office::new()
        .agent(&stage, "alice", &command, "")
        .agent(&other, "bob", &other.gated_script(), "")
        .peer("office", peer.url(), SECRET, "to = \"alice\"")
        .start()
        .await;
    let id = broker.receives(SECRET, &task("a task", json!({}))).await;
    stage.until_prompts(1).await;
    let token = std::fs::read_to_string(stage.path("token")).unwrap();
    let token = token.trim();
    let as_bob = message("STATUS", "I am bob", json!({"from": "bob"}));
    for (text, body) in [
        ("during", message("STATUS", "during", json!({}))),
        ("I am bob", as_bob),
    ] {
        let sent = broker.send_with(token, "", &body).await;
        assert_eq!(sent.status, 200, "{text}: {sent:?}");
        let sent = broker.message(&id_of(&sent.json())).await;
        assert_eq!(sent["from"], "agent:alice", "{sent}");
        assert_eq!(sent["to"], "peer:office", "{sent}");
    }
    stage.open();
    broker.until_message(&id, "answered").await;
    let late = broker
        .send_with(token, "", &message("STATUS", "late", json!({})))
        .await;
    assert_eq!(late.status, 200, "{late:?}");
    let seen = broker.message(&id).await;
    assert_eq!(seen["callbacks"].as_array().unwrap().len(), 3, "{seen}");
    peer.until_received(3).await;
    let from: Vec<Value> = peer
        .received()
        .iter()
        .map(|one| one.body["from"].clone())
        .collect();
    assert_eq!(from, ["alice", "alice", "alice"]);
    expect_token_opens_nothing_else(&broker, token, &id).await;
}

async fn expect_token_opens_nothing_else(broker: &Broker, token: &str, id: &str) {
    let key = format!("Bearer {token}");
    let headers = [("authorization", key.as_str())];
    for (method, path) in [
        ("GET", "/dead-letters".to_owned()),
        ("POST", format!("/dead-letters/{id}/retry")),
        ("DELETE", format!("/dead-letters/{id}")),
        ("GET", "/agents".to_owned()),
    ] {
        let refused = broker.send(method, &path, String::new(), &headers).await;
        assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
    }
    let mut forged = token.to_owned();
    let last = if forged.pop() == Some('0') { '1' } else { '0' };
    forged.push(last);
    let refused = broker
        .send_with(&forged, "", &message("STATUS", "forged", json!({})))
        .await;
    assert_eq!(refused.status, 401, "{refused:?}");
}
