//! Sizes as people write them: `"20MiB"`, `"5MB"`, or whole bytes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::quantity;

/// What a size that is not one is told.
pub const EXPECTED: &str = "expected a size such as `\"20MiB\"`, `\"5MB\"` or a number of bytes";

const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// Reads a size in bytes; `None`: it is none.
pub fn parse(text: &str) -> Option<u64> {
    quantity::parse(&text.trim().to_ascii_lowercase(), &UNITS)
}

/// A size in the file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeValue(pub u64);

impl<'de> Deserialize<'de> for SizeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = number_or_text(deserializer)?;
        parse(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom(EXPECTED))
    }
}

impl JsonSchema for SizeValue {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+([kKmMgG][iI]?)?[bB]?$",
            "minimum": 0,
            "x-kind": "size",
        })
    }
}

/// Takes a number or a text as text.
///
/// # Errors
/// The value is neither.
pub(super) fn number_or_text<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrText {
        Number(i64),
        Text(String),
    }
    Ok(match NumberOrText::deserialize(deserializer)? {
        NumberOrText::Number(number) => number.to_string(),
        NumberOrText::Text(text) => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_in_thousands_or_in_1024s() {
        assert_eq!(parse("20MiB"), Some(20 << 20));
        assert_eq!(parse("5MB"), Some(5_000_000));
        assert_eq!(parse("64kib"), Some(65_536));
        assert_eq!(parse("1024"), Some(1024));
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "-1",
            "5 M",
            "1.5MB",
            "MB",
            "5XB",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
