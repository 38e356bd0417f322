//! What we add to an event stream: comments, an error, an end; and JSON turned into events.

use bytes::Bytes;
use postroom_actors::domain::reply_text::StreamPosition;
use serde_json::{Map, Value};

const DONE: &str = "data: [DONE]\n\n";

/// A comment for a silent stream; `None` where it would tear a line apart.
pub(super) fn keep_alive(position: StreamPosition) -> Option<Bytes> {
    match position {
        StreamPosition::BetweenEvents => Some(Bytes::from_static(b": keep-alive\n\n")),
        StreamPosition::BetweenLines => Some(Bytes::from_static(b": keep-alive\n")),
        StreamPosition::InsideLine => None,
    }
}

/// Ends whatever event is unfinished, then tells of the failure, then ends the stream.
pub(super) fn broken(position: StreamPosition) -> Bytes {
    let error = serde_json::json!({
        "status": "error",
        "error": {
            "message": "the backend's answer broke off; what came before is incomplete",
            "type": "internal_error",
            "code": "backend_stream_broken",
        },
    });
    let ended = match position {
        StreamPosition::BetweenEvents => "",
        StreamPosition::BetweenLines => "\n",
        StreamPosition::InsideLine => "\n\n",
    };
    format!("{ended}data: {error}\n\n{DONE}").into()
}

/// The end that a whole answer lacks.
pub(super) fn missing_end(position: StreamPosition) -> Bytes {
    match position {
        StreamPosition::BetweenEvents => Bytes::from_static(DONE.as_bytes()),
        _ => format!("\n\n{DONE}").into(),
    }
}

/// A completion that came as one JSON document, as a stream. `None`: it is no completion.
pub(super) fn from_completion(document: &[u8]) -> Option<Bytes> {
    let mut completion: Map<String, Value> = serde_json::from_slice(document).ok()?;
    let choices = completion.get_mut("choices")?.as_array_mut()?;
    choices.iter_mut().for_each(message_to_delta);
    completion.insert("object".into(), "chat.completion.chunk".into());
    let chunk = Value::Object(completion);
    Some(format!("data: {chunk}\n\n{DONE}").into())
}

fn message_to_delta(choice: &mut Value) {
    let Some(choice) = choice.as_object_mut() else {
        return;
    };
    let Some(mut delta) = choice.remove("message") else {
        return;
    };
    let calls = delta.get_mut("tool_calls").and_then(Value::as_array_mut);
    for (index, call) in calls.into_iter().flatten().enumerate() {
        if let Some(call) = call.as_object_mut() {
            call.insert("index".into(), index.into());
        }
    }
    choice.insert("delta".into(), delta);
}
