//! `/agents` and `/turns` for operators: hiring and removing, and watching turns.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, KEEP_PROMPT, Stage, id_of},
    broker::{Broker, BrokerOptions},
    client::chat,
    events::names,
    processes::expect_none,
};

const CLIENT: &str = "[keys.ci]\nkey = \"the-key-of-a-client\"\nrole = \"client\"\n\
                      [keys.own]\nkey = \"the-key-of-the-agent\"\nrole = \"agent\"\nagent = \"coder\"\n";

/// No agent but what is hired; hired ones wait until the stage is open.
fn hirers_choice(stage: &Stage) -> BrokerOptions {
    let command = stage.gated_script();
    BrokerOptions::toml(format!(
        "[agents.defaults]\ncli = {command:?}\ndialect = \"command\"\nenv = {{ STAGE = {:?} }}\n",
        stage.folder().path().display().to_string()
    ))
}

async fn names_of_agents(broker: &Broker) -> Vec<String> {
    let agents = broker.fetch("/agents").await["agents"].clone();
    agents.as_array().unwrap().iter().map(id_of).collect()
}

#[actix_web::test]
async fn an_agent_is_hired_once_and_refused_where_it_cannot_be() {
    let stage = Stage::new();
    let broker = Broker::start(hirers_choice(&stage)).await;
    let hire = async |body: Value| broker.post("/agents", body.to_string(), &[]).await;
    let hired = hire(json!({"role": "Writer"})).await;
    assert_eq!(
        (hired.status, &hired.json()["created"]),
        (201, &json!(true))
    );
    let again = hire(json!({"role": "writer"})).await;
    assert_eq!(
        (again.status, &again.json()["created"]),
        (200, &json!(false))
    );
    assert_eq!(names_of_agents(&broker).await, ["writer"]);
    for (body, param) in [
        (json!({}), "role"),
        (json!({"id": "store"}), "id"),
        (json!({"id": "../x"}), "id"),
        (json!({"role": "cook", "cli": "unclosed 'quote"}), "cli"),
    ] {
        let refused = hire(body.clone()).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert_eq!(refused.json()["error"]["param"], param, "{refused:?}");
    }
    assert_eq!(names_of_agents(&broker).await, ["writer"]);
    let unknown = broker.get("/agents/nobody").await;
    assert_eq!(
        unknown.json()["error"]["code"],
        "agent_not_found",
        "{unknown:?}"
    );
}

#[actix_web::test]
async fn a_removed_agent_tells_who_waits_and_does_not_come_back() {
    let stage = Stage::new();
    let folder = Arc::clone(stage.folder());
    let broker = Broker::start_in(folder, hirers_choice(&stage)).await;
    for role in ["writer", "keeper"] {
        let body = json!({"role": role}).to_string();
        assert_eq!(broker.post("/agents", body, &[]).await.status, 201);
    }
    let ask = async |words: &str| {
        let body = json!({"model": "writer", "input": words, "user": "u", "background": true});
        let answer = broker.post("/v1/responses", body.to_string(), &[]).await;
        id_of(&answer.json())
    };
    let runs = ask("the opener").await;
    stage.until_prompts(1).await;
    let waits = ask("the one that waits").await;
    let stream = json!({"model": "writer", "user": "u", "stream": true});
    let reader = broker
        .follow(
            "POST",
            "/v1/chat/completions",
            chat("Hello.", stream).to_string(),
            &[],
        )
        .await;
    let removed = broker.delete("/agents/writer").await;
    assert_eq!((removed.status, &removed.json()["ok"]), (200, &json!(true)));
    expect_none(&stage.setting());
    let told = reader.rest().await;
    assert_eq!(told.last().unwrap().data, "[DONE]", "{told:?}");
    assert!(
        told[told.len() - 2].data.contains("agent_removed"),
        "{told:?}"
    );
    assert_eq!(broker.until_ended(&runs).await["status"], "cancelled");
    let failed = broker.until_ended(&waits).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    assert_eq!(failed["error"]["reason"], "agent_removed", "{failed}");
    for path in ["/agents/writer", "/v1/models/openclaw/writer"] {
        assert_eq!(broker.get(path).await.status, 404, "{path}");
    }
    assert_eq!(broker.delete("/agents/writer").await.status, 404);
    let gone = json!({"model": "openclaw/writer"});
    assert_eq!(broker.chat(&chat("Hello.", gone)).await.status, 404);
    let broker = broker.kill_and_restart().await;
    assert_eq!(names_of_agents(&broker).await, ["keeper"]);
    assert_eq!(broker.response(&waits).await["status"], "failed");
}

