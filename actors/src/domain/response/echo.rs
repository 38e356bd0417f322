//! What a response repeats of its request.

use serde_json::{Map, Value, json};

/// The fields that are repeated as they came, or told as null.
const AS_GIVEN: [&str; 9] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "safety_identifier",
    "temperature",
    "top_p",
    "user",
];

/// A request's body as an object; what is none reads as empty.
pub(super) fn body_of(body: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// The repeated fields, each with the default of OpenAI's API where the request has none.
pub(super) fn of(mut body: Map<String, Value>) -> Map<String, Value> {
    let defaults = [
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(true)),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("store", json!(true)),
        ("text", json!({"format": {"type": "text"}})),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("top_logprobs", json!(0)),
        ("truncation", json!("disabled")),
    ];
    let as_given = AS_GIVEN.map(|name| (name, Value::Null));
    let mut echo = Map::new();
    for (name, default) in defaults.into_iter().chain(as_given) {
        let given = body.remove(name).filter(|value| !value.is_null());
        echo.insert(name.to_owned(), given.unwrap_or(default));
    }
    echo
}
