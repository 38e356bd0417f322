//! The settings in effect, for people (`config show`) and programs (`--json`); secrets masked.

use std::fmt::Write as _;

use serde_json::json;
use toml::{Table, Value};

use super::{
    Loaded,
    layers::{KeyPath, Leaf, insert},
};

const MASK: &str = "***";

/// The settings in effect as TOML, each with its source as a comment.
pub fn as_toml(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut table: &[String] = &[];
    let mut leaves: Vec<_> = loaded.layers.iter().collect();
    leaves.sort_by_key(|(path, _)| path.split_last().map(|(key, table)| (table, key)));
    for (path, leaf) in leaves {
        let Some((key, parents)) = path.split_last() else {
            continue;
        };
        if parents != table {
            table = parents;
            let gap = if text.is_empty() { "" } else { "\n" };
            append(&mut text, format_args!("{gap}[{}]\n", parents.join(".")));
        }
        append(
            &mut text,
            format_args!("{key} = {}  # {}\n", shown(path, leaf), leaf.source.place),
        );
    }
    for warning in &loaded.settings.warnings {
        append(&mut text, format_args!("# warning: {warning}\n"));
    }
    text
}

/// The settings in effect, the source of each, and the warnings, as one JSON object.
pub fn as_json(loaded: &Loaded) -> serde_json::Value {
    let mut settings = Table::new();
    let mut sources = serde_json::Map::new();
    for (path, leaf) in loaded.layers.iter() {
        insert(&mut settings, path, shown(path, leaf));
        sources.insert(path.join("."), leaf.source.place.clone().into());
    }
    json!({ "settings": settings, "sources": sources, "warnings": loaded.settings.warnings })
}

fn append(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok(), "a string takes any text");
}

/// A value as it may be shown. Variables of agents may hold anything, so they are masked too.
fn shown(path: &KeyPath, leaf: &Leaf) -> Value {
    let of_an_agent = path.first().is_some_and(|first| first == "agents");
    let variable = of_an_agent && path.get(2).is_some_and(|key| key == "env");
    if leaf.secret || variable {
        return Value::String(MASK.to_owned());
    }
    match &leaf.value {
        Value::String(text) => Value::String(without_password(text)),
        other => other.clone(),
    }
}

fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((_, host)) = authority.rsplit_once('@') else {
        return text.to_owned();
    };
    format!("{scheme}://{MASK}@{host}{path}")
}
