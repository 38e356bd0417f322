//! The model list, with and without a backend.

use serde_json::json;

use crate::support::{
    backend::{ScriptedBackend, json_answer},
    broker::{Broker, BrokerOptions},
};

#[actix_web::test]
async fn without_a_backend_there_is_the_mailbox_alone() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let list = broker.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    assert_eq!(list["data"][0]["id"], "local-agent");
    assert_eq!(list["data"][0]["owned_by"], "openclaw");
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        broker.get("/v1/models/local-agent").await.json(),
        list["data"][0]
    );
    let answer = broker.get("/v1/models/gpt-9").await;
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (404, Some("model_not_found"))
    );
}

#[actix_web::test]
async fn a_backends_list_is_passed_on_and_its_ids_may_hold_slashes() {
    let list = json!({"object": "list", "data": [
        {"id": "maker/model-a", "object": "model", "created": 5, "owned_by": "maker", "extra": true},
    ]});
    let backend = ScriptedBackend::start(json_answer("200 OK", &list)).await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    assert_eq!(broker.get("/v1/models").await.json(), list);
    for path in ["/v1/models/maker/model-a", "/v1/models/maker%2Fmodel-a"] {
        assert_eq!(broker.get(path).await.json(), list["data"][0], "{path}");
    }
    assert!(
        backend.asked()[0]
            .head
            .to_lowercase()
            .contains("authorization: bearer backend-key")
    );
}

#[actix_web::test]
async fn a_backend_that_fails_leaves_the_local_list() {
    let backend = ScriptedBackend::start(json_answer("500 Oops", &json!({}))).await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let list = broker.get("/v1/models").await;
    assert_eq!(
        (list.status, list.json()["data"][0]["id"].as_str()),
        (200, Some("local-agent"))
    );
}

#[actix_web::test]
async fn the_openapi_document_describes_what_is_served() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let document = broker.get("/openapi.json").await.json();
    for path in [
        "/v1/chat/completions",
        "/v1/models",
        "/v1/models/{id}",
        "/health",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
}
