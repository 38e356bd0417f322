//! The list of what a response was given.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{echo, to_text};
use crate::domain::task::NewTask;

/// Which part of the list is asked for.
#[derive(Debug, Clone, Copy)]
pub struct InputItemsQuery<'a> {
    /// Only what comes after the item of this id.
    pub after: Option<&'a str>,
    /// The most items, 1 to 100; default 20.
    pub limit: usize,
    /// Default: newest first.
    pub order: ItemOrder,
}

/// In which order items are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ItemOrder {
    /// As they were sent.
    Ascending,
    /// The last one first.
    #[default]
    Descending,
}

impl Default for InputItemsQuery<'_> {
    fn default() -> Self {
        Self {
            after: None,
            limit: 20,
            order: ItemOrder::default(),
        }
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: &'a [Value],
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

/// The input items of a response as a list object. An `after` that is no item gives none.
pub fn input_items(task: &NewTask, query: InputItemsQuery<'_>) -> String {
    let mut items = items_of(task);
    if query.order == ItemOrder::Descending {
        items.reverse();
    }
    let begin = match query.after {
        None => 0,
        Some(after) => match items.iter().position(|item| id_of(item) == Some(after)) {
            Some(at) => at + 1,
            None => items.len(),
        },
    };
    let rest = items.get(begin..).unwrap_or_default();
    let shown = rest.get(..query.limit.min(rest.len())).unwrap_or_default();
    to_text(&List {
        object: "list",
        data: shown,
        first_id: shown.first().and_then(id_of),
        last_id: shown.last().and_then(id_of),
        has_more: rest.len() > shown.len(),
    })
}

fn id_of(item: &Value) -> Option<&str> {
    item.get("id").and_then(Value::as_str)
}

fn items_of(task: &NewTask) -> Vec<Value> {
    let mut body = echo::body_of(&task.body);
    let given = match body.remove("input") {
        Some(Value::Array(items)) => items,
        Some(Value::String(text)) => vec![json!({"role": "user", "content": text})],
        _ => Vec::new(),
    };
    let id = task.id.as_uuid().as_simple().to_string();
    let numbered = given.into_iter().enumerate();
    let objects = numbered.filter_map(|(number, item)| match item {
        Value::Object(item) => Some(completed(item, &format!("{id}_{number}"))),
        _ => None,
    });
    objects.collect()
}

/// Adds what a client may leave out and a list must tell.
fn completed(mut item: Map<String, Value>, id: &str) -> Value {
    let kind = item.entry("type").or_insert_with(|| json!("message"));
    let is_message = kind.as_str() == Some("message");
    if is_message {
        let is_assistants = item.get("role").and_then(Value::as_str) == Some("assistant");
        if let Some(content) = item.get_mut("content") {
            in_parts(content, is_assistants);
        }
    }
    item.entry("status").or_insert_with(|| json!("completed"));
    let prefix = if is_message { "msg" } else { "item" };
    item.entry("id")
        .or_insert_with(|| json!(format!("{prefix}_{id}")));
    Value::Object(item)
}

fn in_parts(content: &mut Value, is_assistants: bool) {
    if let Value::String(text) = content {
        let text = std::mem::take(text);
        *content = if is_assistants {
            json!([{"type": "output_text", "text": text, "annotations": []}])
        } else {
            json!([{"type": "input_text", "text": text}])
        };
    }
}
