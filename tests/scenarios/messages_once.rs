//! A message is taken once, however often its sender repeats it.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::support::{
    agents::{KEEP_PROMPT, Stage, id_of},
    broker::Broker,
    client::Answer,
    messages::{Office, key_of, message},
    peers::Peer,
};

const SECRET: &str = "secret-of-the-office";
const OTHER: &str = "secret-of-the-lab";

/// Repetitions at once, and how many of them are on their way at the same time.
const REPETITIONS: usize = 1000;
const AT_ONCE: usize = 250;

fn office(stage: &Stage) -> Office {
    Office::new()
        .agent(stage, "alice", &stage.gated_script(), "concurrency = 4")
        .peer_without_url("office", SECRET, "to = \"alice\"")
        .peer_without_url("lab", OTHER, "to = \"alice\"")
}

/// Checks that an answer says that a message was taken before.
fn assert_repeated(answer: &Answer, id: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    assert_eq!(answer["status"], "received", "{answer}");
    assert_eq!(answer["duplicate"], true, "{answer}");
    assert_eq!(answer["id"], id, "{answer}");
}

fn assert_conflict(answer: &Answer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    let code = answer.json()["error"]["code"].clone();
    assert_eq!(code, "idempotency_conflict", "{answer:?}");
}

/// The same again by body and by header, and another body under the same id.
async fn repeat(broker: &Broker, in_body: &str, in_header: &str) {
    let first = message("TASK", "by body", json!({"id": "m-1"}));
    assert_repeated(&broker.message_with(SECRET, &first, &[]).await, in_body);
    let other = message("TASK", "another one", json!({"id": "m-1"}));
    assert_conflict(&broker.message_with(SECRET, &other, &[]).await);
    let key = [("idempotency-key", "m-2")];
    let second = message("TASK", "by header", json!({}));
    assert_repeated(&broker.message_with(SECRET, &second, &key).await, in_header);
    let other = message("STATUS", "by header", json!({}));
    assert_conflict(&broker.message_with(SECRET, &other, &key).await);
}

#[actix_web::test]
async fn a_repeated_message_is_known_before_and_after_a_restart_and_a_kill() {
    let stage = Stage::new();
    let options = office(&stage).options();
    let broker = Broker::start_in(Arc::clone(stage.folder()), options.clone()).await;
    let body = message("TASK", "by body", json!({"id": "m-1"}));
    let in_body = broker.receives(SECRET, &body).await;
    let key = [("idempotency-key", "m-2")];
    let answer = broker
        .message_with(SECRET, &message("TASK", "by header", json!({})), &key)
        .await;
    let in_header = id_of(&answer.json());
    assert_ne!(in_body, in_header);
    repeat(&broker, &in_body, &in_header).await;
    // Another sender may use the same id for something else.
    let other = broker
        .receives(
            OTHER,
            &message("TASK", "from the lab", json!({"id": "m-1"})),
        )
        .await;
    assert_ne!(other, in_body);
    let broker = broker.kill_and_restart().await;
    repeat(&broker, &in_body, &in_header).await;
    stage.open();
    for id in [&in_body, &in_header, &other] {
        broker.until_message(id, "done").await;
    }
    repeat(&broker, &in_body, &in_header).await;
    let (status, folder) = broker.stop().await;
    assert!(status.success(), "{status}");
    let broker = Broker::start_in(folder, options).await;
    repeat(&broker, &in_body, &in_header).await;
    assert_eq!(broker.messages("").await.len(), 3);
}

#[actix_web::test]
async fn a_thousand_repetitions_at_once_start_one_turn() {
    let stage = Stage::new();
    let broker = office(&stage).start().await;
    let body = message("TASK", "once", json!({"id": "m-1"}));
    let send = |_| broker.message_with(SECRET, &body, &[]);
    let answers: Vec<Answer> = stream::iter(0..REPETITIONS)
        .map(send)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let ids: BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{answer:?}");
            id_of(&answer.json())
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let is_first = |answer: &&Answer| answer.json()["duplicate"] != true;
    assert_eq!(answers.iter().filter(is_first).count(), 1);
    stage.open();
    let id = ids.first().unwrap();
    broker.until_message(id, "done").await;
    assert_eq!(broker.turns_of("alice").await.len(), 1);
    assert_eq!(stage.prompts().len(), 1);
}

#[actix_web::test]
async fn what_an_agent_sends_again_under_the_same_id_is_posted_once() {
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let office = Office::new()
        .agent(&stage, "alice", &stage.script("keeps.sh", KEEP_PROMPT), "")
        .key_of_agent("alice")
        .peer("office", peer.url(), SECRET, "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    let letter = |text| message("STATUS", text, json!({"to": "office", "id": "s-1"}));
    let first = broker.sends("alice", &letter("half done")).await;
    let key = key_of("alice");
    let repeated = broker.send_with(&key, "", &letter("half done")).await;
    assert_sent_before(&repeated, &first);
    assert_conflict(&broker.send_with(&key, "", &letter("all done")).await);
    broker.until_message(&first, "delivered").await;
    let broker = broker.kill_and_restart().await;
    let repeated = broker.send_with(&key, "", &letter("half done")).await;
    assert_sent_before(&repeated, &first);
    assert_conflict(&broker.send_with(&key, "", &letter("all done")).await);
    assert_eq!(peer.texts(), ["half done"]);
}

fn assert_sent_before(answer: &Answer, id: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer: Value = answer.json();
    assert_eq!(answer["status"], "sent", "{answer}");
    assert_eq!(answer["duplicate"], true, "{answer}");
    assert_eq!(answer["id"], id, "{answer}");
}
