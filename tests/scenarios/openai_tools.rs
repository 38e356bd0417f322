//! What a client asks for beside its messages: unchanged to a backend, checked for an agent.

use serde_json::json;

use crate::support::{
    agents::{AGENT, Stage},
    backend::{ScriptedBackend, completion, json_answer},
    broker::{Broker, BrokerOptions},
    client::chat,
};

#[actix_web::test]
async fn tools_sampling_and_unknown_fields_reach_the_backend_as_they_were_written() {
    let backend =
        ScriptedBackend::start_with(|_, _| json_answer("200 OK", &completion("Yes."))).await;
    let toml = format!(
        "[mailbox]\ninbox = \"{{inbox}}\"\n[backend]\nurl = \"{}\"\n",
        backend.url()
    );
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let tool = json!({"type": "function", "function": {"name": "tide", "strict": true,
        "parameters": {"type": "object", "properties": {"pier": {"enum": ["n", "s"]}}, "$defs": {}}}});
    let body = json!({
        "model": "harbour/large",
        "messages": [
            {"role": "user", "content": "Tides?", "name": "bo"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "tide", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "tide", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "high"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "low"}]}],
        "tools": [tool, {"type": "harbour_search", "depth": 3}],
        "tool_choice": {"type": "function", "function": {"name": "tide"}},
        "parallel_tool_calls": true, "temperature": 9, "n": 3, "logit_bias": {"50256": -100},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "user": "bo", "metadata": {"k": "v"}, "store": false, "brand_new": {"a": [1.50, null]},
    });
    assert_eq!(broker.chat(&body).await.status, 200);
    assert_eq!(backend.asked()[0].body, body);
}

#[actix_web::test]
async fn an_agents_door_names_the_field_its_limit_and_what_came() {
    let stage = Stage::new();
    let command = stage.script("never.sh", "echo begun > \"$STAGE/begun\"\n");
    let broker = Broker::start(stage.agent(&command, "")).await;
    let named = json!({"model": AGENT});
    for (fields, param, words) in [
        (
            json!({"temperature": 3}),
            "temperature",
            "between 0 and 2, got 3",
        ),
        (
            json!({"top_p": "1"}),
            "top_p",
            "between 0 and 1, got the string `1`",
        ),
        (json!({"max_tokens": 0}), "max_tokens", "at least 1, got 0"),
        (json!({"stop": [""]}), "stop", "at most 4"),
        (json!({"stream": "yes"}), "stream", "true or false"),
        (
            json!({"tools": [{"type": "function"}]}),
            "tools[0].function",
            "is missing",
        ),
        (json!({"tools": [null]}), "tools[0]", "an object, got null"),
        (
            json!({"tool_choice": "required"}),
            "tool_choice",
            "no `tools`",
        ),
        (json!({"tool_choice": {}}), "tool_choice.type", "is missing"),
        (json!({"logit_bias": []}), "logit_bias", "an object"),
        (
            json!({"messages": [{"role": "root", "content": ""}]}),
            "messages[0].role",
            "`user`",
        ),
        (
            json!({"messages": [{"role": "user", "content": 5}]}),
            "messages[0].content",
            "got 5",
        ),
        (
            json!({"metadata": {"a": 1}}),
            "metadata.a",
            "a string, got 1",
        ),
    ] {
        let mut body = chat("hi", named.clone());
        let more = fields.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let answer = broker.chat(&body).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, 400, "{fields}: {error}");
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["param"], param, "{fields}: {error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{fields}: {message}");
    }
    assert!(!stage.path("begun").exists());
}

#[actix_web::test]
async fn the_mailbox_takes_what_an_agent_would_refuse() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let body = json!({"messages": 5, "temperature": "hot", "tools": [null], "stop": {}});
    assert_eq!(broker.chat(&body).await.status, 200);
    broker.until_items(1).await;
}
