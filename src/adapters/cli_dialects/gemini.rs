//! gemini: `gemini -o stream-json`.

use postroom_actors::domain::{
    agent::Permissions,
    turn::{CliSession, TurnEvent, Usage},
};
use serde_json::Value;

use super::{
    Dialect, OutputReader, ProcessEnd, TurnShape, Verdict,
    json_lines::{Fields, event},
    outcome::{ExitCodes, Outcome},
    owned,
    speech::{SessionNote, Speech, append_bounded, tool},
};

const EXIT_CODES: ExitCodes = &[
    (41, "it has no key and no log-in"),
    (
        42,
        "it does not take its input: an empty prompt, an unknown session, or one that exists already",
    ),
    (55, "it does not trust the folder that it runs in"),
    (145, "its model's API answered 401"),
];

/// The dialect of gemini.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gemini;

impl Dialect for Gemini {
    fn name(&self) -> &'static str {
        "gemini"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["gemini"]
    }

    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String> {
        let mut arguments = owned(&["-o", "stream-json"]);
        if turn.permissions == Permissions::Bypass {
            arguments.extend(owned(&["--yolo"]));
        }
        arguments.extend(match turn.session {
            CliSession::New(id) => owned(&["--session-id", id]),
            CliSession::Resume(id) => owned(&["--resume", id]),
        });
        arguments
    }

    fn variables(&self, _turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        vec![
            // It starts itself once more otherwise, and its first process eats SIGTERM.
            ("GEMINI_CLI_NO_RELAUNCH", "true".to_owned()),
            ("GEMINI_CLI_TRUST_WORKSPACE", "true".to_owned()),
        ]
    }

    fn passed(&self) -> &'static [&'static str] {
        &[
            "GEMINI_API_KEY",
            "GEMINI_MODEL",
            "GEMINI_SYSTEM_MD",
            "GOOGLE_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_*",
            "GOOGLE_GEMINI_BASE_URL",
            "GOOGLE_GENAI_*",
            "NODE_EXTRA_CA_CERTS",
        ]
    }

    fn reader(&self, _usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::new(Reader {
            usage: None,
            answer: String::new(),
            session: SessionNote::default(),
            speech: Speech::default(),
            outcome: Outcome::new("gemini", EXIT_CODES),
        })
    }
}

struct Reader {
    usage: Option<Usage>,
    /// What it said after the last tool's result.
    answer: String,
    session: SessionNote,
    speech: Speech,
    outcome: Outcome,
}

impl Reader {
    fn result(&mut self, event: &Value) {
        self.usage = event.get("stats").map(usage).or(self.usage);
        if event.text("/status") == Some("success") {
            self.outcome.succeed(&self.answer);
        } else {
            let words = event.text("/error/message").unwrap_or_default();
            self.outcome.fail(words);
        }
    }
}

impl OutputReader for Reader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        let Some(event) = event(line) else { return };
        match event.kind() {
            "init" => self.session.note(event.text("/session_id"), events),
            "message" if event.text("/role") == Some("assistant") => {
                let text = event.text("/content").unwrap_or_default();
                self.speech.piece(text, events);
                append_bounded(&mut self.answer, text);
            }
            "tool_use" => {
                self.speech.end(events);
                let command = event.text("/parameters/command");
                tool(command, event.text("/tool_name"), events);
            }
            "tool_result" => self.answer.clear(),
            "error" => {
                let words = event.text("/message").unwrap_or_default();
                self.outcome.trouble(words, events);
            }
            "result" => {
                self.speech.end(events);
                self.result(&event);
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, end: &ProcessEnd<'_>) -> Verdict {
        Verdict {
            result: self.outcome.result(end),
            usage: self.usage,
            usage_total: None,
        }
    }
}

fn usage(stats: &Value) -> Usage {
    Usage {
        input_tokens: stats.count("/input_tokens"),
        cached_input_tokens: stats.count("/cached"),
        output_tokens: stats.count("/output_tokens"),
        ..Usage::default()
    }
}
