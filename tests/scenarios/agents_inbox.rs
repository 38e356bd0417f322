//! Agents whose tasks are delivered as files, and the answers that come by `/agent-reply`.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, Stage, output_text},
    broker::{Broker, BrokerOptions, inbox_files, read_item},
    client::{Answer, chat},
    wait::until,
};

/// A key of the agent, one of another agent, and one of a client.
const KEYS: &str = "[keys.own]\nkey = \"the-key-of-the-agent\"\nrole = \"agent\"\nagent = \"coder\"\n\
                    [keys.other]\nkey = \"the-key-of-another\"\nrole = \"agent\"\nagent = \"writer\"\n\
                    [keys.ci]\nkey = \"the-key-of-a-client\"\nrole = \"client\"\n\
                    [agents.writer]\ncli = \"true\"\ndialect = \"command\"\n";

fn by_inbox(stage: &Stage) -> BrokerOptions {
    let settings = format!("delivery = \"inbox\"\non_disconnect = \"cancel\"\n{KEYS}");
    stage.agent("true", &settings)
}

fn workspace_inbox(broker: &Broker) -> PathBuf {
    broker.folder().join(AGENT).join("inbox")
}

async fn until_files(broker: &Broker, count: usize) -> Vec<Value> {
    let what = format!("{count} files in the inbox of the agent");
    let files = || inbox_files(&workspace_inbox(broker));
    let files = until(&what, files, |files| files.len() == count).await;
    files.iter().map(|path| read_item(path)).collect()
}

async fn reply(broker: &Broker, key: &str, body: Value) -> Answer {
    let key = format!("Bearer {key}");
    let headers = [
        ("authorization", key.as_str()),
        ("content-type", "application/json"),
    ];
    broker
        .send("POST", "/agent-reply", body.to_string(), &headers)
        .await
}

#[actix_web::test]
async fn a_chat_is_a_file_in_the_workspace_and_an_empty_answer() {
    let stage = Stage::new();
    let broker = Broker::start(by_inbox(&stage)).await;
    let answer = broker.ask("Mind the gap.", "alice").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.content(), "");
    let files = until_files(&broker, 1).await;
    let id = answer.header("x-postroom-message-id").unwrap();
    assert_eq!(files[0]["task_id"], id, "{files:?}");
    assert_eq!(files[0]["latest-user-prompt"], "Mind the gap.");
    let streamed = chat("And the step.", json!({"model": AGENT, "stream": true}));
    let streamed = broker.chat(&streamed).await;
    assert_eq!(streamed.events().last(), Some(&"[DONE]"), "{streamed:?}");
    until_files(&broker, 2).await;
    assert!(broker.inbox_items().is_empty());
}

