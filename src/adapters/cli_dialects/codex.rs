//! codex: `codex exec --json`.

use postroom_actors::domain::{
    agent::Permissions,
    turn::{CliSession, TurnEvent, Usage},
};
use serde_json::Value;

use super::{
    Dialect, OutputReader, ProcessEnd, StopSignal, TurnShape, Verdict,
    json_lines::{Fields, event},
    outcome::{ExitCodes, Outcome, warn},
    owned,
    speech::{SessionNote, Speech, tool},
    usage::since,
};

const EXIT_CODES: ExitCodes = &[(2, "it does not know an argument; is its version too old?")];

/// Features that go to the network at start, and the switches of the rest.
const QUIET: [&str; 8] = [
    "--disable",
    "plugins",
    "--disable",
    "apps",
    "-c",
    "analytics.enabled=false",
    "-c",
    "check_for_update_on_startup=false",
];

/// The dialect of codex.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codex;

impl Dialect for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn programs(&self) -> &'static [&'static str] {
        &["codex"]
    }

    fn arguments(&self, turn: &TurnShape<'_>) -> Vec<String> {
        let mut arguments = owned(match turn.session {
            CliSession::New(_) => &["exec"],
            CliSession::Resume(_) => &["exec", "resume"],
        });
        arguments.extend(owned(&["--json", "--skip-git-repo-check"]));
        arguments.extend(permissions(turn));
        arguments.extend(owned(&QUIET));
        if let CliSession::Resume(id) = turn.session {
            arguments.push(id.clone());
        }
        arguments.push("-".to_owned());
        arguments
    }

    fn variables(&self, _turn: &TurnShape<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn passed(&self) -> &'static [&'static str] {
        &[
            "AZURE_OPENAI_*",
            "CODEX_ACCESS_TOKEN",
            "CODEX_API_KEY",
            "CODEX_CA_CERTIFICATE",
            "CODEX_HOME",
            "OPENAI_*",
            "SSL_CERT_FILE",
        ]
    }

    fn can_sandbox(&self) -> bool {
        true
    }

    fn stop_signal(&self) -> StopSignal {
        // On SIGTERM it leaves its tools running.
        StopSignal::Interrupt
    }

    fn reader(&self, usage_before: Option<Usage>) -> Box<dyn OutputReader> {
        Box::new(Reader {
            usage_before,
            usage_total: None,
            last_message: String::new(),
            session: SessionNote::default(),
            speech: Speech::default(),
            outcome: Outcome::new("codex", EXIT_CODES),
        })
    }
}

/// `exec resume` has no `-s`: there the same is said by settings.
fn permissions(turn: &TurnShape<'_>) -> Vec<String> {
    if turn.permissions == Permissions::Bypass {
        return owned(&["--dangerously-bypass-approvals-and-sandbox"]);
    }
    let mut arguments = match turn.session {
        CliSession::New(_) => owned(&["-s", "workspace-write"]),
        CliSession::Resume(_) => owned(&["-c", r#"sandbox_mode="workspace-write""#]),
    };
    // Without it the sandbox also keeps a turn from calling back.
    arguments.extend(owned(&[
        "-c",
        "sandbox_workspace_write.network_access=true",
    ]));
    if turn.workspace != turn.working_dir
        && let Some(workspace) = turn.workspace.to_str()
    {
        let roots = Value::from(vec![workspace]);
        arguments.push("-c".to_owned());
        arguments.push(format!("sandbox_workspace_write.writable_roots={roots}"));
    }
    arguments
}

struct Reader {
    usage_before: Option<Usage>,
    usage_total: Option<Usage>,
    last_message: String,
    session: SessionNote,
    speech: Speech,
    outcome: Outcome,
}

impl Reader {
    fn item_completed(&mut self, event: &Value, events: &mut Vec<TurnEvent>) {
        match event.text("/item/type") {
            Some("agent_message") => {
                let text = event.text("/item/text").unwrap_or_default();
                text.clone_into(&mut self.last_message);
                self.speech.whole(text, events);
            }
            Some("error") => {
                warn(event.text("/item/message").unwrap_or_default(), events);
            }
            _ => {}
        }
    }
}

impl OutputReader for Reader {
    fn line(&mut self, line: &str, events: &mut Vec<TurnEvent>) {
        let Some(event) = event(line) else { return };
        match event.kind() {
            "thread.started" => self.session.note(event.text("/thread_id"), events),
            "item.started" => match event.text("/item/type") {
                None | Some("agent_message" | "error" | "reasoning" | "todo_list") => {}
                kind => tool(
                    event.text("/item/command"),
                    event.text("/item/tool").or(kind),
                    events,
                ),
            },
            "item.completed" => self.item_completed(&event, events),
            "error" => {
                let words = event.text("/message").unwrap_or_default();
                self.outcome.trouble(words, events);
            }
            "turn.completed" => {
                self.usage_total = event.get("usage").map(usage).or(self.usage_total);
                self.outcome.succeed(&self.last_message);
            }
            "turn.failed" => {
                let words = event.text("/error/message").unwrap_or_default();
                self.outcome.fail(words);
            }
            _ => {}
        }
    }

    fn finish(self: Box<Self>, end: &ProcessEnd<'_>) -> Verdict {
        Verdict {
            result: self.outcome.result(end),
            usage: self
                .usage_total
                .map(|total| since(total, self.usage_before)),
            usage_total: self.usage_total,
        }
    }
}

fn usage(told: &Value) -> Usage {
    Usage {
        input_tokens: told.count("/input_tokens"),
        cached_input_tokens: told.count("/cached_input_tokens"),
        output_tokens: told.count("/output_tokens"),
        reasoning_tokens: told.count("/reasoning_output_tokens"),
        cost_microdollars: None,
    }
}