#[actix_web::test]
async fn agents_and_turns_are_for_operators() {
    let stage = Stage::new();
    stage.open();
    let broker = Broker::start(stage.agent(&stage.gated_script(), CLIENT)).await;
    broker.ask("Hello.", "alice").await;
    let turn = id_of(&broker.turns().await[0]);
    for key in ["the-key-of-a-client", "the-key-of-the-agent"] {
        for (method, path) in [
            ("GET", "/agents"),
            ("POST", "/agents"),
            ("GET", "/agents/coder"),
            ("DELETE", "/agents/coder"),
            ("POST", "/agents/coder/stop"),
            ("POST", "/agents/coder/start"),
            ("POST", "/agents/coder/resume"),
            ("GET", "/agents/coder/turns"),
            ("GET", &format!("/turns/{turn}")),
            ("DELETE", &format!("/turns/{turn}")),
            ("GET", &format!("/turns/{turn}/events")),
        ] {
            let key = format!("Bearer {key}");
            let headers = [("authorization", key.as_str())];
            let body = json!({"role": "spy"}).to_string();
            let refused = broker.send(method, path, body, &headers).await;
            assert_eq!(refused.status, 403, "{method} {path}: {refused:?}");
            assert!(refused.text.contains("operator"), "{refused:?}");
        }
    }
    assert_eq!(broker.agent().await["state"], "idle");
    assert_eq!(names_of_agents(&broker).await, ["coder"]);
}

#[actix_web::test]
async fn a_turn_is_watched_from_any_event_on_and_leaves_the_end_of_its_transcript() {
    let stage = Stage::new();
    let script = format!(
        "{KEEP_PROMPT}echo 'first words'\nwhile [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\necho 'last words'\n"
    );
    let broker = Broker::start(stage.agent(&stage.script("two-lines.sh", &script), "")).await;
    let response = broker.ask_later("Hello.", "alice").await;
    let turn = broker.until_turn_runs().await;
    let path = format!("/turns/{turn}/events");
    let mut watched = broker.follow("GET", &path, "", &[]).await;
    let begun = watched.until("said").await;
    assert_eq!(names(&begun), ["started", "said"]);
    assert!(begun[0].json()["pid"].is_u64(), "{begun:?}");
    let seen = begun[1].id.clone().unwrap();
    let after = broker
        .follow("GET", &path, "", &[("last-event-id", &seen)])
        .await;
    stage.open();
    let rest = after.rest().await;
    assert_eq!(watched.rest().await, rest);
    let exited = rest.last().unwrap();
    assert_eq!(exited.name.as_deref(), Some("exited"), "{rest:?}");
    assert_eq!(exited.json()["state"], "done");
    assert_eq!(exited.json()["exit_code"], 0);
    let said = rest
        .iter()
        .find(|event| event.name.as_deref() == Some("said"));
    assert_eq!(said.unwrap().json()["text"], "\nlast words");

    broker.until_ended(&response).await;
    let late = broker.follow("GET", &path, "", &[]).await.rest().await;
    assert_eq!(late.last().unwrap().json(), exited.json());
    let key = format!("Bearer {}", broker.key());
    let headers = [
        ("authorization", key.as_str()),
        ("last-event-id", exited.id.as_deref().unwrap()),
    ];
    let over = broker.send("GET", &path, String::new(), &headers).await;
    assert_eq!((over.status, over.text.as_str()), (204, ""));

    let shown = broker.fetch(&format!("/turns/{turn}")).await;
    assert_eq!(shown["state"], "done", "{shown}");
    let tail = shown["transcript_tail"].as_str().unwrap();
    assert!(tail.contains("last words"), "{shown}");
    let page = broker
        .fetch(&format!("/agents/{AGENT}/turns?limit=1"))
        .await;
    assert_eq!(page["has_more"], false, "{page}");
}
