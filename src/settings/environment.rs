//! `POSTROOM__SECTION__KEY=value`: the same keys as the file, in any case.

use super::{
    check::{check_name, from_text, unknown},
    layers::{KeyPath, Layer, Layers, Leaf, Source},
    problem::{Problem, shorten},
    shape::{Kind, Shape, TableShape},
};

const PREFIX: &str = "POSTROOM__";

/// Adds what the environment says; variables that are not ours are passed over.
pub(super) fn read(
    environment: &[(String, String)],
    shape: &TableShape,
    layers: &mut Layers,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (variable, text) in environment {
        let Some(name) = ours(variable) else { continue };
        let place = format!("${}", shorten(variable));
        let set =
            find(name, shape).and_then(|(path, shape)| Ok((path, shape, from_text(shape, text)?)));
        match set {
            Ok((path, shape, value)) => {
                let source = Source {
                    layer: Layer::Environment,
                    place,
                };
                layers.set(
                    path,
                    Leaf {
                        value,
                        source,
                        secret: shape.secret,
                    },
                );
            }
            Err(error) => problems.push(Problem::new(place, error)),
        }
    }
    problems
}

/// The variable of a key.
pub(super) fn variable(path: &[String]) -> String {
    format!("{PREFIX}{}", path.join("__").to_uppercase())
}

fn ours(variable: &str) -> Option<&str> {
    let (start, name) = variable.split_at_checked(PREFIX.len())?;
    start.eq_ignore_ascii_case(PREFIX).then_some(name)
}

fn find<'a>(name: &str, root: &'a TableShape) -> Result<(KeyPath, &'a Shape), String> {
    let mut path = KeyPath::new();
    let mut table = root;
    let mut parts = name.split("__").peekable();
    while let Some(part) = parts.next() {
        let lower = part.to_ascii_lowercase();
        let shape = table
            .get(&lower)
            .ok_or_else(|| unknown(table, &lower, "key"))?;
        // The names of a child's variables keep their case; all other names have none.
        let keeps_case = !table.keys.contains_key(&lower) && !matches!(shape.kind, Kind::Table(_));
        let segment = if keeps_case { part.to_owned() } else { lower };
        if !table.keys.contains_key(&segment) {
            check_name(shape, &segment)?;
        }
        path.push(segment);
        match (&shape.kind, parts.peek()) {
            (_, None) => return Ok((path, shape)),
            (Kind::Table(inner), Some(_)) => table = inner,
            (_, Some(_)) => return Err(format!("`{}` is no table", path.join("."))),
        }
    }
    Err("this variable names no key".to_owned())
}
