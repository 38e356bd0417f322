//! Events printed as one JSON object a line, read leniently: what is missing or of another type
//! reads as nothing.

use serde_json::Value;

/// The JSON object of a line; `None` for every other line.
pub(super) fn event(line: &str) -> Option<Value> {
    let line = line.trim();
    // Most lines that are no event are not even tried.
    if !line.starts_with('{') {
        return None;
    }
    serde_json::from_str(line).ok().filter(Value::is_object)
}

/// Reading fields by their JSON pointer.
pub(super) trait Fields {
    /// A string.
    fn text(&self, pointer: &str) -> Option<&str>;

    /// A whole number that is not negative; 0 where there is none.
    fn count(&self, pointer: &str) -> u64;

    /// The items of an array; none where there is no array.
    fn items(&self, pointer: &str) -> &[Value];

    /// An amount of US dollars, in millionths.
    fn microdollars(&self, pointer: &str) -> Option<u64>;

    /// The event's `type`; empty where there is none.
    fn kind(&self) -> &str {
        self.text("/type").unwrap_or_default()
    }
}

impl Fields for Value {
    fn text(&self, pointer: &str) -> Option<&str> {
        self.pointer(pointer)?.as_str()
    }

    fn count(&self, pointer: &str) -> u64 {
        self.pointer(pointer)
            .and_then(Self::as_u64)
            .unwrap_or_default()
    }

    fn items(&self, pointer: &str) -> &[Value] {
        self.pointer(pointer)
            .and_then(Self::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    fn microdollars(&self, pointer: &str) -> Option<u64> {
        let dollars = self.pointer(pointer)?.as_f64()?;
        // Through text, as there is no checked conversion; negative and endless ones do not parse.
        format!("{:.0}", dollars.max(0.0) * 1e6).parse().ok()
    }
}
