//! command: any program that reads a prompt from standard input and writes its answer to standard
//! output.

use postroom_actors::domain::turn::{TurnEvent, Usage};

use super::{Dialect, OutputReader, ProcessEnd, TurnShape, Verdict, outcome::Outcome};

/// Longest prompt, in bytes.
const PROMPT_LIMIT: usize = 4 << 20;

/// Longest answer, in bytes.
const ANSWER_LIMIT: usize = 512 << 10;

/// Stands at the end of an answer that was longer.
const CUT: &str = "\n[the answer was longer than 512 KiB and is cut here]";

/// The dialect of every other program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command;

impl Dialect for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn programs(&self) -> &'static [&'static str] {
        &[]
    }

    fn arguments(&self, _turn: &TurnShape<'_>) -> Vec<String> {
        Vec::new()
    }

    fn variables(&self, _turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn passed(&self) -> &'static [&'static str] {
        &[]
    }

    fn prompt_limit(&self) -> usize {
        PROMPT_LIMIT
    }

    fn reader(&self, _usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::<Reader>::default()
    }
}

/// What is said is the answer, piece by piece: its lines without the last line end.
#[derive(Debug, Default)]
struct Reader {
    answer: String,
    has_lines: bool,
    is_cut: bool,
}

impl Reader {
    fn say(&mut self, text: &str, events: &mut Vec<TurnEvent>) {
        self.answer.push_str(text);
        events.push(TurnEvent::Said(text.into()));
    }
}

impl OutputReader for Reader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        if self.is_cut {
            return;
        }
        let piece = if self.has_lines {
            format!("\n{line}")
        } else {
            line.to_owned()
        };
        self.has_lines = true;
        let room = ANSWER_LIMIT.saturating_sub(self.answer.len());
        if piece.len() <= room {
            self.say(&piece, events);
            return;
        }
        self.is_cut = true;
        let fitting = piece.get(..piece.floor_char_boundary(room));
        self.say(&format!("{}{CUT}", fitting.unwrap_or_default()), events);
    }

    fn finish(self: Box<Self>, end: &ProcessEnd<'_>) -> Verdict {
        let result = if end.exit_code == Some(0) {
            // Its exit code is all that it can tell of its end. Whether silence is an answer is for
            // whoever asked: to a message it is.
            let is_silent = self.answer.trim().is_empty();
            Ok(if is_silent {
                "".into()
            } else {
                self.answer.into()
            })
        } else {
            let mut outcome = Outcome::new("command", &[]);
            outcome.fail("");
            outcome.result(end)
        };
        Verdict {
            result,
            usage: None,
            usage_total: None,
        }
    }
}
