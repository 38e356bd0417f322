//! The fields of an object, each read as the type that it must have. Null counts as absent.

use serde_json::{Map, Value};

use super::RequestFault;

/// An object of a request, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'v> {
    map: &'v Map<String, Value>,
    /// Its own path; empty for the body.
    parent: Path<'v>,
}

/// Where an object stands in the body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'v> {
    /// It is the body.
    Root,
    /// It is a field of the body.
    Field(&'v str),
    /// It is a field of such an object.
    FieldOfField(&'v str, &'v str),
    /// It is an element of a field of the body.
    Element(&'v str, usize),
    /// It is a field of such an element.
    FieldOfElement(&'v str, usize, &'v str),
}

impl Path<'_> {
    /// The path of a field of this object.
    fn field(self, name: &str) -> String {
        match self {
            Self::Root => name.to_owned(),
            _ => format!("{}.{name}", self.own()),
        }
    }

    /// Its own path.
    pub(super) fn own(self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Field(name) => name.to_owned(),
            Self::FieldOfField(outer, name) => format!("{outer}.{name}"),
            Self::Element(list, index) => format!("{list}[{index}]"),
            Self::FieldOfElement(list, index, name) => format!("{list}[{index}].{name}"),
        }
    }
}

impl<'v> Fields<'v> {
    /// The most pairs that `metadata` may have.
    const MAX_METADATA: usize = 16;

    pub(super) fn of_body(body: &'v Value) -> Result<Self, RequestFault> {
        match body {
            Value::Object(map) => Ok(Self {
                map,
                parent: Path::Root,
            }),
            other => Err(RequestFault::NotAnObject(kind_of(other))),
        }
    }

    /// An object that stands at a path.
    pub(super) fn at(path: Path<'v>, value: &'v Value) -> Result<Self, RequestFault> {
        match value {
            Value::Object(map) => Ok(Self { map, parent: path }),
            other => Err(RequestFault::invalid(
                path.own(),
                "an object",
                kind_of(other),
            )),
        }
    }

    /// A field that is there and not null.
    pub(super) fn get(self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn wrong(self, name: &str, expected: &str, value: &Value) -> RequestFault {
        RequestFault::invalid(self.parent.field(name), expected, came(value))
    }

    pub(super) fn missing(self, name: &str, expected: &'static str) -> RequestFault {
        RequestFault::Missing {
            param: self.parent.field(name),
            expected,
        }
    }

    pub(super) fn string(self, name: &str) -> Result<Option<&'v str>, RequestFault> {
        self.read(name, "a string", |value| value.as_str())
    }

    pub(super) fn boolean(self, name: &str) -> Result<Option<bool>, RequestFault> {
        self.read(name, "true or false", Value::as_bool)
    }

    pub(super) fn array(self, name: &str) -> Result<Option<&'v Vec<Value>>, RequestFault> {
        self.read(name, "an array", |value| value.as_array())
    }

    /// A field that is an object.
    pub(super) fn object(self, name: &'v str) -> Result<Option<Self>, RequestFault> {
        let path = match self.parent {
            Path::Root => Path::Field(name),
            Path::Field(outer) => Path::FieldOfField(outer, name),
            Path::Element(list, index) => Path::FieldOfElement(list, index, name),
            deeper => deeper,
        };
        match self.get(name) {
            Some(Value::Object(map)) => Ok(Some(Self { map, parent: path })),
            Some(other) => Err(self.wrong(name, "an object", other)),
            None => Ok(None),
        }
    }

    pub(super) fn number(self, name: &str, min: i32, max: i32) -> Result<(), RequestFault> {
        let expected = format!("a number between {min} and {max}");
        let range = f64::from(min)..=f64::from(max);
        let in_range = |value: &Value| value.as_f64().filter(|number| range.contains(number));
        self.read(name, &expected, in_range).map(|_| ())
    }

    pub(super) fn integer(
        self,
        name: &str,
        min: i64,
        max: i64,
    ) -> Result<Option<i64>, RequestFault> {
        let expected = match (min, max) {
            (i64::MIN, i64::MAX) => "an integer".to_owned(),
            (min, i64::MAX) => format!("an integer of at least {min}"),
            (min, max) => format!("an integer between {min} and {max}"),
        };
        let in_range = |value: &Value| value.as_i64().filter(|it| (min..=max).contains(it));
        self.read(name, &expected, in_range)
    }

    pub(super) fn one_of(self, name: &str, allowed: &[&str]) -> Result<(), RequestFault> {
        let is_allowed = |value: &Value| value.as_str().map(|text| allowed.contains(&text));
        let expected = format!("one of `{}`", allowed.join("`, `"));
        self.read(name, &expected, |value| {
            is_allowed(value).filter(|is_allowed| *is_allowed)
        })
        .map(|_| ())
    }

    pub(super) fn required_one_of(self, name: &str, allowed: &[&str]) -> Result<(), RequestFault> {
        if self.get(name).is_none() {
            return Err(self.missing(name, "a string"));
        }
        self.one_of(name, allowed)
    }

    /// `stop`: a string, or up to four of them; none empty.
    pub(super) fn stop(self) -> Result<(), RequestFault> {
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let is_right = match self.get("stop") {
            None => true,
            Some(Value::Array(many)) => many.len() <= 4 && many.iter().all(is_text),
            Some(one) => is_text(one),
        };
        match self.get("stop") {
            Some(value) if !is_right => {
                let expected = "a string that is not empty, or an array of at most 4 of them";
                Err(self.wrong("stop", expected, value))
            }
            _ => Ok(()),
        }
    }

    /// `metadata`: up to 16 strings by name.
    pub(super) fn metadata(self) -> Result<Map<String, Value>, RequestFault> {
        let Some(metadata) = self.object("metadata")? else {
            return Ok(Map::new());
        };
        for (name, value) in metadata.map {
            if !value.is_string() {
                return Err(metadata.wrong(&shorten(name), "a string", value));
            }
        }
        let count = metadata.map.len();
        if count > Self::MAX_METADATA {
            let expected = format!("an object of at most {} pairs", Self::MAX_METADATA);
            return Err(RequestFault::invalid(
                "metadata",
                expected,
                count.to_string(),
            ));
        }
        Ok(metadata.map.clone())
    }

    fn read<T>(
        self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'v Value) -> Option<T>,
    ) -> Result<Option<T>, RequestFault> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(self.wrong(name, expected, value)),
            },
        }
    }
}

/// What came, in words: numbers and short words as they are, of the rest the type and size.
fn came(value: &Value) -> String {
    match value {
        Value::Number(number) => shorten(&number.to_string()),
        Value::Bool(value) => value.to_string(),
        Value::String(text) if text.len() <= 40 => format!("the string `{}`", shorten(text)),
        Value::Array(elements) => format!("an array of {}", elements.len()),
        other => kind_of(other).to_owned(),
    }
}

/// The type of a value, in words.
pub(super) const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A text from outside, made safe and short enough for an error message.
pub(super) fn shorten(text: &str) -> String {
    text.escape_debug().take(60).collect()
}
