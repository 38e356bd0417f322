//! The beginning of what a message says, for a line of a list.

use serde_json::Value;

/// The longest excerpt, in characters.
pub const LONGEST: usize = 160;

/// Fields that hold the words of a payload, the likeliest first.
const WORDS: [&str; 8] = [
    "text",
    "message",
    "prompt",
    "task",
    "title",
    "summary",
    "description",
    "content",
];

/// What a body says, in one line: the payload of a message, the last words of a chat, the input of
/// a response. `None` where it says nothing that is understood.
pub fn of_body(body: &[u8]) -> Option<String> {
    words_of(body).as_deref().and_then(of_text)
}

/// The same, whole and as it came.
pub fn words_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let field = |name| body.get(name).filter(|value| !value.is_null());
    let last = |list: &Value| list.as_array()?.last().and_then(words);
    if let Some(payload) = field("payload") {
        return words(payload).or_else(|| Some(payload.to_string()));
    }
    if let Some(messages) = field("messages") {
        return last(messages);
    }
    let input = field("input")?;
    input.as_str().map(str::to_owned).or_else(|| last(input))
}

/// The beginning of a text, in one line; `None` for one without words.
pub fn of_text(text: &str) -> Option<String> {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        for character in word.chars() {
            if length == LONGEST {
                line.push('…');
                return Some(line);
            }
            line.push(character);
            length += 1;
        }
    }
    (!line.is_empty()).then_some(line)
}

/// A text, or that of the field or part that holds it.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => WORDS.iter().find_map(|name| words(fields.get(*name)?)),
        Value::Array(parts) => {
            let parts: Vec<String> = parts.iter().filter_map(words).collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Option<String> {
        of_body(body.as_bytes())
    }

    #[test]
    fn each_kind_of_body_is_told_by_its_own_words() {
        for (body, said) in [
            (
                r#"{"type":"TASK","payload":{"text":"look at\n this"}}"#,
                Some("look at this"),
            ),
            (
                r#"{"type":"TASK","payload":"as a text"}"#,
                Some("as a text"),
            ),
            (
                r#"{"type":"TASK","payload":{"count":7}}"#,
                Some(r#"{"count":7}"#),
            ),
            (
                r#"{"messages":[{"role":"user","content":"first"},{"role":"user","content":"last"}]}"#,
                Some("last"),
            ),
            (
                r#"{"messages":[{"content":[{"type":"text","text":"a"},{"type":"image"},{"type":"text","text":"b"}]}]}"#,
                Some("a b"),
            ),
            (r#"{"input":"plain"}"#, Some("plain")),
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"in parts"}]}]}"#,
                Some("in parts"),
            ),
            (r#"{"model":"x"}"#, None),
            (r#"{"payload":{"text":"  "}}"#, None),
            ("no json", None),
        ] {
            assert_eq!(of(body).as_deref(), said, "{body}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let said = of_text(&"ä".repeat(LONGEST + 1)).unwrap();
        assert_eq!(said.chars().count(), LONGEST + 1);
        assert!(said.ends_with("ä…"));
        let whole = "ä".repeat(LONGEST);
        assert_eq!(of_text(&whole), Some(whole));
    }
}
