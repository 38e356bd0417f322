//! `POSTROOM__SECTION__KEY=value`: the same keys as the file, in any case.

use super::{
    check::{check_name, from_text, unknown},
    layers::{KeyPath, Layer, Layers, Leaf, Source},
    problem::{Problem, shorten},
    shape::{Kind, Shape, TableShape},
};

const PREFIX: &str = "POSTROOM__";

/// Variables that the predecessors read, with the keys they stand for. Ours win over them, and an
/// empty one says nothing.
const OF_PREDECESSORS: [(&str, &[&str]); 7] = [
    ("AI_AGENT_PROXY_API_KEY", &["server", "key"]),
    ("AI_AGENT_PROXY_CLI", &["agents", "defaults", "cli"]),
    ("PROXY_BRIDGE_URL", &["bridge", "remote_url"]),
    ("PROXY_BRIDGE_TOKEN", &["bridge", "token"]),
    ("OPENAI_PROXY_TOKEN", &["upstream_proxy", "token"]),
    ("OPENAI_API_KEY", &["upstream_proxy", "api_key"]),
    ("OPENAI_BASE_URL", &["upstream_proxy", "base_url"]),
];

/// Other programs read these too: one that is not usable counts as not set.
const SHARED: &str = "OPENAI_";

/// Adds what the environment says; variables that are not ours are passed over.
pub(super) fn read(
    environment: &[(String, String)],
    shape: &TableShape,
    layers: &mut Layers,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_known = |(variable, text): &&(String, String)| {
        !text.is_empty() && OF_PREDECESSORS.iter().any(|(known, _)| known == variable)
    };
    for (variable, text) in environment.iter().filter(is_known) {
        let problem = set(variable, text, layers, || known(variable, shape));
        problems.extend(problem.filter(|_| !variable.starts_with(SHARED)));
    }
    for (variable, text) in environment {
        let Some(name) = ours(variable) else { continue };
        problems.extend(set(variable, text, layers, || find(name, shape)));
    }
    problems
}

/// Sets the key that a variable stands for; gives what is wrong with it.
fn set<'a>(
    variable: &str,
    text: &str,
    layers: &mut Layers,
    key: impl FnOnce() -> Result<(KeyPath, &'a Shape), String>,
) -> Option<Problem> {
    let place = format!("${}", shorten(variable));
    match key().and_then(|(path, shape)| Ok((path, shape, from_text(shape, text)?))) {
        Ok((path, shape, value)) => {
            let source = Source {
                layer: Layer::Environment,
                place,
            };
            let leaf = Leaf {
                value,
                source,
                secret: shape.secret,
            };
            layers.set(path, leaf);
            None
        }
        Err(error) => Some(Problem::new(place, error)),
    }
}

/// The key that a predecessor's variable stands for.
fn known<'a>(variable: &str, root: &'a TableShape) -> Result<(KeyPath, &'a Shape), String> {
    let found = OF_PREDECESSORS.iter().find(|(name, _)| *name == variable);
    let path = found.map(|(_, path)| *path).unwrap_or_default();
    let shape = root.find(path).ok_or("this variable names no key")?;
    Ok((path.iter().copied().map(str::to_owned).collect(), shape))
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
