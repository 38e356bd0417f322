//! The content of a message as text.

use std::borrow::Cow;

use crate::domain::request::document::{Item, Kind};

/// The text of a message's content. What is no text is named, because the reader does not see it.
pub(super) fn text_of(content: Option<Item<'_, '_>>) -> String {
    let Some(content) = content else {
        return String::new();
    };
    match content.kind() {
        Kind::Array => {
            let parts: Vec<String> = content.elements().filter_map(part).collect();
            parts.join("\n")
        }
        _ => content.text().unwrap_or_default().into_owned(),
    }
}

/// The text of a tool's result, which may be any JSON.
pub(super) fn text_of_result(output: Option<Item<'_, '_>>) -> String {
    match output {
        Some(output) if matches!(output.kind(), Kind::Object | Kind::Number) => {
            output.raw().to_owned()
        }
        other => text_of(other),
    }
}

/// A field, where it is a string that is not blank.
pub(super) fn field(object: Item<'_, '_>, key: &str) -> Option<String> {
    let text = object.get(key)?.text()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn part(part: Item<'_, '_>) -> Option<String> {
    if let Some(text) = part.text() {
        return Some(text.into_owned());
    }
    let kind = field(part, "type")?;
    let said = |key| part.get(key).and_then(Item::text).map(Cow::into_owned);
    match kind.as_str() {
        "text" | "input_text" | "output_text" | "summary_text" => said("text"),
        "refusal" => said("refusal"),
        "image_url" | "input_image" | "image" => Some("[an image, not shown]".to_owned()),
        "input_audio" => Some("[a sound recording, not shown]".to_owned()),
        "file" | "input_file" => Some(file(part)),
        other => Some(format!("[a part of type `{}`, not shown]", shorten(other))),
    }
}

fn file(part: Item<'_, '_>) -> String {
    let name = field(part, "filename").or_else(|| field(part.get("file")?, "filename"));
    match name {
        Some(name) => format!("[the file `{}`, not shown]", shorten(&name)),
        None => "[a file, not shown]".to_owned(),
    }
}

/// A name from outside, kept to one short line.
pub(super) fn shorten(text: &str) -> String {
    text.escape_debug().take(80).collect()
}
