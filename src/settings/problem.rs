//! What is wrong with a configuration, and where.

use std::fmt;

use thiserror::Error;

/// The configuration cannot be used; nothing was started.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// Everything that is wrong with it, in the order of the sources; never empty.
    #[error("{}", lines(.0))]
    Refused(Vec<Problem>),
}

impl ConfigError {
    /// One problem alone.
    pub(super) fn one(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Refused(vec![Problem::new(place, text)])
    }

    /// All problems.
    pub fn problems(&self) -> &[Problem] {
        let Self::Refused(problems) = self;
        problems
    }
}

/// One thing that is wrong. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File, line and column, or the variable, or the flag.
    pub place: String,
    /// What is wrong, and what is allowed.
    pub text: String,
}

impl Problem {
    pub(super) fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.text)
    }
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// A text from outside, made safe and short enough for a message.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text
        .chars()
        .flat_map(char::escape_debug)
        .take(LONGEST)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

/// The known name that is nearest to `name`, as the end of a message; empty where none is near.
pub(super) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let best = known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match best {
        Some((likeness, candidate)) if likeness > 0.75 => format!("; did you mean `{candidate}`?"),
        _ => String::new(),
    }
}

/// The place of a byte of a file: `FILE:LINE:COLUMN`, both from 1, columns in characters.
pub(super) fn place_in(file: &str, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    format!("{file}:{line}:{column}")
}
