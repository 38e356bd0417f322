//! The table of keys in `config/README.md`, made from the schema and the defaults.

use super::{
    check::expected,
    environment::variable,
    layers::{KeyPath, Layer, Layers},
    load::REFERENCE,
    shape::{Kind, Shape, TableShape},
    toml_file,
};

/// All keys as a Markdown table: key, type, default, variable, text.
pub fn table() -> String {
    let shape = TableShape::of_config();
    let mut defaults = Layers::default();
    toml_file::read(REFERENCE, "default", Layer::Default, &shape, &mut defaults);
    let mut text = "| key | type | default | variable | |\n|---|---|---|---|---|\n".to_owned();
    for (path, shape) in keys(&shape) {
        let default = defaults
            .get(&path)
            .map(|leaf| format!("`{}`", leaf.value))
            .unwrap_or_default();
        let line = format!(
            "| `{}` | {} | {} | `{}` | {} |\n",
            path.join("."),
            cell(&kind(&shape)),
            cell(&default),
            variable(&path),
            cell(&shape.text)
        );
        text.push_str(&line);
    }
    text
}

/// Every key that is no table, with `NAME` where any name may stand.
pub(super) fn keys(root: &TableShape) -> Vec<(KeyPath, Shape)> {
    let mut found = Vec::new();
    collect(root, &KeyPath::new(), &mut found);
    found
}

fn collect(table: &TableShape, path: &KeyPath, found: &mut Vec<(KeyPath, Shape)>) {
    let named = table
        .named
        .iter()
        .map(|shape| ("NAME".to_owned(), (**shape).clone()));
    let fixed = table
        .keys
        .iter()
        .map(|(name, shape)| (name.clone(), shape.clone()));
    for (name, shape) in fixed.chain(named) {
        let mut path = path.clone();
        path.push(name);
        match &shape.kind {
            Kind::Table(inner) => collect(inner, &path, found),
            _ => found.push((path, shape)),
        }
    }
}

fn kind(shape: &Shape) -> String {
    match &shape.kind {
        Kind::Integer { least, most } if *most < i64::MAX => format!("{least} to {most}"),
        Kind::Text if shape.secret => "secret".to_owned(),
        Kind::Text => "string".to_owned(),
        Kind::Duration => "duration".to_owned(),
        Kind::Size => "size".to_owned(),
        _ => expected(shape),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
