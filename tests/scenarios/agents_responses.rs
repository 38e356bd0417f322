//! `/v1/responses` of an agent: asked, read again, gone on from, taken back, forgotten.

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, KEEP_PROMPT, Stage, output_text},
    broker::{Broker, BrokerOptions},
    client::Answer,
    processes::expect_none,
};

/// Two callers that are no operators.
const CALLERS: &str = "[keys.alice]\nkey = \"the-key-of-alice\"\nrole = \"client\"\n\
                       [keys.bob]\nkey = \"the-key-of-bob\"\nrole = \"client\"\n";

async fn create(broker: &Broker, body: Value) -> Answer {
    broker.post("/v1/responses", body.to_string(), &[]).await
}

/// As the caller of a key.
async fn by(broker: &Broker, name: &str, method: &str, path: &str, body: &Value) -> Answer {
    let key = format!("Bearer the-key-of-{name}");
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
    ];
    broker.send(method, path, body.to_string(), &headers).await
}

fn code(answer: &Answer) -> Value {
    answer.json()["error"]["code"].clone()
}

#[actix_web::test]
async fn a_response_is_answered_whole_and_can_be_read_again() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions("")).await;
    let body = json!({
        "model": AGENT,
        "instructions": "Be brief.",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "When?"}]}],
        "metadata": {"ticket": "42"},
        "temperature": 0.5,
    });
    let answer = create(&broker, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let response = answer.json();
    assert_eq!(response["object"], "response");
    assert_eq!(response["status"], "completed");
    assert_eq!(response["model"], AGENT);
    assert_eq!(response["background"], false);
    assert_eq!(response["metadata"], json!({"ticket": "42"}));
    assert_eq!(response["instructions"], "Be brief.");
    assert_eq!(response["temperature"], 0.5);
    assert_eq!(output_text(&response), "the answer");
    assert_eq!(response["usage"]["input_tokens"], 11);
    assert_eq!(response["usage"]["output_tokens"], 5);
    assert_eq!(response["usage"]["total_tokens"], 16);
    let id = response["id"].as_str().unwrap();
    assert!(answer.header("x-postroom-message-id").is_some());
    assert_eq!(broker.response(id).await, response);
    let prompt = stage.prompts().concat();
    for part in ["Be brief.", "When?", "ticket"] {
        assert!(prompt.contains(part), "{part}: {prompt}");
    }
    let items = broker
        .fetch(&format!("/v1/responses/{id}/input_items"))
        .await;
    assert_eq!(items["object"], "list");
    assert_eq!(items["data"][0]["role"], "user", "{items}");
    assert_eq!(items["data"][0]["content"][0]["text"], "When?", "{items}");
    let wrong = broker
        .get(&format!("/v1/responses/{id}/input_items?limit=0"))
        .await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"]["param"]),
        (400, &json!("limit"))
    );
}

#[actix_web::test]
async fn a_response_goes_on_in_the_session_of_the_previous_one_with_what_is_new_alone() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions("")).await;
    let first = create(
        &broker,
        json!({"model": AGENT, "input": "the old question"}),
    )
    .await;
    let id = first.json()["id"].clone();
    let follow_up = json!({"model": AGENT, "input": "the new one", "previous_response_id": id});
    let second = create(&broker, follow_up).await;
    assert_eq!(second.status, 200, "{second:?}");
    assert_eq!(second.json()["previous_response_id"], id);
    // Whoever names no agent goes on with the same one.
    let third = json!({"input": "the third", "previous_response_id": second.json()["id"]});
    assert_eq!(create(&broker, third).await.status, 200);
    let alone = create(&broker, json!({"model": AGENT, "input": "by itself"})).await;
    assert_eq!(alone.status, 200);
    let prompts = stage.until_prompts(4).await;
    let resumes: Vec<bool> = prompts
        .iter()
        .map(|prompt| prompt.contains("--resume thread-1"))
        .collect();
    assert_eq!(resumes, [false, true, true, false], "{prompts:?}");
    assert!(prompts[1].contains("the new one") && !prompts[1].contains("the old question"));
}