#[actix_web::test]
async fn a_response_that_somebody_waits_for_has_ended_with_nothing_and_stays_so() {
    let stage = Stage::new();
    let broker = Broker::start(by_inbox(&stage)).await;
    for is_streamed in [false, true] {
        let body = json!({"model": AGENT, "input": "Hello.", "stream": is_streamed});
        let answer = broker.post("/v1/responses", body.to_string(), &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let response = if is_streamed {
            let last: Value = serde_json::from_str(answer.events().last().unwrap()).unwrap();
            last["response"].clone()
        } else {
            answer.json()
        };
        assert_eq!(response["status"], "completed", "{response}");
        assert_eq!(response["background"], false, "{response}");
        assert_eq!(output_text(&response), "");
        let id = response["id"].as_str().unwrap();
        assert_eq!(broker.response(id).await, response);
        let late = json!({"task_id": id, "data": "too late"});
        let late = reply(&broker, broker.key(), late).await;
        assert_eq!(late.json()["answered"], false, "{late:?}");
        assert_eq!(broker.response(id).await, response);
    }
    until_files(&broker, 2).await;
}

#[actix_web::test]
async fn a_reply_answers_a_background_response_also_after_a_restart() {
    let stage = Stage::new();
    let broker = Broker::start_in(Arc::clone(stage.folder()), by_inbox(&stage)).await;
    let first = broker.ask_later("Hello.", "alice").await;
    let second = broker.ask_later("Hello again.", "alice").await;
    let files = until_files(&broker, 2).await;
    assert_eq!(broker.response(&first).await["status"], "in_progress");
    let task = files[0]["task_id"].clone();
    let answered = reply(
        &broker,
        "the-key-of-the-agent",
        json!({"task_id": task, "agent": AGENT, "event": "final", "data": {"text": "by hand"}}),
    )
    .await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.json()["ok"], true);
    assert_eq!(answered.json()["answered"], true);
    let response = broker.response(&first).await;
    assert_eq!(response["status"], "completed", "{response}");
    assert_eq!(output_text(&response), "by hand");
    let kept = answered.json()["id"].as_str().unwrap().to_owned();
    let kept = broker
        .folder()
        .join("agent_replies")
        .join(format!("{kept}.json"));
    assert_eq!(read_item(&kept)["data"]["text"], "by hand");

    let broker = broker.kill_and_restart().await;
    let follows = broker.follow_response(&second, None).await;
    let answered = reply(
        &broker,
        broker.key(),
        json!({"task_id": second, "data": "at last"}),
    )
    .await;
    assert_eq!(answered.json()["answered"], true, "{answered:?}");
    assert_eq!(output_text(&broker.response(&second).await), "at last");
    let events = follows.rest().await;
    assert_eq!(
        events.last().unwrap().json()["response"]["status"],
        "completed"
    );
    assert_eq!(
        until_files(&broker, 2).await,
        files,
        "nothing is delivered twice"
    );
}

#[actix_web::test]
async fn who_may_reply_for_whom() {
    let stage = Stage::new();
    let broker = Broker::start(by_inbox(&stage)).await;
    let id = broker.ask_later("Hello.", "alice").await;
    until_files(&broker, 1).await;
    let say = |agent: Option<&str>| json!({"task_id": id, "agent": agent, "data": "not mine"});
    for (key, agent, status) in [
        ("wrong", None, 401),
        ("turn_made-up", None, 401),
        ("the-key-of-a-client", None, 403),
        ("the-key-of-another", None, 403),
        ("the-key-of-another", Some("writer"), 403),
        ("the-key-of-another", Some(AGENT), 403),
        ("the-key-of-the-agent", Some("writer"), 403),
    ] {
        let refused = reply(&broker, key, say(agent)).await;
        assert_eq!(refused.status, status, "{key} {agent:?}: {refused:?}");
    }
    assert_eq!(broker.response(&id).await["status"], "in_progress");
    let replies = inbox_files(&broker.folder().join("agent_replies"));
    assert!(replies.is_empty(), "{replies:?}");
    let progress = json!({"task_id": id, "event": "progress", "data": "half way"});
    let kept = reply(&broker, "the-key-of-the-agent", progress).await;
    assert_eq!(kept.json()["answered"], false, "{kept:?}");
    let answered = reply(&broker, "the-key-of-the-agent", say(Some("Coder"))).await;
    assert_eq!(answered.json()["answered"], true, "{answered:?}");
}

#[actix_web::test]
async fn a_task_id_that_looks_like_a_path_is_a_label() {
    let stage = Stage::new();
    let broker = Broker::start(by_inbox(&stage)).await;
    for label in ["../../escaped", "/tmp/escaped", "a/../../b", "", "resp_1"] {
        let kept = reply(
            &broker,
            broker.key(),
            json!({"task_id": label, "data": "x"}),
        )
        .await;
        assert_eq!(kept.status, 200, "{label}: {kept:?}");
        assert_eq!(kept.json()["answered"], false);
        let id = kept.json()["id"].as_str().unwrap().to_owned();
        let path = broker
            .folder()
            .join("agent_replies")
            .join(format!("{id}.json"));
        assert_eq!(read_item(&path)["task_id"], label);
    }
    for body in ["", "[]", "{\"task_id\": 7}", "{\"agent\": \"../x\"}"] {
        let refused = broker.post("/agent-reply", body, &[]).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
    }
    let replies = inbox_files(&broker.folder().join("agent_replies"));
    assert_eq!(replies.len(), 5, "{replies:?}");
}
