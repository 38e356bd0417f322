mod any_line;
mod command_lines;
mod endings;
mod turns;

use std::path::Path;

use postroom_actors::domain::turn::{FailureCode, TurnEvent, Usage};

use super::{ProcessEnd, UnknownDialect, Verdict, dialect};

/// A process that exited with this code and said nothing on standard error.
fn exited(code: i32) -> ProcessEnd<'static> {
    ProcessEnd {
        exit_code: Some(code),
        signal: None,
        stderr_tail: "",
    }
}

/// What a turn that printed these lines is seen to do, and what came of it.
fn read_after(
    name: &str,
    before: Option<Usage>,
    lines: &[&str],
    end: &ProcessEnd<'_>,
) -> (Vec<TurnEvent>, Verdict) {
    let mut reader = dialect(name, "").unwrap().reader(before);
    let mut events = Vec::new();
    for line in lines {
        reader.line(line, &mut events);
    }
    (events, reader.finish(end))
}

fn read(name: &str, lines: &[&str], end: &ProcessEnd<'_>) -> (Vec<TurnEvent>, Verdict) {
    read_after(name, None, lines, end)
}

fn failure(verdict: &Verdict) -> (FailureCode, &str) {
    let failure = verdict.result.as_ref().unwrap_err();
    (failure.code, &failure.message)
}

fn said(text: &str) -> TurnEvent {
    TurnEvent::Said(text.into())
}

fn tool(text: &str) -> TurnEvent {
    TurnEvent::Tool(text.into())
}

fn trouble(text: &str) -> TurnEvent {
    TurnEvent::Trouble(text.into())
}

fn session(id: &str) -> TurnEvent {
    TurnEvent::Session(id.to_owned())
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage {
        input_tokens: input,
        output_tokens: output,
        ..Usage::default()
    }
}

#[test]
fn a_dialect_is_found_by_its_name_else_by_the_programs_file_name() {
    for (name, program, expected) in [
        ("", "codex", "codex"),
        ("", "/opt/tools/bin/claude", "claude"),
        ("", "bundle/gemini.js", "gemini"),
        ("", "opencode.exe", "opencode"),
        ("", "codex-wrapper", "command"),
        ("", "node", "command"),
        ("", "", "command"),
        ("", "..", "command"),
        ("qwen", "node", "qwen"),
        ("command", "codex", "command"),
    ] {
        let found = dialect(name, program).unwrap();
        assert_eq!(found.name(), expected, "{name:?} {program:?}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_known_ones() {
    let error: UnknownDialect = dialect("codecs", "codex").err().unwrap();
    assert_eq!(
        error.to_string(),
        "there is no dialect `codecs`; known are `codex`, `claude`, `gemini`, `opencode`, \
         `openclaw`, `qwen`, `copilot`, `command`"
    );
}

#[test]
fn every_dialect_stands_in_the_page_about_them() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/dialects.md");
    let page = std::fs::read_to_string(page).unwrap();
    for known in super::DIALECTS {
        let row = format!("| `{}` |", known.name());
        assert!(page.contains(&row), "no row {row}");
    }
}
