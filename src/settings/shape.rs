//! What the configuration may hold, read from its schema: one description for the check of files
//! and variables, for the nearest known name, and for the table in the documentation.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schema::schema;

/// What one key may hold.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) secret: bool,
}

/// The type of a key.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Text,
    Integer { least: i64, most: i64 },
    Boolean,
    Duration,
    Size,
    Choice(Vec<String>),
    List { of: Box<Shape>, least: usize },
    Table(TableShape),
}

/// The keys of a table.
#[derive(Debug, Clone, Default)]
pub(super) struct TableShape {
    pub(super) keys: BTreeMap<String, Shape>,
    /// What any other name holds, where other names are allowed.
    pub(super) named: Option<Box<Shape>>,
}

impl TableShape {
    /// The whole configuration.
    pub(super) fn of_config() -> Self {
        table(&schema())
    }

    /// What a name stands for.
    pub(super) fn get(&self, name: &str) -> Option<&Shape> {
        self.keys.get(name).or(self.named.as_deref())
    }

    /// What a path of names leads to.
    pub(super) fn find<S: AsRef<str>>(&self, path: &[S]) -> Option<&Shape> {
        let (first, rest) = path.split_first()?;
        let shape = self.get(first.as_ref())?;
        match (&shape.kind, rest) {
            (_, []) => Some(shape),
            (Kind::Table(inner), _) => inner.find(rest),
            _ => None,
        }
    }

    /// The fixed names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }
}

fn table(schema: &Value) -> TableShape {
    let properties = schema.get("properties").and_then(Value::as_object);
    let keys = properties
        .into_iter()
        .flatten()
        .map(|(name, inner)| (name.clone(), shape(inner)));
    let named = schema
        .get("additionalProperties")
        .filter(|inner| inner.is_object());
    TableShape {
        keys: keys.collect(),
        named: named.map(|inner| Box::new(shape(inner))),
    }
}

fn shape(schema: &Value) -> Shape {
    let text = schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Shape {
        kind: kind(schema),
        text: text.replace('\n', " "),
        secret: schema.get("writeOnly") == Some(&Value::Bool(true)),
    }
}

fn kind(schema: &Value) -> Kind {
    if let Some(choices) = choices(schema) {
        return Kind::Choice(choices);
    }
    match schema.get("x-kind").and_then(Value::as_str) {
        Some("duration") => return Kind::Duration,
        Some("size") => return Kind::Size,
        _ => {}
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => Kind::Integer {
            least: number(schema, "minimum").unwrap_or(i64::MIN),
            most: number(schema, "maximum").unwrap_or(i64::MAX),
        },
        Some("boolean") => Kind::Boolean,
        Some("array") => list(schema),
        Some("object") => Kind::Table(table(schema)),
        _ => Kind::Text,
    }
}

fn list(schema: &Value) -> Kind {
    let items = schema.get("items").cloned().unwrap_or_default();
    let least = number(schema, "minItems").and_then(|least| usize::try_from(least).ok());
    Kind::List {
        of: Box::new(shape(&items)),
        least: least.unwrap_or_default(),
    }
}

fn number(schema: &Value, key: &str) -> Option<i64> {
    schema.get(key).and_then(Value::as_i64)
}

fn choices(schema: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return Some(values.iter().filter_map(text).collect());
    }
    let choices = schema.get("oneOf")?.as_array()?;
    Some(
        choices
            .iter()
            .filter_map(|choice| choice.get("const").and_then(text))
            .collect(),
    )
}
