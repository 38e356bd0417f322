//! Events of background responses that have ended, to the webhook of the key that asked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, Stage, id_of},
    broker::Broker,
    messages::{Office, quick},
    peers::{PeerPort, Received, Reply},
    wait::until_async,
};

const KEY: &str = "key-of-the-app-with-a-webhook";

/// Its input says how a turn ends.
const TURNS: &str =
    "read -r ends\ncase \"$ends\" in\n*fail*) exit 3 ;;\n*hang*) sleep 600 ;;\nesac\necho well\n";

fn office(stage: &Stage, url: &str) -> Office {
    let command = stage.script("ends.sh", TURNS);
    Office::new()
        .agent(stage, AGENT, &command, "concurrency = 4")
        .with(&format!("[courier]\nschedule = {}", quick()))
        .with(&format!(
            "[keys.app]\nkey = {KEY:?}\nwebhook_url = \"{url}/events\"\nwebhook_allow_private = true\n\
             webhook_secret = \"whsec_dG9kYXlzIHNlY3JldCBvZiB0aGUgdGVzdHM=\""
        ))
}

/// Asks in the background with the app's key; the response's id.
async fn ask(broker: &Broker, input: &str) -> String {
    let body = json!({"model": AGENT, "input": input, "user": input, "background": true});
    let key = format!("Bearer {KEY}");
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = broker
        .send("POST", "/v1/responses", body.to_string(), &headers)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    id_of(&answer.json())
}

/// Type of the event by the response that it tells of; each response has one.
fn events(received: &[Received]) -> BTreeMap<String, String> {
    let mut by_response = BTreeMap::new();
    for event in received {
        assert!(event.head.starts_with("POST /events "), "{event:?}");
        assert!(
            event
                .header("webhook-signature")
                .is_some_and(|signed| signed.starts_with("v1,"))
        );
        assert_eq!(event.header("webhook-id"), event.header("idempotency-key"));
        assert_eq!(event.header("x-shared-secret"), None);
        assert_eq!(event.body["object"], "event", "{event:?}");
        let response = event.body["data"]["id"].as_str().unwrap().to_owned();
        let twice = by_response.insert(response, event.kind().to_owned());
        assert_eq!(twice, None, "told twice: {received:?}");
    }
    by_response
}

#[actix_web::test]
async fn whoever_asked_in_the_background_is_told_how_it_ended() {
    let stage = Stage::new();
    let hook = PeerPort::reserve();
    let broker = office(&stage, &hook.url()).start().await;
    let hook = hook.open(|_, _| Reply::Received);
    let (well, fails, hangs) = (
        ask(&broker, "well").await,
        ask(&broker, "fail").await,
        ask(&broker, "hang").await,
    );
    let look = async || broker.response(&hangs).await;
    let runs = |response: &Value| response["status"] == "in_progress";
    until_async("the turn that hangs", look, runs).await;
    let cancelled = broker
        .post(&format!("/v1/responses/{hangs}/cancel"), "{}", &[])
        .await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    // Of what others ask, and of what somebody waits for, nothing is told.
    broker.ask_later("well", "another").await;
    let expected = BTreeMap::from([
        (well, "response.completed".to_owned()),
        (fails, "response.failed".to_owned()),
        (hangs, "response.cancelled".to_owned()),
    ]);
    assert_eq!(events(&hook.until_received(3).await), expected);
}

#[actix_web::test]
async fn what_ended_before_a_kill_is_told_once_after_it() {
    let stage = Stage::new();
    let hook = PeerPort::reserve();
    let broker = office(&stage, &hook.url()).start().await;
    let mut expected = BTreeMap::new();
    for _ in 0..4 {
        let id = ask(&broker, "well").await;
        broker.until_ended(&id).await;
        expected.insert(id, "response.completed".to_owned());
    }
    // Some of it may have been handed over, some not; nobody has heard of any yet.
    let broker = broker.kill_and_restart().await;
    let hook = hook.open(|_, _| Reply::Received);
    assert_eq!(events(&hook.until_received(4).await), expected);
    let broker = broker.kill_and_restart().await;
    let one_more = ask(&broker, "well").await;
    expected.insert(one_more, "response.completed".to_owned());
    assert_eq!(
        events(&hook.until_received(5).await),
        expected,
        "nothing is told again"
    );
}
