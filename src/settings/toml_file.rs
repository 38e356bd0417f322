//! Reads `postroom.toml` into layers: every problem of the file is found, with line and column.

use toml::{
    Spanned, Value,
    de::{DeTable, DeValue},
};

use super::{
    check::{check, check_name, unknown},
    layers::{KeyPath, Layer, Layers, Leaf, Source},
    problem::{Problem, did_you_mean, place_in, shorten},
    shape::{Kind, Shape, TableShape},
};

const MOST_SYNTAX_PROBLEMS: usize = 20;

/// Adds what a file says. `name` is how messages call it.
pub(super) fn read(
    text: &str,
    name: &str,
    layer: Layer,
    shape: &TableShape,
    layers: &mut Layers,
) -> Vec<Problem> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return errors
            .iter()
            .take(MOST_SYNTAX_PROBLEMS)
            .map(|error| {
                let offset = error.span().map_or(0, |span| span.start);
                Problem::new(place_in(name, text, offset), syntax(error, text))
            })
            .collect();
    }
    let mut reader = Reader {
        text,
        name,
        layer,
        layers,
        problems: Vec::new(),
    };
    reader.table(table.get_ref(), shape, &Vec::new());
    // Tables are kept by name; people read from the top.
    reader.problems.sort_by_key(|(offset, _)| *offset);
    reader
        .problems
        .into_iter()
        .map(|(_, problem)| problem)
        .collect()
}

/// What the parser says; of a key that stands twice, also its name.
fn syntax(error: &toml::de::Error, text: &str) -> String {
    let twice = error.span().filter(|_| error.message() == "duplicate key");
    let key = twice.and_then(|span| text.get(span));
    key.map_or_else(
        || error.message().to_owned(),
        |key| format!("duplicate key `{}`", shorten(key)),
    )
}

struct Reader<'a> {
    text: &'a str,
    name: &'a str,
    layer: Layer,
    layers: &'a mut Layers,
    problems: Vec<(usize, Problem)>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>, shape: &TableShape, path: &KeyPath) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let at = key.span().start;
            let Some(inner) = shape.get(name) else {
                self.refuse(at, unknown(shape, name, "key"));
                continue;
            };
            if !shape.keys.contains_key(name)
                && let Err(error) = check_name(inner, name)
            {
                self.refuse(at, error);
                continue;
            }
            let mut path = path.clone();
            path.push(name.to_owned());
            self.entry(value, inner, shape, path);
        }
    }

    fn entry(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        shape: &Shape,
        around: &TableShape,
        path: KeyPath,
    ) {
        if let (Kind::Table(keys), DeValue::Table(table)) = (&shape.kind, value.get_ref()) {
            self.table(table, keys, &path);
            let is_named = path
                .last()
                .is_some_and(|name| !around.keys.contains_key(name));
            if table.is_empty() && is_named {
                // `[agents.bob]` alone says that there is a bob.
                let at = value.span().start;
                self.set(path, at, Value::Table(toml::Table::new()), shape);
            }
            return;
        }
        let at = value.span().start;
        let checked = plain(value.get_ref()).and_then(|value| check(shape, &value).map(|()| value));
        match checked {
            Ok(value) => self.set(path, at, value, shape),
            Err(error) => {
                let last = path.last().map(String::as_str).unwrap_or_default();
                let known = around.keys.contains_key(last);
                let near = if known {
                    String::new()
                } else {
                    did_you_mean(last, around.names())
                };
                self.refuse(at, format!("`{}`: {error}{near}", path.join(".")));
            }
        }
    }

    fn set(&mut self, path: KeyPath, at: usize, value: Value, shape: &Shape) {
        let source = Source {
            layer: self.layer,
            place: self.place(at),
        };
        let leaf = Leaf {
            value,
            source,
            secret: shape.secret,
        };
        self.layers.set(path, leaf);
    }

    fn place(&self, offset: usize) -> String {
        if self.layer == Layer::Default {
            return self.name.to_owned();
        }
        place_in(self.name, self.text, offset)
    }

    fn refuse(&mut self, offset: usize, text: String) {
        let problem = Problem::new(place_in(self.name, self.text, offset), text);
        self.problems.push((offset, problem));
    }
}

/// A value without its places.
fn plain(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            let parsed = i64::from_str_radix(&digits, number.radix());
            Value::Integer(parsed.map_err(|_too_large| "this number is too large".to_owned())?)
        }
        DeValue::Float(number) => Value::Float(
            number
                .as_str()
                .parse()
                .map_err(|_not_a_number| "this is no number".to_owned())?,
        ),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| plain(item.get_ref()))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => Value::Table(
            table
                .iter()
                .map(|(key, value)| Ok((key.get_ref().to_string(), plain(value.get_ref())?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}
