//! The predecessor's configuration file: `NAME=value` lines.
//!
//! Names in any case, `#` comments, optional quotes, the last of two equal names wins. What it does
//! not know is passed over, as the predecessor does; we say so.

use super::{
    check::from_text,
    layers::{Layer, Layers, Leaf, Source},
    problem::{Problem, did_you_mean, shorten},
    shape::{Kind, TableShape},
};

/// The file that is read where none is named.
pub(super) const DEFAULT_FILE: &str = ".ai-agent-proxy.conf";

/// Each name with the section and the key it stands for.
const NAMES: [(&str, &str, &str); 10] = [
    ("HOST", "server", "host"),
    ("PORT", "server", "port"),
    ("KEY", "server", "key"),
    ("WORKER", "server", "workers"),
    ("DEBUG", "telemetry", "debug"),
    ("INBOX", "mailbox", "inbox"),
    ("URL", "backend", "url"),
    ("API_KEY", "backend", "api_key"),
    ("INSTRUCTION", "mailbox", "instruction"),
    (
        "OPENCLAW_MESSAGE_CLI_SKILL_PATH",
        "mailbox",
        "openclaw_message_cli_skill_path",
    ),
];

/// What holds in this form where the file says nothing.
///
/// The backend is a first responder, as with the predecessor: its model is fixed, and it is told
/// that somebody else reads on.
pub(super) fn set_defaults(layers: &mut Layers) {
    layers.set_default("server", "host", "0.0.0.0");
    layers.set_default("backend", "model", "gpt-5.4-nano");
    layers.set_default(
        "backend",
        "instruction",
        "You give the first answer to this request. Be brief and helpful; an agent with more \
         means reads the conversation after you, checks your answer and does what is left to do.",
    );
}

/// Adds what the file says; gives problems and warnings.
pub(super) fn read(
    text: &str,
    name: &str,
    shape: &TableShape,
    layers: &mut Layers,
) -> (Vec<Problem>, Vec<String>) {
    let (mut problems, mut warnings) = (Vec::new(), Vec::new());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        let place = format!("{name}:{number}");
        match entry(line) {
            Entry::Nothing => {}
            Entry::Nonsense => warnings.push(format!("{place}: no `NAME=value`; passed over")),
            Entry::Pair(key, value) => match set(key, value, &place, shape, layers) {
                Ok(None) => {}
                Ok(Some(warning)) => warnings.push(warning),
                Err(problem) => problems.push(problem),
            },
        }
    }
    (problems, warnings)
}

enum Entry<'a> {
    Nothing,
    Nonsense,
    Pair(&'a str, &'a str),
}

fn entry(line: &str) -> Entry<'_> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Entry::Nothing;
    }
    line.split_once('=')
        .map_or(Entry::Nonsense, |(key, value)| {
            Entry::Pair(key.trim(), unquoted(value.trim()))
        })
}

fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn set(
    key: &str,
    value: &str,
    place: &str,
    root: &TableShape,
    layers: &mut Layers,
) -> Result<Option<String>, Problem> {
    let upper = key.to_uppercase();
    let Some((name, section, key)) = NAMES.iter().find(|(name, _, _)| *name == upper) else {
        let near = did_you_mean(&upper, NAMES.iter().map(|(name, _, _)| *name));
        return Ok(Some(format!(
            "{place}: unknown name `{}` is passed over{near}",
            shorten(&upper)
        )));
    };
    let path = vec![(*section).to_owned(), (*key).to_owned()];
    let Some(Kind::Table(table)) = root.get(section).map(|shape| &shape.kind) else {
        return Ok(None);
    };
    let Some(shape) = table.get(key) else {
        return Ok(None);
    };
    if value.is_empty() && matches!(*name, "KEY" | "API_KEY" | "HOST") {
        return Ok(None);
    }
    check_number(name, value).map_err(|text| Problem::new(place, text))?;
    let value =
        from_text(shape, value).map_err(|text| Problem::new(place, format!("`{name}`: {text}")))?;
    let source = Source {
        layer: Layer::File,
        place: place.to_owned(),
    };
    layers.set(
        path,
        Leaf {
            value,
            source,
            secret: shape.secret,
        },
    );
    Ok(None)
}

fn check_number(name: &str, value: &str) -> Result<(), String> {
    let found = shorten(value);
    match name {
        "DEBUG" if !matches!(value, "0" | "1") => {
            Err(format!("`DEBUG`: expected 0 or 1, found `{found}`"))
        }
        "WORKER"
            if !value
                .parse::<u16>()
                .is_ok_and(|count| (1..=1024).contains(&count)) =>
        {
            Err(format!(
                "`WORKER`: expected a whole number from 1 to 1024, found `{found}`"
            ))
        }
        _ => Ok(()),
    }
}
