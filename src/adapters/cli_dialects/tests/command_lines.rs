use std::path::Path;

use postroom_actors::domain::{
    agent::Permissions::{self, Bypass, Sandboxed},
    turn::CliSession,
};

use crate::adapters::cli_dialects::{DIALECTS, StopSignal, TurnShape, dialect};

const ID: &str = "0190aaaa-0000-7000-8000-000000000001";

fn shape(session: &CliSession, permissions: Permissions) -> TurnShape<'_> {
    TurnShape {
        session,
        permissions,
        workspace: Path::new("/home/agent"),
        working_dir: Path::new("/home/agent"),
        is_root: false,
    }
}

fn line(name: &str, session: &CliSession, permissions: Permissions) -> String {
    let arguments = dialect(name, "")
        .unwrap()
        .arguments(&shape(session, permissions));
    arguments.join(" ")
}

#[test]
fn each_cli_begins_a_session_and_resumes_it_by_its_id() {
    let quiet = "--disable plugins --disable apps -c analytics.enabled=false \
                 -c check_for_update_on_startup=false";
    let codex = "--json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox";
    let claude = "-p --output-format stream-json --verbose --include-partial-messages";
    let openclaw = format!(
        "agent --agent main --session-id {ID} --message-file /dev/stdin --timeout 0 --json"
    );
    for (name, first, resumed) in [
        (
            "codex",
            format!("exec {codex} {quiet} -"),
            format!("exec resume {codex} {quiet} {ID} -"),
        ),
        (
            "claude",
            format!("{claude} --session-id {ID} --dangerously-skip-permissions"),
            format!("{claude} --resume {ID} --dangerously-skip-permissions"),
        ),
        (
            "gemini",
            format!("-o stream-json --yolo --session-id {ID}"),
            format!("-o stream-json --yolo --resume {ID}"),
        ),
        (
            "opencode",
            "run --format json --auto --title Postroom".to_owned(),
            format!("run --format json --auto -s {ID}"),
        ),
        ("openclaw", openclaw.clone(), openclaw),
        (
            "qwen",
            "-o stream-json --yolo".to_owned(),
            format!("-o stream-json --yolo --resume {ID}"),
        ),
        (
            "copilot",
            format!("--output-format json --allow-all --no-ask-user --session-id {ID}"),
            format!("--output-format json --allow-all --no-ask-user --resume={ID}"),
        ),
        ("command", String::new(), String::new()),
    ] {
        let new = CliSession::New(ID.to_owned());
        let resume = CliSession::Resume(ID.to_owned());
        assert_eq!(line(name, &new, Bypass), first);
        assert_eq!(line(name, &resume, Bypass), resumed);
    }
}

#[test]
fn codex_alone_has_a_sandbox_and_may_call_back_from_it() {
    let quiet = "--disable plugins --disable apps -c analytics.enabled=false \
                 -c check_for_update_on_startup=false";
    let network = "-c sandbox_workspace_write.network_access=true";
    let new = CliSession::New(ID.to_owned());
    let resume = CliSession::Resume("thread-7".to_owned());
    assert_eq!(
        line("codex", &new, Sandboxed),
        format!("exec --json --skip-git-repo-check -s workspace-write {network} {quiet} -")
    );
    assert_eq!(
        line("codex", &resume, Sandboxed),
        format!(
            "exec resume --json --skip-git-repo-check -c sandbox_mode=\"workspace-write\" \
             {network} {quiet} thread-7 -"
        )
    );
    let elsewhere = TurnShape {
        working_dir: Path::new("/srv/project"),
        ..shape(&new, Sandboxed)
    };
    let arguments = dialect("codex", "").unwrap().arguments(&elsewhere);
    let roots = r#"sandbox_workspace_write.writable_roots=["/home/agent"]"#;
    assert!(arguments.iter().any(|argument| argument == roots));
    for known in DIALECTS {
        assert_eq!(known.can_sandbox(), known.name() == "codex");
    }
}

#[test]
fn without_bypass_no_cli_is_told_to_ask_nobody() {
    let new = CliSession::New(ID.to_owned());
    for known in DIALECTS {
        let line = line(known.name(), &new, Sandboxed);
        for flag in ["dangerously", "--yolo", "--auto", "--allow-all"] {
            assert!(!line.contains(flag), "{}: {line}", known.name());
        }
    }
}

#[test]
fn claude_is_told_of_root_only_where_it_skips_permissions_as_root() {
    let new = CliSession::New(ID.to_owned());
    for (is_root, permissions, expected) in [
        (true, Bypass, true),
        (false, Bypass, false),
        (true, Sandboxed, false),
    ] {
        let turn = TurnShape {
            is_root,
            ..shape(&new, permissions)
        };
        let variables = dialect("claude", "").unwrap().variables(&turn);
        let is_told = variables.contains(&("IS_SANDBOX", "1".to_owned()));
        assert_eq!(is_told, expected, "{is_root} {permissions:?}");
        let quiet = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC";
        assert!(variables.contains(&(quiet, "1".to_owned())));
    }
}

#[test]
fn no_cli_is_given_a_home_a_model_or_an_address_or_its_parents_marks() {
    let new = CliSession::New(ID.to_owned());
    for known in DIALECTS {
        let turn = shape(&new, Bypass);
        for (name, _) in known.variables(&turn) {
            for part in ["HOME", "MODEL_", "BASE_URL", "KEY"] {
                let is_switch = name.contains("_DISABLE_");
                assert!(is_switch || !name.contains(part), "{name}");
            }
        }
        for mark in [
            "CLAUDECODE",
            "CODEX_CI",
            "CODEX_THREAD_ID",
            "GEMINI_CLI",
            "AI_AGENT",
        ] {
            let is_passed = known.passed().iter().any(|pattern| {
                pattern
                    .strip_suffix('*')
                    .map_or(*pattern == mark, |begin| mark.starts_with(begin))
            });
            assert!(!is_passed, "{} passes {mark}", known.name());
        }
    }
}

#[test]
fn only_codex_is_asked_to_end_by_an_interrupt() {
    for known in DIALECTS {
        let expected = if known.name() == "codex" {
            StopSignal::Interrupt
        } else {
            StopSignal::Terminate
        };
        assert_eq!(known.stop_signal(), expected, "{}", known.name());
    }
}
