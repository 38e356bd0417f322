//! What a running turn does, in short: few enough for a log of the whole broker.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::domain::turn::TurnEvent;

/// Something that a turn does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Its process runs.
    Process {
        /// The leader of its process group.
        pid: u32,
    },
    /// It said something.
    Said {
        /// How long that was, in characters.
        characters: usize,
    },
    /// It calls a tool.
    Tool {
        /// Its name or command, shortened.
        name: Arc<str>,
    },
    /// Its CLI has trouble that is not the end.
    Trouble {
        /// In the CLI's words, shortened.
        text: Arc<str>,
    },
}

/// A step, and how many before it are not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The step.
    pub step: Step,
    /// Steps that were left out before it.
    pub skipped: u32,
}

/// Steps of one turn that are told within a second.
const MOST_A_SECOND: u32 = 20;

/// How long what is said is put together before it is told.
const SPEECH: TimeDelta = TimeDelta::seconds(2);

/// Puts the steps of one turn together: pieces of speech become one step, and what is too much is
/// counted only.
#[derive(Debug, Clone, Default)]
pub struct StepLog {
    /// Characters that are not told yet.
    said: usize,
    said_since: Option<DateTime<Utc>>,
    second: Option<DateTime<Utc>>,
    told_in_second: u32,
    skipped: u32,
}

impl StepLog {
    /// Takes in what a turn does; answers what is to be told now.
    pub fn see(&mut self, event: &TurnEvent, now: DateTime<Utc>) -> Vec<Told> {
        let step = match event {
            TurnEvent::Said(piece) => return self.said(piece, now),
            TurnEvent::MessageEnded => return self.flush(now),
            TurnEvent::Started { pid } => Step::Process { pid: *pid },
            TurnEvent::Tool(name) => Step::Tool { name: name.clone() },
            TurnEvent::Trouble(text) => Step::Trouble { text: text.clone() },
            TurnEvent::Session(_) | TurnEvent::CalledBack { .. } | TurnEvent::Exited(_) => {
                return Vec::new();
            }
        };
        let mut told = self.flush(now);
        told.extend(self.tell(step, now));
        told
    }

    /// What it says is told once it has been talking for a while.
    pub fn said(&mut self, piece: &str, now: DateTime<Utc>) -> Vec<Told> {
        self.said = self.said.saturating_add(piece.chars().count());
        let since = *self.said_since.get_or_insert(now);
        if now - since >= SPEECH {
            return self.flush(now);
        }
        Vec::new()
    }

    /// Tells what it said and what is not told yet.
    pub fn flush(&mut self, now: DateTime<Utc>) -> Vec<Told> {
        self.said_since = None;
        let characters = std::mem::take(&mut self.said);
        if characters == 0 {
            return Vec::new();
        }
        self.tell(Step::Said { characters }, now)
            .into_iter()
            .collect()
    }

    fn tell(&mut self, step: Step, now: DateTime<Utc>) -> Option<Told> {
        let began = *self.second.get_or_insert(now);
        // A clock that was set back begins a new second too.
        if now - began >= TimeDelta::seconds(1) || now < began {
            self.second = Some(now);
            self.told_in_second = 0;
        }
        if self.told_in_second >= MOST_A_SECOND {
            self.skipped = self.skipped.saturating_add(1);
            return None;
        }
        self.told_in_second = self.told_in_second.saturating_add(1);
        let skipped = std::mem::take(&mut self.skipped);
        Some(Told { step, skipped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    fn tool(name: &str) -> TurnEvent {
        TurnEvent::Tool(name.into())
    }

    fn steps(told: Vec<Told>) -> Vec<Step> {
        told.into_iter().map(|told| told.step).collect()
    }

    #[test]
    fn pieces_of_speech_are_one_step_when_their_message_ends_or_a_tool_is_called() {
        let mut log = StepLog::default();
        for piece in ["He", "llö", ""] {
            assert_eq!(log.see(&TurnEvent::Said(piece.into()), at(0)), []);
        }
        let told = log.see(&TurnEvent::MessageEnded, at(1));
        assert_eq!(steps(told), [Step::Said { characters: 5 }]);
        assert_eq!(log.see(&TurnEvent::MessageEnded, at(1)), []);
        log.see(&TurnEvent::Said("Now".into()), at(2));
        let name = "Bash".into();
        assert_eq!(
            steps(log.see(&tool("Bash"), at(3))),
            [Step::Said { characters: 3 }, Step::Tool { name }]
        );
    }

    #[test]
    fn long_speech_is_told_while_it_goes_on() {
        let mut log = StepLog::default();
        assert_eq!(log.said("one", at(0)), []);
        assert_eq!(log.said("two", at(1999)), []);
        assert_eq!(
            steps(log.said("three", at(2000))),
            [Step::Said { characters: 11 }]
        );
        assert_eq!(log.said("four", at(2001)), []);
    }

    #[test]
    fn what_is_too_much_within_a_second_is_counted_only() {
        let mut log = StepLog::default();
        for _ in 0..MOST_A_SECOND {
            assert_eq!(log.see(&tool("x"), at(0)).len(), 1);
        }
        for _ in 0..7 {
            assert_eq!(log.see(&tool("x"), at(999)), []);
        }
        let told = log.see(&tool("x"), at(1000));
        assert_eq!(told.first().unwrap().skipped, 7);
        let told = log.see(&tool("x"), at(1001));
        assert_eq!(told.first().unwrap().skipped, 0);
    }
}
