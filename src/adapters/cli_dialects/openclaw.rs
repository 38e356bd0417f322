//! openclaw: `openclaw agent --json`, a turn in the running Gateway.

use postroom_actors::domain::turn::{CliSession, TurnEvent, Usage};
use serde_json::Value;

use super::{
    Dialect, OutputReader, ProcessEnd, TurnShape, Verdict,
    json_lines::{Fields, event},
    outcome::{ExitCodes, Outcome},
    owned,
    speech::{SessionNote, Speech},
};

const EXIT_CODES: ExitCodes = &[
    (2, "it took longer than its own limit of time"),
    (130, "somebody ended it by SIGINT"),
    (143, "somebody ended it by SIGTERM"),
];

/// Longest document that is read, in bytes.
const LONGEST_DOCUMENT: usize = 8 << 20;

/// The dialect of openclaw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Openclaw;

impl Dialect for Openclaw {
    fn name(&self) -> &'static str {
        "openclaw"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["openclaw"]
    }

    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String> {
        let (CliSession::New(id) | CliSession::Resume(id)) = turn.session;
        owned(&[
            "agent",
            "--agent",
            "main",
            "--session-id",
            id,
            "--message-file",
            // Only `agent exec` knows `-`.
            "/dev/stdin",
            // Turns have a limit of ours.
            "--timeout",
            "0",
            "--json",
        ])
    }

    fn variables(&self, _turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn passed(&self) -> &'static [&'static str] {
        &[
            "NODE_EXTRA_CA_CERTS",
            "OPENCLAW_CONFIG_PATH",
            "OPENCLAW_GATEWAY_*",
            "OPENCLAW_HOME",
            "OPENCLAW_STATE_DIR",
        ]
    }

    fn reader(&self, _usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::new(Reader {
            document: String::new(),
            usage: None,
            session: SessionNote::default(),
            outcome: Outcome::new("openclaw", EXIT_CODES),
        })
    }
}

/// One JSON object, over one line or over several; what stands around it is passed over.
struct Reader {
    document: String,
    usage: Option<Usage>,
    session: SessionNote,
    outcome: Outcome,
}

impl Reader {
    fn whole(&mut self, told: &Value, events: &mut Vec<TurnEvent>) {
        // Of the Gateway; else of an embedded turn.
        let run = told.get("result").unwrap_or(told);
        let status = told.text("/status");
        if is_success(told, run) {
            let answer = told
                .text("/final")
                .map_or_else(|| payloads(run), str::to_owned);
            Speech::default().whole(&answer, events);
            self.outcome.succeed(&answer);
        } else if status.is_some() || told.get("ok").is_some() || run.get("meta").is_some() {
            self.outcome.fail(&failure(told, run));
        } else {
            return;
        }
        let usage_of_run = run.pointer("/meta/agentMeta/usage").or(told.get("usage"));
        self.usage = usage_of_run.map(|usage| Usage {
            cost_microdollars: told.microdollars("/costUsd"),
            ..counted(usage)
        });
        self.session
            .note(run.text("/meta/agentMeta/sessionId"), events);
    }
}

impl OutputReader for Reader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        // Inner braces are indented, so one at the very beginning opens a document.
        if line.starts_with('{') {
            self.document.clear();
        } else if self.document.is_empty() {
            return;
        }
        let length = self.document.len().saturating_add(line.len());
        if length > LONGEST_DOCUMENT {
            self.document.clear();
            return;
        }
        self.document.push_str(line);
        self.document.push('\n');
        let may_be_whole = line.starts_with(['{', '}']) && line.trim_end().ends_with('}');
        if let Some(told) = may_be_whole.then(|| event(&self.document)).flatten() {
            self.document.clear();
            self.whole(&told, events);
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

fn payloads(run: &Value) -> String {
    let texts: Vec<&str> = run
        .items("/payloads")
        .iter()
        .filter_map(|payload| payload.text("/text"))
        .collect();
    texts.join("\n\n")
}

fn is_success(told: &Value, run: &Value) -> bool {
    let is_true = |flag: Option<&Value>| flag == Some(&Value::Bool(true));
    let is_broken = told.get("ok") == Some(&Value::Bool(false))
        || is_true(run.pointer("/meta/aborted"))
        || run.pointer("/meta/error").is_some_and(Value::is_object);
    let has_run = run.get("payloads").is_some_and(Value::is_array);
    match told.text("/status") {
        Some(status) => status == "ok" && !is_broken,
        // An embedded turn has no status.
        None => has_run && !is_broken,
    }
}

fn failure(told: &Value, run: &Value) -> String {
    let words = told
        .text("/error/message")
        .or_else(|| run.text("/meta/error/message"))
        .or_else(|| told.text("/summary"))
        .unwrap_or_default();
    match told.text("/status") {
        Some("timeout") if words.is_empty() => "the Gateway ended the turn at its deadline".into(),
        Some("in_flight") => "the session has a turn that still runs in the Gateway".into(),
        _ => words.to_owned(),
    }
}

/// `input` leaves out what came from or went to the cache.
fn counted(usage: &Value) -> Usage {
    let cached = usage.count("/cacheRead");
    Usage {
        input_tokens: usage
            .count("/input")
            .saturating_add(usage.count("/cacheWrite"))
            .saturating_add(cached),
        cached_input_tokens: cached,
        output_tokens: usage.count("/output"),
        ..Usage::default()
    }
}