#[actix_web::test]
async fn what_is_unknown_or_anothers_cannot_be_gone_on_from_or_read() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions(CALLERS)).await;
    let ask = json!({"model": AGENT, "input": "Hello."});
    let of_alice = by(&broker, "alice", "POST", "/v1/responses", &ask).await;
    let id = of_alice.json()["id"].as_str().unwrap().to_owned();
    for previous in [
        id.as_str(),
        "resp_0",
        "resp_01890a5dac96774bbcceb302099a8057",
    ] {
        let body = json!({"model": AGENT, "input": "Go on.", "previous_response_id": previous});
        let refused = by(&broker, "bob", "POST", "/v1/responses", &body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert_eq!(code(&refused), "previous_response_not_found");
        assert_eq!(refused.json()["error"]["param"], "previous_response_id");
    }
    let path = format!("/v1/responses/{id}");
    for (method, path) in [
        ("GET", path.clone()),
        ("GET", format!("{path}?stream=true")),
        ("GET", format!("{path}/input_items")),
        ("POST", format!("{path}/cancel")),
        ("DELETE", path.clone()),
    ] {
        let refused = by(&broker, "bob", method, &path, &json!({})).await;
        assert_eq!(refused.status, 404, "{method} {path}: {refused:?}");
    }
    assert_eq!(
        by(&broker, "alice", "GET", &path, &json!({})).await.status,
        200
    );
    assert_eq!(broker.get(&path).await.status, 200, "operators see all");
    assert_eq!(stage.prompts().len(), 1);
}

#[actix_web::test]
async fn what_is_not_to_be_stored_cannot_be_read_or_gone_on_from() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent_with_sessions("")).await;
    let answer = create(
        &broker,
        json!({"model": AGENT, "input": "Hello.", "store": false}),
    )
    .await;
    assert_eq!(output_text(&answer.json()), "the answer");
    assert_eq!(answer.json()["store"], false);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(broker.get(&format!("/v1/responses/{id}")).await.status, 404);
    let body = json!({"model": AGENT, "input": "Go on.", "previous_response_id": id});
    assert_eq!(
        code(&create(&broker, body).await),
        "previous_response_not_found"
    );
}

#[actix_web::test]
async fn a_deleted_response_is_gone_and_its_turn_has_ended() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let id = broker.ask_later("Hello.", "alice").await;
    stage.until_prompts(1).await;
    let path = format!("/v1/responses/{id}");
    let deleted = broker.delete(&path).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    assert_eq!(
        deleted.json(),
        json!({"id": id, "object": "response", "deleted": true})
    );
    expect_none(&stage.setting());
    assert_eq!(broker.turn_states().await, ["cancelled"]);
    assert_eq!(broker.get(&path).await.status, 404);
    assert_eq!(broker.delete(&path).await.status, 404);
    stage.open();
    let id = broker.ask_later("Hello again.", "alice").await;
    broker.until_ended(&id).await;
    let path = format!("/v1/responses/{id}");
    assert_eq!(broker.delete(&path).await.status, 200);
    assert_eq!(broker.get(&path).await.status, 404);
}

#[actix_web::test]
async fn cancelling_twice_is_cancelling_once() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let id = broker.ask_later("Hello.", "alice").await;
    stage.until_prompts(1).await;
    let path = format!("/v1/responses/{id}/cancel");
    let (one, other) = tokio::join!(broker.post(&path, "", &[]), broker.post(&path, "", &[]));
    for answer in [one, other, broker.post(&path, "", &[]).await] {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["status"], "cancelled");
    }
    stage.open();
    let id = broker.ask_later("Hello.", "alice").await;
    broker.until_ended(&id).await;
    let late = broker
        .post(&format!("/v1/responses/{id}/cancel"), "", &[])
        .await;
    assert_eq!(late.json()["status"], "completed", "{late:?}");
}

#[actix_web::test]
async fn the_mailbox_keeps_responses_as_it_keeps_chats() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let answer = create(&broker, json!({"model": "gpt-x", "input": "Hello, box."})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["status"], "completed");
    assert_eq!(output_text(&answer.json()), "");
    let items = broker.until_items(1).await;
    assert!(items[0].to_string().contains("Hello, box."), "{items:?}");
    let stage = Stage::new();
    let script = stage.script("answers.sh", &format!("{KEEP_PROMPT}echo hi\n"));
    let toml = stage.agent_toml(&script, "[mailbox]\ninbox = \"{inbox}\"\n");
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let answer = create(&broker, json!({"model": "gpt-x", "input": "Hello, box."})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    broker.until_items(1).await;
    assert!(stage.prompts().is_empty());
}
