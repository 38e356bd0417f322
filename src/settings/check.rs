//! Whether a value is what its key may hold. Messages name what came unless it is a secret.

use postroom_actors::domain::ids::AgentId;
use toml::{Table, Value};

use super::{
    duration,
    problem::{did_you_mean, shorten},
    shape::{Kind, Shape, TableShape},
    size,
};

/// Checks one value; the error says what is allowed.
pub(super) fn check(shape: &Shape, value: &Value) -> Result<(), String> {
    match (&shape.kind, value) {
        (Kind::Text, Value::String(text)) if shape.secret => secret(text),
        (Kind::Text, Value::String(_)) | (Kind::Boolean, Value::Boolean(_)) => Ok(()),
        (Kind::Integer { least, most }, Value::Integer(number)) => range(*number, *least, *most),
        (Kind::Duration, Value::String(text)) => {
            one_of_unit(duration::parse(text).is_some(), text, duration::EXPECTED)
        }
        (Kind::Duration, Value::Integer(number)) => {
            let text = number.to_string();
            one_of_unit(duration::parse(&text).is_some(), &text, duration::EXPECTED)
        }
        (Kind::Size, Value::String(text)) => {
            one_of_unit(size::parse(text).is_some(), text, size::EXPECTED)
        }
        (Kind::Size, Value::Integer(number)) => {
            let text = number.to_string();
            one_of_unit(size::parse(&text).is_some(), &text, size::EXPECTED)
        }
        (Kind::Choice(choices), Value::String(text)) => choice(choices, text),
        (Kind::List { of, least }, Value::Array(items)) => list(of, *least, items),
        (Kind::Table(keys), Value::Table(values)) => table(keys, values),
        (_, other) => Err(format!(
            "expected {}, found {}",
            expected(shape),
            other.type_str()
        )),
    }
}

/// Reads a value that came as text: from the environment, the predecessor's file or a flag.
pub(super) fn from_text(shape: &Shape, text: &str) -> Result<Value, String> {
    let value = match &shape.kind {
        Kind::Text | Kind::Choice(_) | Kind::Duration | Kind::Size => {
            Value::String(text.to_owned())
        }
        Kind::Integer { .. } => Value::Integer(integer(text)?),
        Kind::Boolean => Value::Boolean(boolean(text)?),
        Kind::List { of, .. } => list_from_text(of, text)?,
        Kind::Table(_) => return Err("this is a table; set its keys one by one".to_owned()),
    };
    check(shape, &value)?;
    Ok(value)
}

/// What a key wants, for people.
pub(super) fn expected(shape: &Shape) -> String {
    match &shape.kind {
        Kind::Text => "a string".to_owned(),
        Kind::Integer { least, most } => format!("a whole number from {least} to {most}"),
        Kind::Boolean => "true or false".to_owned(),
        Kind::Duration => "a duration such as `\"300s\"`".to_owned(),
        Kind::Size => "a size such as `\"20MiB\"`".to_owned(),
        Kind::Choice(choices) => one_of(choices),
        Kind::List { of, .. } => format!("a list, each {}", expected(of)),
        Kind::Table(_) => "a table".to_owned(),
    }
}

/// The name of a key, backend, agent or peer is safe in a path, a URL and a label.
pub(super) fn check_name(shape: &Shape, name: &str) -> Result<(), String> {
    if matches!(shape.kind, Kind::Table(_)) {
        return AgentId::parse(name).map(drop).map_err(|_invalid| {
            format!("`{}` is no name: use 1 to 64 of a-z, 0-9, `_` and `-`, beginning with a letter or digit", shorten(name))
        });
    }
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("`{}` is no name of a variable", shorten(name)));
    }
    Ok(())
}

/// The message about an unknown key.
pub(super) fn unknown(keys: &TableShape, name: &str, what: &str) -> String {
    format!(
        "unknown {what} `{}`{}",
        shorten(name),
        did_you_mean(name, keys.names())
    )
}

fn secret(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("a secret must not be empty; leave the key out if there is none".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a secret must not hold line ends or other control characters".to_owned());
    }
    Ok(())
}

fn range(number: i64, least: i64, most: i64) -> Result<(), String> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(format!(
        "expected a whole number from {least} to {most}, found {number}"
    ))
}

fn one_of_unit(fits: bool, text: &str, expected: &str) -> Result<(), String> {
    if fits {
        Ok(())
    } else {
        Err(format!("{expected}, found `{}`", shorten(text)))
    }
}

fn choice(choices: &[String], text: &str) -> Result<(), String> {
    if choices.iter().any(|choice| choice == text) {
        return Ok(());
    }
    let near = did_you_mean(text, choices.iter().map(String::as_str));
    Err(format!(
        "expected {}, found `{}`{near}",
        one_of(choices),
        shorten(text)
    ))
}

fn one_of(choices: &[String]) -> String {
    let quoted: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
    format!("one of {}", quoted.join(", "))
}

fn list(of: &Shape, least: usize, items: &[Value]) -> Result<(), String> {
    if items.len() < least {
        return Err(format!(
            "expected at least {least} entry, found {}",
            items.len()
        ));
    }
    items.iter().try_for_each(|item| check(of, item))
}

fn table(keys: &TableShape, values: &Table) -> Result<(), String> {
    values
        .iter()
        .try_for_each(|(name, value)| match keys.get(name) {
            Some(shape) => check(shape, value).map_err(|error| format!("`{name}`: {error}")),
            None => Err(unknown(keys, name, "key")),
        })
}

fn integer(text: &str) -> Result<i64, String> {
    text.trim()
        .parse()
        .map_err(|_not_a_number| format!("expected a whole number, found `{}`", shorten(text)))
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!(
            "expected true or false (or 1, 0), found `{}`",
            shorten(text)
        )),
    }
}

fn list_from_text(of: &Shape, text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('[') {
        let mut table: Table = toml::from_str(&format!("list = {text}")).map_err(|_syntax| {
            "expected a TOML list, or entries with commas between them".to_owned()
        })?;
        return table
            .remove("list")
            .ok_or_else(|| "expected a list".to_owned());
    }
    let entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let entries: Result<Vec<_>, _> = entries.map(|entry| from_text(of, entry)).collect();
    Ok(Value::Array(entries?))
}
