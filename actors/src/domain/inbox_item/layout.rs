//! Lays JSON out: sorted keys, two spaces a level, nothing escaped that need not be.

use std::borrow::Cow;

use crate::domain::request::document::{Document, Item, Kind};

use super::InboxItem;

/// Something to be laid out.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    /// A value of a checked document.
    Item(Item<'v, 'v>),
    /// A string.
    Text(&'v str),
    /// The text of a document.
    Json(&'v [u8]),
    /// An array of items.
    Items(&'v [InboxItem]),
}

/// A key, unescaped, and its value.
pub(super) type Entry<'v> = (Cow<'v, str>, Value<'v>);

/// A text in the making.
pub(super) struct Layout {
    text: String,
    level: usize,
}

/// Thirty-two levels of indentation; deeper ones take several.
const SPACES: &str = "                                                                ";

impl Layout {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            text: String::with_capacity(capacity),
            level: 0,
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push('\n');
        self.text
    }

    /// An object's entry as it is laid out.
    pub(super) fn entry<'v>((key, value): (Item<'v, 'v>, Item<'v, 'v>)) -> Option<Entry<'v>> {
        Some((key.text()?, Value::Item(value)))
    }

    pub(super) fn value(&mut self, value: Value<'_>) {
        match value {
            Value::Item(item) => self.item(item),
            Value::Text(text) => self.text(text),
            Value::Json(json) => match Document::parse(json) {
                Ok(document) => self.item(document.root()),
                Err(_) => self.text(&String::from_utf8_lossy(json)),
            },
            Value::Items(items) => {
                self.array(items.iter(), |layout, item| item.lay_out(layout));
            }
        }
    }

    /// Writes an object; of entries with the same key, the last one counts.
    pub(super) fn object(&mut self, mut entries: Vec<Entry<'_>>) {
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut entries = entries.into_iter().peekable();
        let mut is_empty = true;
        self.text.push('{');
        self.level += 1;
        while let Some((key, value)) = entries.next() {
            if entries.peek().is_some_and(|(next, _)| *next == key) {
                continue;
            }
            self.begin_line(is_empty);
            is_empty = false;
            self.text(&key);
            self.text.push_str(": ");
            self.value(value);
        }
        self.end('}', is_empty);
    }

    /// Writes a string.
    pub(super) fn text(&mut self, text: &str) {
        self.text.push('"');
        let mut rest = text;
        let needs_escape = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        while let Some(at) = rest.as_bytes().iter().position(needs_escape) {
            let (plain, tail) = rest.split_at(at);
            self.text.push_str(plain);
            let mut tail = tail.chars();
            self.escape(tail.next().unwrap_or_default());
            rest = tail.as_str();
        }
        self.text.push_str(rest);
        self.text.push('"');
    }

    fn escape(&mut self, character: char) {
        match character {
            '"' => self.text.push_str("\\\""),
            '\\' => self.text.push_str("\\\\"),
            '\n' => self.text.push_str("\\n"),
            '\r' => self.text.push_str("\\r"),
            '\t' => self.text.push_str("\\t"),
            '\u{8}' => self.text.push_str("\\b"),
            '\u{c}' => self.text.push_str("\\f"),
            control => {
                let code = format!("\\u{:04x}", u32::from(control));
                self.text.push_str(&code);
            }
        }
    }

    fn item(&mut self, item: Item<'_, '_>) {
        match item.kind() {
            Kind::Object => self.object(item.entries().filter_map(Self::entry).collect()),
            Kind::Array => self.array(item.elements(), Self::item),
            Kind::EscapedText if !has_plain_escapes(item.between_quotes()) => {
                self.text(&item.text().unwrap_or_default());
            }
            _ => self.text.push_str(item.raw()),
        }
    }

    fn array<T>(&mut self, elements: impl Iterator<Item = T>, write: impl Fn(&mut Self, T)) {
        let mut is_empty = true;
        self.text.push('[');
        self.level += 1;
        for element in elements {
            self.begin_line(is_empty);
            is_empty = false;
            write(self, element);
        }
        self.end(']', is_empty);
    }

    fn begin_line(&mut self, is_first: bool) {
        self.text.push_str(if is_first { "\n" } else { ",\n" });
        self.indent();
    }

    fn end(&mut self, bracket: char, is_empty: bool) {
        self.level -= 1;
        if !is_empty {
            self.text.push('\n');
            self.indent();
        }
        self.text.push(bracket);
    }

    fn indent(&mut self) {
        let mut width = 2 * self.level;
        while width > 0 {
            let step = width.min(SPACES.len());
            self.text.push_str(SPACES.get(..step).unwrap_or_default());
            width -= step;
        }
    }
}

/// Whether a string's escapes are just those that would be written, so that it can be copied.
fn has_plain_escapes(between_quotes: &str) -> bool {
    let mut bytes = between_quotes.as_bytes();
    while let Some(backslash) = memchr::memchr(b'\\', bytes) {
        match bytes.get(backslash + 1) {
            Some(b'u' | b'/') => return false,
            _ => bytes = bytes.get(backslash + 2..).unwrap_or_default(),
        }
    }
    true
}
