//! opencode: `opencode run --format json`.

use postroom_actors::domain::{
    agent::Permissions,
    turn::{CliSession, TurnEvent, Usage},
};
use serde_json::Value;

use super::{
    Dialect, OutputReader, ProcessEnd, TurnShape, Verdict,
    json_lines::{Fields, event},
    outcome::Outcome,
    owned,
    speech::{SessionNote, Speech, append_bounded, tool},
    usage::add,
};

/// The dialect of opencode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opencode;

impl Dialect for Opencode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["opencode"]
    }

    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String> {
        let mut arguments = owned(&["run", "--format", "json"]);
        if turn.permissions == Permissions::Bypass {
            arguments.extend(owned(&["--auto"]));
        }
        arguments.extend(match turn.session {
            // A title of ours saves the call of a model that would find one.
            CliSession::New(_) => owned(&["--title", "Postroom"]),
            CliSession::Resume(id) => owned(&["-s", id]),
        });
        arguments
    }

    fn variables(&self, _turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        // Its plugins stay: some log-ins are plugins.
        [
            "OPENCODE_DISABLE_AUTOUPDATE",
            "OPENCODE_DISABLE_LSP_DOWNLOAD",
            "OPENCODE_DISABLE_MODELS_FETCH",
        ]
        .map(|name| (name, "1".to_owned()))
        .to_vec()
    }

    fn passed(&self) -> &'static [&'static str] {
        &[
            "ANTHROPIC_API_KEY",
            "GEMINI_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "NODE_EXTRA_CA_CERTS",
            "OPENAI_API_KEY",
            "OPENCODE_API_KEY",
            "OPENCODE_CONFIG",
            "OPENCODE_CONFIG_CONTENT",
            "OPENCODE_CONFIG_DIR",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS",
            "OPENROUTER_API_KEY",
        ]
    }

    fn reader(&self, _usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::new(Reader {
            usage: None,
            answer: String::new(),
            session: SessionNote::default(),
            speech: Speech::default(),
            outcome: Outcome::new("opencode", &[]),
        })
    }
}

struct Reader {
    usage: Option<Usage>,
    /// What it said after the last tool call.
    answer: String,
    session: SessionNote,
    speech: Speech,
    outcome: Outcome,
}

impl Reader {
    fn step_finished(&mut self, event: &Value, events: &mut Vec<TurnEvent>) {
        if let Some(part) = event.get("part") {
            add(&mut self.usage, usage(part));
        }
        match event.text("/part/reason") {
            Some("stop") => self.outcome.succeed(&self.answer),
            None | Some("tool-calls") => {}
            Some(reason) => {
                let words = format!("its last step ended by `{reason}`");
                self.outcome.trouble(&words, events);
            }
        }
    }
}

impl OutputReader for Reader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        let Some(event) = event(line) else { return };
        self.session.note(event.text("/sessionID"), events);
        match event.kind() {
            "text" => {
                let text = event.text("/part/text").unwrap_or_default();
                self.speech.whole(text, events);
                append_bounded(&mut self.answer, text);
            }
            "tool_use" => {
                self.answer.clear();
                let command = event.text("/part/state/input/command");
                tool(command, event.text("/part/tool"), events);
            }
            "step_finish" => self.step_finished(&event, events),
            "error" => {
                let words = event
                    .text("/error/data/message")
                    .or_else(|| event.text("/error/name"));
                self.outcome.fail(words.unwrap_or_default());
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

/// `input` leaves out what came from or went to the cache, `output` the reasoning.
fn usage(part: &Value) -> Usage {
    let cached = part.count("/tokens/cache/read");
    let reasoning = part.count("/tokens/reasoning");
    Usage {
        input_tokens: part
            .count("/tokens/input")
            .saturating_add(part.count("/tokens/cache/write"))
            .saturating_add(cached),
        cached_input_tokens: cached,
        output_tokens: part.count("/tokens/output").saturating_add(reasoning),
        reasoning_tokens: reasoning,
        cost_microdollars: part.microdollars("/cost"),
    }
}
