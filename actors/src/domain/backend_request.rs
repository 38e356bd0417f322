//! The request as a backend gets it: another model, a system message in front, the rest as it was.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::ids::{AgentId, ContextId};

/// What becomes of the request's `model`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelRule<'a> {
    /// It stays, or stays absent.
    Keep,
    /// It is this one.
    Use(&'a str),
    /// It is left out: no name that the backend knows is at hand.
    Remove,
}

/// Whether a client's model is one that a backend may be asked for.
///
/// `local-agent`, `openclaw…`, `agent:…` and agents' names mean something here and nothing there.
pub fn may_go_upstream(model: &str, agents: &[AgentId]) -> bool {
    let model = model.trim().to_ascii_lowercase();
    let is_ours = model.is_empty()
        || model == "local-agent"
        || model.starts_with("openclaw")
        || model.starts_with("agent:")
        || agents.iter().any(|agent| agent.as_str() == model);
    !is_ours
}

/// Makes the body for a backend.
///
/// Where nothing changes, and where the body is not an object, the result shares the bytes that
/// came in. Else the values that do not change are copied as text, never taken apart. A system
/// message is put in front of `messages` only where there is an instruction; it then also names
/// the conversation.
pub fn build_backend_body(
    body: &Bytes,
    model: ModelRule<'_>,
    instruction: Option<&str>,
    context_id: Option<&ContextId>,
) -> Bytes {
    let instruction = instruction.filter(|text| !text.trim().is_empty());
    if model == ModelRule::Keep && instruction.is_none() {
        return body.clone();
    }
    let Ok(Fields(fields)) = serde_json::from_slice(body) else {
        return body.clone();
    };
    let system = instruction.map(|text| system_message(text, context_id));
    let mut object =
        ObjectText::with_capacity(body.len() + system.as_ref().map_or(64, String::len));
    if let ModelRule::Use(name) = model {
        object.push("model", &quoted(name));
    }
    for (key, value) in &fields {
        match (key.as_str(), &system) {
            ("model", _) if model != ModelRule::Keep => {}
            ("messages", Some(system)) => object.push(key, &put_in_front(system, value.get())),
            _ => object.push(key, value.get()),
        }
    }
    object.finish()
}

fn system_message(instruction: &str, context_id: Option<&ContextId>) -> String {
    let content = match context_id {
        Some(context_id) => format!("Context id: {context_id}\n\n{instruction}"),
        None => instruction.to_owned(),
    };
    format!(r#"{{"role":"system","content":{}}}"#, quoted(&content))
}

/// Adds an item at the front of a JSON array's text; anything but an array stays as it is.
fn put_in_front(item: &str, array: &str) -> String {
    match array.strip_prefix('[') {
        None => array.to_owned(),
        Some(rest) if rest.trim_start().starts_with(']') => format!("[{item}{rest}"),
        Some(rest) => format!("[{item},{rest}"),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The text of an object under construction.
struct ObjectText(String);

impl ObjectText {
    fn with_capacity(capacity: usize) -> Self {
        let mut text = String::with_capacity(capacity);
        text.push('{');
        Self(text)
    }

    fn push(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(key));
        self.0.push(':');
        self.0.push_str(value);
    }

    fn finish(mut self) -> Bytes {
        self.0.push('}');
        self.0.into()
    }
}

/// An object's fields in their order, values as text.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor).map(Fields)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(body: &'static str, model: ModelRule<'_>, instruction: Option<&str>) -> String {
        let context = ContextId::new("irc:\"bob\"");
        let body = Bytes::from_static(body.as_bytes());
        let built = build_backend_body(&body, model, instruction, Some(&context));
        String::from_utf8(built.to_vec()).unwrap()
    }

    #[test]
    fn an_unchanged_body_is_not_copied() {
        let body = Bytes::from_static(br#"{"model":"m"}"#);
        let built = build_backend_body(&body, ModelRule::Keep, Some(" "), None);
        assert_eq!(built.as_ptr(), body.as_ptr());
    }

    #[test]
    fn the_model_is_replaced_set_or_left_out() {
        for (body, rule, expected) in [
            (
                r#"{"a":1.50,"model":"x"}"#,
                ModelRule::Use("m"),
                r#"{"model":"m","a":1.50}"#,
            ),
            (
                r#"{"model":"x","model":2}"#,
                ModelRule::Use("m\""),
                r#"{"model":"m\""}"#,
            ),
            ("{}", ModelRule::Use("m"), r#"{"model":"m"}"#),
            (
                r#"{"a" : [ 1e999 ], "model":"x"}"#,
                ModelRule::Remove,
                r#"{"a":[ 1e999 ]}"#,
            ),
            (r"[1]", ModelRule::Use("m"), "[1]"),
            (r#""text""#, ModelRule::Use("m"), r#""text""#),
        ] {
            assert_eq!(built(body, rule, None), expected, "{body}");
        }
    }

    #[test]
    fn an_instruction_goes_in_front_with_the_conversation_and_the_rest_stays_as_text() {
        let system = r#"{"role":"system","content":"Context id: irc:\"bob\"\n\nBe brief."}"#;
        for (body, expected) in [
            (
                r#"{"messages": [ {"role":"user","content":"\u00e9"} ],"n":1.0}"#,
                format!(
                    r#"{{"messages":[{system}, {{"role":"user","content":"\u00e9"}} ],"n":1.0}}"#
                ),
            ),
            (
                r#"{"messages":[ ]}"#,
                format!(r#"{{"messages":[{system} ]}}"#),
            ),
            (r#"{"messages":"x"}"#, r#"{"messages":"x"}"#.to_owned()),
            ("{}", "{}".to_owned()),
        ] {
            let body = built(body, ModelRule::Keep, Some("Be brief."));
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn names_of_ours_never_go_upstream() {
        let agents = [AgentId::parse("manager").unwrap()];
        for ours in [
            "local-agent",
            "openclaw",
            "OpenClaw/main",
            "openclaw:x",
            "agent:x",
            "manager",
            "Manager",
            "",
            " ",
        ] {
            assert!(!may_go_upstream(ours, &agents), "{ours}");
        }
        for theirs in ["gpt-5.4-nano", "provider/openclaw", "manager2"] {
            assert!(may_go_upstream(theirs, &agents), "{theirs}");
        }
    }
}
