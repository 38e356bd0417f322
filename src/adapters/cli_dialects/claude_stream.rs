//! The stream of events that claude prints, and qwen after its model.

use postroom_actors::domain::turn::{TurnEvent, Usage};
use serde_json::Value;

use super::{
    OutputReader, ProcessEnd, Verdict,
    json_lines::{Fields, event},
    outcome::Outcome,
    speech::{SessionNote, Speech, tool},
    usage::{add, since},
};

/// Where a turn's usage is told.
#[derive(Debug)]
pub(super) enum Counting {
    /// By the result for the turn, with the session's running total of costs.
    SessionCost {
        /// That total before the turn.
        usage_before: Option<Usage>,
    },
    /// By each message of the agent.
    Messages,
}

/// Reads one turn.
pub(super) struct StreamReader {
    counting: Counting,
    usage: Option<Usage>,
    usage_total: Option<Usage>,
    last_message: String,
    session: SessionNote,
    speech: Speech,
    outcome: Outcome,
}

impl StreamReader {
    /// Of a CLI whose end is judged by `outcome`.
    pub(super) fn new(outcome: Outcome, counting: Counting) -> Self {
        Self {
            counting,
            usage: None,
            usage_total: None,
            last_message: String::new(),
            session: SessionNote::default(),
            speech: Speech::default(),
            outcome,
        }
    }

    fn system(&mut self, event: &Value, events: &mut Vec<TurnEvent>) {
        match event.text("/subtype") {
            Some("init") => self.session.note(event.text("/session_id"), events),
            Some("api_retry") => {
                let error = event.text("/error").unwrap_or("error");
                let status = event.count("/error_status");
                let attempt = event.count("/attempt");
                let most = event.count("/max_retries");
                let words = if status == 0 {
                    format!("asks its model again ({attempt} of {most}): {error}")
                } else {
                    format!("asks its model again ({attempt} of {most}): {status} {error}")
                };
                self.outcome.trouble(&words, events);
            }
            Some("permission_denied") => {
                let name = event.text("/tool_name").unwrap_or("a tool");
                self.outcome
                    .trouble(&format!("was not permitted to call {name}"), events);
            }
            _ => {}
        }
    }

    fn streamed(&mut self, event: &Value, events: &mut Vec<TurnEvent>) {
        match event.text("/event/type") {
            Some("message_start") => self.speech.end(events),
            Some("content_block_delta")
                if event.text("/event/delta/type") == Some("text_delta") =>
            {
                let text = event.text("/event/delta/text").unwrap_or_default();
                self.speech.piece(text, events);
            }
            _ => {}
        }
    }

    fn assistant(&mut self, event: &Value, events: &mut Vec<TurnEvent>) {
        let blocks = event.items("/message/content");
        let text: String = blocks
            .iter()
            .filter(|block| block.kind() == "text")
            .filter_map(|block| block.text("/text"))
            .collect();
        if event.get("is_api_error_message") == Some(&Value::Bool(true)) {
            // Written by the CLI itself, in the place of an answer.
            self.outcome.trouble(&text, events);
        } else if !text.is_empty() && !is_of_subagent(event) {
            self.speech.whole(&text, events);
            self.last_message = text;
        }
        for call in blocks.iter().filter(|block| block.kind() == "tool_use") {
            tool(call.text("/input/command"), call.text("/name"), events);
        }
        if let (Counting::Messages, Some(told)) = (&self.counting, event.pointer("/message/usage"))
        {
            add(&mut self.usage, usage(told));
        }
    }

    fn result(&mut self, event: &Value) {
        let may_be_success = event
            .get("is_error")
            .is_none_or(|is_error| is_error == &Value::Bool(false));
        if may_be_success && event.text("/subtype") == Some("success") {
            let answer = event.text("/result").unwrap_or(&self.last_message);
            self.outcome.succeed(answer);
        } else {
            self.outcome.fail(&failure(event));
        }
        if let Counting::SessionCost { usage_before } = &self.counting {
            let total = session_total(event);
            self.usage = event.get("usage").map(|told| Usage {
                cost_microdollars: since(total, *usage_before).cost_microdollars,
                ..usage(told)
            });
            self.usage_total = Some(total);
        }
    }
}

impl OutputReader for StreamReader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        let Some(event) = event(line) else { return };
        match event.kind() {
            "system" => self.system(&event, events),
            "stream_event" if !is_of_subagent(&event) => self.streamed(&event, events),
            "assistant" => self.assistant(&event, events),
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
            usage_total: self.usage_total,
        }
    }
}

/// What a subagent says is said to the agent, not to us.
fn is_of_subagent(event: &Value) -> bool {
    event.text("/parent_tool_use_id").is_some()
}

fn failure(event: &Value) -> String {
    let errors: Vec<&str> = event
        .items("/errors")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let told = event
        .text("/result")
        .or_else(|| event.text("/error/message"));
    match told.filter(|words| !words.trim().is_empty()) {
        Some(words) => words.to_owned(),
        None if !errors.is_empty() => errors.join("; "),
        None => event.text("/subtype").unwrap_or_default().to_owned(),
    }
}

/// Only the costs are a running total that is told for the session.
fn session_total(event: &Value) -> Usage {
    Usage {
        cost_microdollars: event.microdollars("/total_cost_usd"),
        ..Usage::default()
    }
}

/// `input_tokens` leaves out what was read from or written to the cache; we do not.
fn usage(told: &Value) -> Usage {
    let cached = told.count("/cache_read_input_tokens");
    Usage {
        input_tokens: told
            .count("/input_tokens")
            .saturating_add(told.count("/cache_creation_input_tokens"))
            .saturating_add(cached),
        cached_input_tokens: cached,
        output_tokens: told.count("/output_tokens"),
        reasoning_tokens: told.count("/output_tokens_details/thinking_tokens"),
        cost_microdollars: None,
    }
}
