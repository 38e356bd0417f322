//! copilot: `copilot --output-format json`.

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
    speech::{SessionNote, Speech, tool},
};

/// The dialect of copilot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copilot;

impl Dialect for Copilot {
    fn name(&self) -> &'static str {
        "copilot"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["copilot"]
    }

    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String> {
        let mut arguments = owned(&["--output-format", "json"]);
        if turn.permissions == Permissions::Bypass {
            arguments.extend(owned(&["--allow-all"]));
        }
        arguments.extend(owned(&["--no-ask-user"]));
        arguments.extend(match turn.session {
            CliSession::New(id) => owned(&["--session-id", id]),
            CliSession::Resume(id) => vec![format!("--resume={id}")],
        });
        arguments
    }

    fn variables(&self, _turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        // `COPILOT_OFFLINE` is left to its user: it rules out the log-in at GitHub.
        vec![("COPILOT_AUTO_UPDATE", "false".to_owned())]
    }

    fn passed(&self) -> &'static [&'static str] {
        &[
            "COPILOT_GITHUB_TOKEN",
            "COPILOT_HOME",
            "COPILOT_MODEL",
            "COPILOT_OFFLINE",
            "COPILOT_PROVIDER_*",
            "GH_TOKEN",
            "GITHUB_TOKEN",
            "NODE_EXTRA_CA_CERTS",
        ]
    }

    fn reader(&self, _usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::new(Reader {
            answer: String::new(),
            is_aborted: false,
            session: SessionNote::default(),
            speech: Speech::default(),
            outcome: Outcome::new("copilot", &[]),
        })
    }
}

struct Reader {
    /// Its last message that called no tool.
    answer: String,
    /// An aborted turn still ends with a result of exit code 0.
    is_aborted: bool,
    session: SessionNote,
    speech: Speech,
    outcome: Outcome,
}

impl Reader {
    fn message(&mut self, event: &Value, events: &mut Vec<TurnEvent>) {
        let text = event.text("/data/content").unwrap_or_default();
        self.speech.whole(text, events);
        if event.items("/data/toolRequests").is_empty() {
            text.clone_into(&mut self.answer);
        }
    }

    fn result(&mut self, event: &Value) {
        let exit_code = event.get("exitCode").and_then(Value::as_i64);
        if self.is_aborted {
            self.outcome.fail("`copilot` aborted the turn");
        } else if exit_code == Some(0) {
            self.outcome.succeed(&self.answer);
        } else {
            self.outcome.fail("");
        }
    }
}

impl OutputReader for Reader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        let Some(event) = event(line) else { return };
        // What a subagent says is said to the agent, not to us.
        let is_of_subagent = event.text("/data/parentToolCallId").is_some();
        match event.kind() {
            "assistant.message_delta" if !is_of_subagent => {
                let text = event.text("/data/deltaContent").unwrap_or_default();
                self.speech.piece(text, events);
            }
            "assistant.message" if !is_of_subagent => self.message(&event, events),
            "tool.execution_start" => tool(
                event.text("/data/arguments/command"),
                event.text("/data/toolName"),
                events,
            ),
            "model.call_failure" => {
                let words = event.text("/data/errorMessage").unwrap_or_default();
                self.outcome.trouble(words, events);
            }
            "session.error" => {
                let words = event.text("/data/message").unwrap_or_default();
                self.outcome.trouble(words, events);
            }
            "abort" => self.is_aborted = true,
            "result" => {
                self.session.note(event.text("/sessionId"), events);
                self.speech.end(events);
                self.result(&event);
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, end: &ProcessEnd<'_>) -> Verdict {
        Verdict {
            result: self.outcome.result(end),
            usage: None,
            usage_total: None,
        }
    }
}
