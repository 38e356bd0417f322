//! What an agent may be asked for, and which endpoints there are.

use serde_json::{Value, json};

use crate::support::{
    backend::{ScriptedBackend, json_answer},
    broker::{Broker, BrokerOptions},
    client::Answer,
};

const BOUNDED: &str = "[agents.coder]\ncli = \"true\"\ndialect = \"command\"\ndelivery = \"inbox\"\nmodels = [\"harbour/large\", \"elsewhere\"]\n[agents.free]\ndelivery = \"inbox\"\n";

impl Broker {
    async fn get_as(&self, agent: &str, path: &str) -> Answer {
        let key = format!("Bearer {}", self.key());
        let headers = [
            ("authorization", key.as_str()),
            ("x-openclaw-agent-id", agent),
        ];
        self.send("GET", path, String::new(), &headers).await
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let models = list["data"].as_array().unwrap();
    models
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect()
}

#[actix_web::test]
async fn an_agent_shows_those_of_the_backends_models_that_it_may_be_asked_for() {
    let list = json!({"object": "list", "data": [
        {"id": "harbour/small", "object": "model", "created": 5, "owned_by": "h"},
        {"id": "harbour/large", "object": "model", "created": 5, "owned_by": "h", "extra": 1},
    ]});
    let backend = ScriptedBackend::start(json_answer("200 OK", &list)).await;
    let toml = format!("{BOUNDED}[backend]\nurl = \"{}\"\n", backend.url());
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let shown = broker.get_as("coder", "/v1/models").await.json();
    assert_eq!(shown, json!({"object": "list", "data": [list["data"][1]]}));
    for path in [
        "/v1/models/harbour/large",
        "/v1/models/harbour%2Flarge",
        "/v1/models/harbour%2flarge",
    ] {
        assert_eq!(
            broker.get_as("coder", path).await.json(),
            list["data"][1],
            "{path}"
        );
        assert_eq!(broker.get(path).await.json(), list["data"][1], "{path}");
    }
    for path in [
        "/v1/models/harbour/small",
        "/v1/models/elsewhere",
        "/v1/models/local-agent",
    ] {
        let answer = broker.get_as("coder", path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"]["code"], "model_not_found");
    }
    assert_eq!(broker.get_as("free", "/v1/models").await.json(), list);
    assert_eq!(broker.get("/v1/models").await.json(), list);
    let unknown = broker.get_as("nobody", "/v1/models").await;
    assert_eq!(
        (unknown.status, unknown.json()["error"]["code"].as_str()),
        (404, Some("model_not_found"))
    );
}

#[actix_web::test]
async fn without_a_backend_an_agents_models_are_those_of_its_configuration() {
    let broker = Broker::start(BrokerOptions::toml(BOUNDED)).await;
    let shown = broker.get_as("coder", "/v1/models").await.json();
    assert_eq!(ids(&shown), ["harbour/large", "elsewhere"]);
    let shown = broker.get_as("free", "/v1/models").await.json();
    assert_eq!(ids(&shown), ["local-agent"]);
}

#[actix_web::test]
async fn an_agent_is_not_asked_for_models_that_it_is_not_to_have() {
    let broker = Broker::start(BrokerOptions::toml(BOUNDED)).await;
    let chat = json!({"messages": [{"role": "user", "content": "hi"}]});
    for (path, body) in [
        ("/v1/chat/completions", chat),
        ("/v1/responses", json!({"input": "hi"})),
    ] {
        for (agent, model, status) in [
            ("coder", json!("harbour/large"), 200),
            ("coder", json!("harbour/small"), 404),
            ("coder", json!("HARBOUR/large"), 404),
            ("coder", json!("openclaw"), 200),
            ("coder", json!("openclaw/coder"), 200),
            ("coder", json!("Agent:coder"), 200),
            ("coder", json!("coder"), 200),
            ("coder", json!("local-agent"), 200),
            ("coder", json!(null), 200),
            ("free", json!("harbour/small"), 200),
        ] {
            let mut body = body.clone();
            body["model"] = model.clone();
            let headers = [("x-openclaw-agent", agent)];
            let answer = broker.post(path, body.to_string(), &headers).await;
            assert_eq!(answer.status, status, "{path} {agent} {model}: {answer:?}");
            if status == 404 {
                let error = &answer.json()["error"];
                assert_eq!(
                    (&error["code"], &error["param"]),
                    (&json!("model_not_found"), &json!("model"))
                );
                assert!(
                    error["message"].as_str().unwrap().contains("`elsewhere`"),
                    "{error}"
                );
            }
        }
    }
}

#[actix_web::test]
async fn what_is_switched_off_is_not_there() {
    let paths = [
        ("chat_completions", "POST", "/v1/chat/completions"),
        ("responses", "POST", "/v1/responses"),
        ("responses", "GET", "/v1/responses/resp_1/input_items"),
        ("models", "GET", "/v1/models"),
        ("models", "GET", "/v1/models/local-agent"),
        ("embeddings", "POST", "/v1/embeddings"),
        ("messages", "POST", "/message"),
        ("messages", "POST", "/send"),
        ("messages", "GET", "/dead-letters"),
    ];
    for off in [
        "chat_completions",
        "responses",
        "models",
        "embeddings",
        "messages",
    ] {
        let toml = format!("[endpoints]\n{off} = false\n");
        let broker = Broker::start(BrokerOptions::toml(toml)).await;
        let document = broker.get("/openapi.json").await.json();
        for (switch, verb, path) in paths {
            let key = format!("Bearer {}", broker.key());
            let headers = [("authorization", key.as_str())];
            let answer = broker.send(verb, path, "{}".to_owned(), &headers).await;
            let is_gone = answer.status == 404 && answer.text.contains("no such path");
            assert_eq!(is_gone, switch == off, "{off}: {verb} {path}: {answer:?}");
            if !path.contains("resp_1") && !path.contains("local-agent") {
                let is_shown = document["paths"].get(path).is_some();
                assert_eq!(is_shown, switch != off, "{off}: {path}");
            }
        }
    }
}
