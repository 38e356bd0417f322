//! Durations as people write them: `"250ms"`, `"300s"`, `"5m"`, `"2h"`, `"30d"`, or whole seconds.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::quantity;

/// What a duration that is not one is told.
pub const EXPECTED: &str =
    "expected a duration up to 3650 days, such as `\"300s\"`, `\"5m\"` or `\"250ms\"`";

const LONGEST: Duration = Duration::from_hours(3650 * 24);
const UNITS: [(&str, u64); 6] = [
    ("", 1000),
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads a duration; a number alone is in seconds.
///
/// `None`: it is none, or longer than 3650 days.
pub fn parse(text: &str) -> Option<Duration> {
    let duration = Duration::from_millis(quantity::parse(text.trim(), &UNITS)?);
    (duration <= LONGEST).then_some(duration)
}

/// A duration in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationValue(pub Duration);

impl<'de> Deserialize<'de> for DurationValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = super::size::number_or_text(deserializer)?;
        parse(&text)
            .map(Self)
            .ok_or_else(|| de::Error::custom(EXPECTED))
    }
}

impl JsonSchema for DurationValue {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "integer"],
            "pattern": "^[0-9]+(ms|s|m|h|d)?$",
            "minimum": 0,
            "x-kind": "duration",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_are_the_same_however_they_are_written() {
        for text in ["5m", "300s", "300", "300000ms"] {
            assert_eq!(parse(text), Some(Duration::from_mins(5)), "{text}");
        }
        assert_eq!(parse("30d"), Some(Duration::from_hours(720)));
        assert_eq!(parse("2h"), Some(Duration::from_hours(2)));
        assert_eq!(parse("0ms"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "-5",
            "5 parsecs",
            "1e99",
            "1.5s",
            "s",
            "5M",
            "99999999999999999999s",
            "4000d",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
