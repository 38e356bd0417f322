//! Requests for an agent that are refused at the door: no turn is spent on them.

use serde_json::{Value, json};

use crate::support::{
    agents::{AGENT, Stage},
    broker::{Broker, BrokerOptions},
};

fn with(mut body: Value, fields: &Value) -> Value {
    let object = body.as_object_mut().unwrap();
    object.extend(fields.as_object().unwrap().clone());
    body
}

#[actix_web::test]
async fn a_response_that_cannot_be_is_refused_with_the_field_at_fault() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    for (fields, param) in [
        (json!({"input": null}), "input"),
        (json!({"input": ""}), "input"),
        (json!({"input": " \n"}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": 7}), "input"),
        (json!({"instructions": 7}), "instructions"),
        (json!({"stream": "yes"}), "stream"),
        (json!({"background": 1}), "background"),
        (json!({"background": true, "store": false}), "background"),
        (json!({"store": "no"}), "store"),
        (json!({"temperature": 3}), "temperature"),
        (json!({"top_p": -0.1}), "top_p"),
        (json!({"max_output_tokens": 0}), "max_output_tokens"),
        (json!({"metadata": {"n": 1}}), "metadata.n"),
        (json!({"previous_response_id": 9}), "previous_response_id"),
        (json!({"tools": "none"}), "tools"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"truncation": "most"}), "truncation"),
    ] {
        let body = with(json!({"model": AGENT, "input": "Hello."}), &fields);
        let refused = broker.post("/v1/responses", body.to_string(), &[]).await;
        assert_eq!(refused.status, 400, "{fields}: {refused:?}");
        let error = refused.json()["error"].clone();
        assert_eq!(error["param"], param, "{fields}: {error}");
        assert_eq!(error["type"], "invalid_request_error", "{error}");
    }
    assert_eq!(broker.turn_states().await, [""; 0]);
}

#[actix_web::test]
async fn a_chat_that_cannot_be_is_refused_with_the_field_at_fault() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    for (fields, param) in [
        (json!({"messages": null}), "messages"),
        (json!({"messages": []}), "messages"),
        (
            json!({"messages": [{"role": "user", "content": " "}]}),
            "messages",
        ),
        (
            json!({"messages": [{"role": "king", "content": "x"}]}),
            "messages[0].role",
        ),
        (json!({"messages": [7]}), "messages[0]"),
        (json!({"n": 2}), "n"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"stream": 1}), "stream"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop"),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].function",
        ),
        (
            json!({"response_format": {"type": "xml"}}),
            "response_format.type",
        ),
        (json!({"stream_options": []}), "stream_options"),
    ] {
        let messages = json!([{"role": "user", "content": "Hello."}]);
        let body = with(json!({"model": AGENT, "messages": messages}), &fields);
        let refused = broker.chat(&body).await;
        assert_eq!(refused.status, 400, "{fields}: {refused:?}");
        let error = refused.json()["error"].clone();
        assert_eq!(error["param"], param, "{fields}: {error}");
    }
    assert_eq!(broker.turn_states().await, [""; 0]);
}

#[actix_web::test]
async fn what_is_no_object_or_too_large_is_refused() {
    let stage = Stage::new();
    let toml = stage.agent_toml(&stage.gated_script(), "[limits]\nbody = \"4KiB\"\n");
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let headers = [("x-openclaw-agent-id", AGENT)];
    for body in ["", "{", "[1]", "7", "null"] {
        let refused = broker.post("/v1/responses", body, &headers).await;
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert!(refused.json()["error"]["message"].is_string());
    }
    let body = json!({"model": AGENT, "input": "x".repeat(5000)});
    let refused = broker.post("/v1/responses", body.to_string(), &[]).await;
    assert_eq!(refused.status, 413, "{refused:?}");
    assert_eq!(broker.turn_states().await, [""; 0]);
}
