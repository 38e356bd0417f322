//! `OpenAI`'s SDKs over what a backend does: embeddings, tools, models with slashes, errors.

use serde_json::{Value, json};

use crate::support::{
    backend::{Asked, ScriptedBackend, Step, json_answer, stream_head},
    broker::{Broker, BrokerOptions},
    tools::{Client, ClientResult, tools_folder},
};

const SECTIONS: [&str; 4] = ["embeddings", "tools", "slashes", "backend-errors"];

fn harbour(asked: &Asked) -> Vec<Step> {
    let line = asked.head.lines().next().unwrap();
    if line.starts_with("GET /v1/models ") {
        let model = |id| json!({"id": id, "object": "model", "created": 5, "owned_by": "harbour"});
        let models = ["harbour/large", "harbour/small/v2"].map(model);
        json_answer("200 OK", &json!({"object": "list", "data": models}))
    } else if line.starts_with("POST /v1/embeddings ") {
        embeddings(&asked.body)
    } else if asked.body["stream"] == true {
        let choice = json!({"index": 0, "delta": {"role": "assistant", "tool_calls": calls()}, "finish_reason": null});
        let end = json!({"index": 0, "delta": {}, "finish_reason": "tool_calls"});
        let chunks = [choice, end]
            .map(|choice| format!("data: {}\n\n", completion("chat.completion.chunk", &choice)));
        let text = chunks.concat() + "data: [DONE]\n\n";
        vec![stream_head(), Step::Send(text.into_bytes())]
    } else {
        let message = json!({"role": "assistant", "content": null, "tool_calls": calls()});
        let choice = json!({"index": 0, "message": message, "finish_reason": "tool_calls"});
        json_answer("200 OK", &completion("chat.completion", &choice))
    }
}

fn completion(object: &str, choice: &Value) -> Value {
    json!({"id": "chatcmpl-h", "object": object, "created": 5, "model": "harbour/large", "choices": [choice]})
}

fn calls() -> Value {
    let call = |index: usize| {
        json!({"index": index, "id": format!("call-{index}"), "type": "function",
            "function": {"name": "tide", "arguments": "{\"pier\":\"north\"}"}})
    };
    json!([call(0), call(1)])
}

/// Numbers, whatever was asked for.
fn embeddings(body: &Value) -> Vec<Step> {
    let status = match body["model"].as_str().unwrap() {
        "harbour-bad" => "400 Bad Request",
        "harbour-none" => "404 Not Found",
        "harbour-long" => "422 Unprocessable Entity",
        "harbour-busy" => "429 Too Many Requests",
        "harbour-ill" => "500 Internal Server Error",
        _ => {
            let vector = |index: usize, vector: Value| json!({"object": "embedding", "index": index, "embedding": vector});
            let data = [
                vector(0, json!([0.5, -0.25, 2.0])),
                vector(1, json!([1, 0, -8])),
            ];
            let usage = json!({"prompt_tokens": 4, "total_tokens": 4});
            let list =
                json!({"object": "list", "data": data, "model": "harbour-vectors", "usage": usage});
            return json_answer("200 OK", &list);
        }
    };
    let error = json!({"error": {"message": "not at this pier", "type": "invalid_request_error"}});
    json_answer(status, &error)
}

async fn passes(client: Client) -> ClientResult {
    let backend = ScriptedBackend::start_with(|_, asked| harbour(asked)).await;
    let broker = Broker::start(BrokerOptions::with_backend(backend.url())).await;
    let result = client
        .option("--url", broker.url())
        .option("--key", broker.key())
        .arguments(SECTIONS)
        .passes_meanwhile()
        .await;
    let (status, _) = broker.stop().await;
    assert!(status.success(), "{status}");
    result
}

#[actix_web::test]
async fn the_python_sdk_has_embeddings_tools_models_with_slashes_and_a_backends_errors()
-> ClientResult {
    passes(Client::with_openai_python("openai_python.py")?).await
}

#[actix_web::test]
async fn the_javascript_sdk_has_embeddings_tools_models_with_slashes_and_a_backends_errors()
-> ClientResult {
    passes(Client::with_node("openai_js.mjs")?.option("--tools", tools_folder())).await
}
