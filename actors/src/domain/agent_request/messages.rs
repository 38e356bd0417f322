//! `messages` of a chat, `input` of a response.

use serde_json::Value;

use super::{
    RequestFault,
    fields::{Fields, Path},
};

const CHAT_ROLES: [&str; 6] = [
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "function",
];

const INPUT_ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

/// A chat's messages: objects with a known role, and content that can be read.
pub(super) fn check_messages(fields: Fields<'_>) -> Result<(), RequestFault> {
    let messages = fields
        .array("messages")?
        .ok_or_else(|| fields.missing("messages", "an array of messages"))?;
    not_empty("messages", messages)?;
    for (index, message) in messages.iter().enumerate() {
        let message = Fields::at(Path::Element("messages", index), message)?;
        message.required_one_of("role", &CHAT_ROLES)?;
        check_content(message)?;
        message.array("tool_calls")?;
    }
    Ok(())
}

/// A response's input: a text, or items.
pub(super) fn check_input(fields: Fields<'_>) -> Result<(), RequestFault> {
    let items = match fields.get("input") {
        None => return Err(fields.missing("input", "a string or an array of items")),
        Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(fields.wrong("input", "a string or an array of items", other)),
    };
    not_empty("input", items)?;
    for (index, item) in items.iter().enumerate() {
        check_item(Fields::at(Path::Element("input", index), item)?)?;
    }
    Ok(())
}

fn check_item(item: Fields<'_>) -> Result<(), RequestFault> {
    match item.string("type")? {
        None | Some("message") => {
            item.required_one_of("role", &INPUT_ROLES)?;
            check_content(item)
        }
        Some("function_call_output") => {
            if item.string("call_id")?.is_none() {
                return Err(item.missing("call_id", "the id of the call"));
            }
            match item.get("output") {
                Some(Value::String(_) | Value::Array(_)) => Ok(()),
                Some(other) => Err(item.wrong("output", "a string or an array of parts", other)),
                None => Err(item.missing("output", "a string or an array of parts")),
            }
        }
        Some(_) => Ok(()),
    }
}

/// Content is a text or parts with a type; an assistant that only calls tools has none.
fn check_content(message: Fields<'_>) -> Result<(), RequestFault> {
    match message.get("content") {
        None | Some(Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) => {
            let is_typed = |part: &Value| part.get("type").is_some_and(Value::is_string);
            match parts.iter().find(|part| !is_typed(part)) {
                Some(part) => {
                    let expected = "a string or an array of objects with a `type`";
                    Err(message.wrong("content", expected, part))
                }
                None => Ok(()),
            }
        }
        Some(other) => Err(message.wrong("content", "a string or an array of parts", other)),
    }
}

fn not_empty(param: &str, list: &[Value]) -> Result<(), RequestFault> {
    if list.is_empty() {
        let expected = "an array with at least one element";
        return Err(RequestFault::invalid(param, expected, "an empty array"));
    }
    Ok(())
}
