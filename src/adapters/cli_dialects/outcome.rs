//! What came of a turn: what the events told, held against how the process ended.

use std::sync::Arc;

use postroom_actors::domain::turn::{Failure, FailureCode, TurnEvent};

use super::ProcessEnd;

/// Longest failure, in bytes.
const LONGEST: usize = 2 << 10;

/// Most of standard error that a failure repeats, in bytes.
const LONGEST_TAIL: usize = 1536;

/// Longest text of a trouble, in bytes.
const LONGEST_TROUBLE: usize = 512;

/// Exit codes of a CLI that mean something, in words.
pub(super) type ExitCodes = &'static [(i32, &'static str)];

/// What the events have told so far; what was told last counts.
#[derive(Debug)]
pub(super) struct Outcome {
    cli: &'static str,
    exit_codes: ExitCodes,
    told: Told,
    trouble: Option<String>,
}

#[derive(Debug)]
enum Told {
    Nothing,
    Success(Arc<str>),
    Failure(String),
}

impl Outcome {
    /// Of a CLI of this name.
    pub(super) const fn new(cli: &'static str, exit_codes: ExitCodes) -> Self {
        Self {
            cli,
            exit_codes,
            told: Told::Nothing,
            trouble: None,
        }
    }

    /// The CLI said that the turn ended well, with this answer.
    pub(super) fn succeed(&mut self, answer: &str) {
        self.told = Told::Success(answer.into());
    }

    /// The CLI said that the turn failed; without words where it gave none.
    pub(super) fn fail(&mut self, words: &str) {
        self.told = Told::Failure(plain(words));
    }

    /// The CLI has trouble that may prove to be the cause of its end.
    pub(super) fn trouble(&mut self, words: &str, events: &mut Vec<TurnEvent>) {
        if warn(words, events) {
            self.trouble = Some(shortened(words, LONGEST_TROUBLE));
        }
    }

    /// The final message, or why there is none. Exit code 0 is no success without a word of it, and
    /// a word of success none with another exit code.
    pub(super) fn result(self, end: &ProcessEnd<'_>) -> Result<Arc<str>, Failure> {
        let is_clean = end.exit_code == Some(0);
        let (code, message) = match &self.told {
            Told::Success(answer) if is_clean => return Ok(Arc::clone(answer)),
            Told::Failure(words) if !words.is_empty() => (FailureCode::TurnFailed, words.clone()),
            Told::Nothing if is_clean => {
                let message = self.ending("ended well, but without an answer", end);
                (FailureCode::NoAnswer, message)
            }
            Told::Nothing | Told::Failure(_) | Told::Success(_) => {
                let how = format!("{}{}", how(self.exit_codes, end), self.progress());
                (FailureCode::TurnFailed, self.ending(&how, end))
            }
        };
        let code = match code {
            FailureCode::TurnFailed if tells_of_lost_session(&message) => FailureCode::SessionLost,
            other => other,
        };
        Err(Failure {
            code,
            message: shortened(&message, LONGEST),
        })
    }

    fn progress(&self) -> &'static str {
        match self.told {
            Told::Nothing => " before its turn was complete",
            Told::Success(_) => " after it had told of success",
            Told::Failure(_) => "",
        }
    }

    fn ending(&self, how: &str, end: &ProcessEnd<'_>) -> String {
        let words = self
            .trouble
            .clone()
            .unwrap_or_else(|| tail(&plain(end.stderr_tail)));
        let colon = if words.is_empty() { "" } else { ": " };
        format!("`{}` {how}{colon}{words}", self.cli)
    }
}

/// CLIs have no code for a session that they do not know any more, only words.
fn tells_of_lost_session(words: &str) -> bool {
    let words = words.to_lowercase();
    let has_any = |of: &[&str]| of.iter().any(|part| words.contains(part));
    has_any(&["session", "conversation", "thread", "rollout"])
        && has_any(&[
            "not found",
            "no conversation found",
            "no rollout found",
            "no previous sessions",
            "no saved session found",
            "no session, task, or name matched",
            "invalid session identifier",
        ])
}

fn how(exit_codes: ExitCodes, end: &ProcessEnd<'_>) -> String {
    let Some(code) = end.exit_code else {
        return end.signal.map_or_else(
            || "ended, nobody knows how,".to_owned(),
            |signal| format!("was ended by signal {signal}"),
        );
    };
    exit_codes
        .iter()
        .find(|(known, _)| *known == code)
        .map_or_else(
            || format!("ended with exit code {code}"),
            |(_, meaning)| format!("ended with exit code {code} ({meaning})"),
        )
}

/// Tells of trouble that is not the end; answers whether there were words for it.
pub(super) fn warn(words: &str, events: &mut Vec<TurnEvent>) -> bool {
    let words = shortened(words, LONGEST_TROUBLE);
    let has_words = !words.is_empty();
    if has_words {
        events.push(TurnEvent::Trouble(words.into()));
    }
    has_words
}

/// The beginning of a text without its control characters, at most so many bytes.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let text = plain(text);
    if text.len() <= limit {
        return text;
    }
    let end = text.floor_char_boundary(limit.saturating_sub("…".len()));
    format!("{}…", text.get(..end).unwrap_or_default())
}

fn tail(text: &str) -> String {
    if text.len() <= LONGEST_TAIL {
        return text.to_owned();
    }
    let begin = text.ceil_char_boundary(text.len().saturating_sub(LONGEST_TAIL));
    format!("…{}", text.get(begin..).unwrap_or_default())
}

/// A text as it reads on paper: no colours, no control characters but line ends, no blank around.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            '\u{1b}' => skip_escape(&mut rest),
            '\n' => plain.push('\n'),
            '\t' => plain.push(' '),
            control if control.is_control() => {}
            other => plain.push(other),
        }
    }
    plain.trim().to_owned()
}

/// Skips `[`, parameters and the letter that ends them; what is no such sequence stays.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    if ahead.next() != Some('[') {
        return;
    }
    *rest = ahead.clone();
    for next in ahead {
        rest.next();
        if ('\u{40}'..='\u{7e}').contains(&next) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(stderr_tail: &str) -> FailureCode {
        let end = ProcessEnd {
            exit_code: Some(1),
            signal: None,
            stderr_tail,
        };
        Outcome::new("any", &[]).result(&end).unwrap_err().code
    }

    #[test]
    fn a_session_that_is_not_known_any_more_is_told_from_other_failures() {
        for lost in [
            "Error: Session not found",
            "no rollout found for thread id 7",
            "thread/resume failed: no rollout found for thread id 7 (code -32600)",
            "No conversation found with session ID: 7",
            "Error resuming session: Invalid session identifier \"7\".",
            "Error resuming session: No previous sessions found for this project.",
            "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mSession not found",
            "No saved session found with title \"7\".",
            "Package extraction took 63ms\nError: No session, task, or name matched '7'.",
        ] {
            assert_eq!(code(lost), FailureCode::SessionLost, "{lost}");
        }
        for other in [
            "model not found",
            "the session was closed",
            "Invalid session token",
            "401 unauthorized",
            "",
        ] {
            assert_eq!(code(other), FailureCode::TurnFailed, "{other}");
        }
    }
}
