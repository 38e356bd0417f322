//! A peer that knows no more of the protocol than its seed: one secret, `{"type", "payload"}`, no ids.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{
    agents::{Stage, id_of},
    broker::Broker,
    messages::{Office, fixture, message},
    peers::SeedPeer,
    tools::ClientResult,
    wait::until_async,
};

const SECRET: &str = "secret-of-the-seed";

/// A broker whose agent answers whatever the peer sends.
async fn together(
    stage: &Stage,
) -> Result<(Broker, SeedPeer), crate::support::tools::ClientFailure> {
    let peer = SeedPeer::start(stage.folder().path(), SECRET)?;
    let office = Office::new()
        .agent(
            stage,
            "alice",
            &fixture("send.sh", "STATUS - 'all is well'"),
            "",
        )
        .key_of_agent("alice")
        .peer(
            "seed",
            peer.url(),
            SECRET,
            "answer_types = [\"STATUS\"]\nto = \"alice\"",
        );
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    Ok((broker, peer))
}

fn body_of(received: &Value) -> Value {
    serde_json::from_str(received["raw"].as_str().unwrap()).unwrap()
}

#[actix_web::test]
async fn it_gives_a_task_and_gets_the_answer() -> ClientResult {
    let stage = Stage::new();
    let (broker, peer) = together(&stage).await?;
    let task = json!({"type": "TASK", "payload": {"project": "ferries", "steps": [1, 2]}});
    let (status, answer) = peer.posts(&broker, SECRET, &task).await;
    assert_eq!((status, &answer["status"]), (200, &json!("received")));
    let got = peer.until_received(1).await;
    assert_eq!(got[0]["status"], 200, "{got:?}");
    assert_eq!(got[0]["headers"]["x-shared-secret"], SECRET, "{got:?}");
    assert_eq!(got[0]["headers"]["content-type"], "application/json");
    let body = body_of(&got[0]);
    assert_eq!(body["type"], "STATUS", "{body}");
    assert_eq!(body["payload"], json!({"text": "all is well"}), "{body}");
    let prompt = &stage.prompts()[0];
    assert!(
        prompt.contains("ferries") && prompt.contains("[1, 2]"),
        "{prompt}"
    );
    assert!(!prompt.contains(SECRET), "{prompt}");
    broker.until_message(&id_of(&answer), "answered").await;
    Ok(())
}

#[actix_web::test]
async fn what_it_sends_twice_is_two_messages() -> ClientResult {
    let stage = Stage::new();
    let (broker, peer) = together(&stage).await?;
    let task = json!({"type": "TASK", "payload": "the same words"});
    let (_, first) = peer.posts(&broker, SECRET, &task).await;
    let (_, second) = peer.posts(&broker, SECRET, &task).await;
    assert_ne!(first["id"], second["id"]);
    for answer in [&first, &second] {
        let look = async || broker.message(&id_of(answer)).await["ended_at"].clone();
        until_async("the end of a message", look, Value::is_string).await;
    }
    let texts = stage.prompts().concat();
    assert_eq!(texts.matches("the same words").count(), 2, "{texts}");
    Ok(())
}

#[actix_web::test]
async fn its_wrong_secrets_and_bodies_are_refused_in_the_words_it_knows() -> ClientResult {
    let stage = Stage::new();
    let (broker, peer) = together(&stage).await?;
    let task = json!({"type": "TASK", "payload": {}});
    let (status, answer) = peer.posts(&broker, "another secret", &task).await;
    assert_eq!(
        (status, &answer["error"]["message"]),
        (401, &json!("unauthorized"))
    );
    let (status, answer) = peer.posts(&broker, SECRET, &json!({"payload": {}})).await;
    assert_eq!(
        (status, &answer["error"]["message"]),
        (400, &json!("missing type"))
    );
    assert!(stage.prompts().is_empty());
    Ok(())
}

#[actix_web::test]
async fn its_faults_are_waited_for_and_its_refusals_believed() -> ClientResult {
    let stage = Stage::new();
    let (broker, peer) = together(&stage).await?;
    peer.answer(&json!([
        {"status": 500, "body": {"error": "the disk is full"}},
        {"status": 503, "headers": {"Retry-After": "0"}},
        {"status": 200, "body": {"status": "received"}},
        {"status": 400, "body": {"error": "missing type"}},
    ]))
    .await;
    let say = |text| message("STATUS", text, json!({"to": "seed"}));
    let waited = broker.sends("alice", &say("take your time")).await;
    let seen = broker.until_message(&waited, "delivered").await;
    assert_eq!(
        seen["delivery"]["history"].as_array().unwrap().len(),
        3,
        "{seen}"
    );
    let refused = broker.sends("alice", &say("as you wish")).await;
    let seen = broker.until_message(&refused, "dead").await;
    assert_eq!(seen["delivery"]["reason"]["code"], "refused", "{seen}");
    let statuses: Vec<Value> = peer
        .received()
        .iter()
        .map(|one| one["status"].clone())
        .collect();
    assert_eq!(statuses, [500, 503, 200, 400]);
    Ok(())
}
