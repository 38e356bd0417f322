//! What the command line answers.

use std::{fs, io, path::PathBuf};

use tempfile::TempDir;

use super::*;

pub(super) struct Ran {
    pub(super) code: u8,
    pub(super) output: String,
    pub(super) error: String,
}

pub(super) fn world(root: &TempDir) -> World {
    World {
        environment: Vec::new(),
        working_dir: root.path().to_owned(),
        home_dir: Some(root.path().to_owned()),
        executable: PathBuf::from("/usr/bin/postroom"),
        now: chrono::DateTime::UNIX_EPOCH,
        is_terminal: false,
    }
}

fn run_in(root: &TempDir, arguments: &[&str]) -> Ran {
    let (mut output, mut error) = (Vec::new(), Vec::new());
    let arguments = arguments.iter().map(OsString::from).collect();
    let code = run(arguments, &world(root), &mut output, &mut error);
    Ran {
        code,
        output: String::from_utf8(output).unwrap(),
        error: String::from_utf8(error).unwrap(),
    }
}

pub(super) fn run_alone(arguments: &[&str]) -> Ran {
    run_in(&TempDir::new().unwrap(), arguments)
}

/// Standard output that is closed or full.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn wrong_usage_is_64_and_names_what_is_near() {
    for (arguments, expected) in [
        (&["postroom", "serv"][..], "serve"),
        (&["postroom", "serve", "--prot", "1"], "--port"),
        (&["postroom", "serve", "--port"], "value"),
        (
            &["postroom", "serve", "--port", "1", "--port", "2"],
            "multiple times",
        ),
        (
            &["postroom", "serve", "--config", "a.toml", "-f", "b.toml"],
            "multiple times",
        ),
        (&["postroom", "serve", "--config", ""], "empty"),
        (&["postroom", "serve", "--config", "-"], "standard input"),
        (&["postroom", "serve", "--debug", "2"], "possible values"),
        (&["postroom"], "Usage"),
        (&["ai-agent-proxy", "--imbox", "x"], "--inbox"),
    ] {
        let ran = run_alone(arguments);
        assert_eq!(
            (ran.code, ran.output.as_str()),
            (exit::USAGE, ""),
            "{arguments:?}"
        );
        assert!(ran.error.contains(expected), "{}", ran.error);
    }
}

#[test]
fn help_goes_to_standard_output_and_fits_80_columns() {
    for arguments in [
        &["postroom", "--help"][..],
        &["postroom", "serve", "--help"],
        &["postroom", "config", "show", "--help"],
        &["postroom", "daemon", "--help"],
        &["postroom", "connect", "--help"],
        &["postroom", "enable", "--help"],
        &["postroom", "turns", "--help"],
        &["postroom", "send", "--help"],
        &["postroom", "messages", "list", "--help"],
        &["postroom", "dead-letters", "retry", "--help"],
        &["postroom", "--version"],
    ] {
        let ran = run_alone(arguments);
        assert_eq!((ran.code, ran.error.as_str()), (exit::OK, ""));
        assert!(
            ran.output.lines().all(|line| line.chars().count() < 80),
            "{}",
            ran.output
        );
    }
}

#[test]
fn the_predecessors_name_means_serve_unless_a_verb_follows() {
    let flags = [
        "/usr/bin/ai-agent-proxy",
        "--inbox",
        "in",
        "--port",
        "1",
        "--api_key",
        "k",
        "--worker",
        "2",
        "--debug",
        "1",
    ];
    assert!(
        matches!(parsed(&flags), Ok(Command::Serve(flags)) if flags.inbox.as_deref() == Some("in"))
    );
    assert!(matches!(parsed(&["ai-agent-proxy"]), Ok(Command::Serve(_))));
    assert!(matches!(
        parsed(&["ai-agent-proxy", "serve", "--inbox", "in"]),
        Ok(Command::Serve(_))
    ));
    assert!(matches!(
        parsed(&["ai-agent-proxy", "config", "schema"]),
        Ok(Command::Config(_))
    ));
    let help = run_alone(&["ai-agent-proxy", "--help"]);
    assert!(
        help.code == exit::OK && help.output.contains("--inbox"),
        "{}",
        help.output
    );
}

#[test]
fn config_check_lists_every_problem_or_says_ok() {
    let root = TempDir::new().unwrap();
    let ran = run_in(&root, &["postroom", "config", "check"]);
    assert_eq!((ran.code, ran.output.as_str()), (exit::OK, "ok\n"));
    fs::write(
        root.path().join("postroom.toml"),
        "[server]\nprot = 1\nport = -1\n",
    )
    .unwrap();
    let ran = run_in(&root, &["postroom", "config", "check"]);
    assert_eq!(ran.code, exit::CONFIG);
    assert!(
        ran.output
            .contains("postroom.toml:2:1: unknown key `prot`; did you mean `port`?"),
        "{}",
        ran.output
    );
    assert!(
        ran.output.contains("postroom.toml:3:8: `server.port`"),
        "{}",
        ran.output
    );
    let serve = run_in(&root, &["postroom", "serve"]);
    assert!(
        serve.code == exit::CONFIG && serve.error.contains("did you mean"),
        "{}",
        serve.error
    );
}

#[test]
fn config_show_and_schema_print_what_programs_can_read() {
    let root = TempDir::new().unwrap();
    let shown = run_in(&root, &["postroom", "config", "show", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&shown.output).unwrap();
    assert_eq!(json["settings"]["server"]["port"], 7011);
    let schema = run_in(&root, &["postroom", "config", "schema"]);
    assert!(schema.output.contains("\"additionalProperties\": false"));
}

#[test]
fn a_broken_standard_output_is_74() {
    let root = TempDir::new().unwrap();
    for arguments in [
        &["postroom", "config", "schema"][..],
        &["postroom", "config", "show"],
        &["postroom", "--help"],
    ] {
        let arguments = arguments.iter().map(OsString::from).collect();
        let code = run(arguments, &world(&root), &mut Broken, &mut Vec::new());
        assert_eq!(code, exit::IO);
    }
}

#[test]
fn skills_are_written_once_and_changed_ones_are_kept() {
    let root = TempDir::new().unwrap();
    let install = ["postroom", "skills", "install", "to"];
    let first = run_in(&root, &install);
    assert_eq!(
        (first.code, first.output.matches("written: ").count()),
        (exit::OK, 5)
    );
    let again = run_in(&root, &install);
    assert_eq!(
        (again.code, again.output.matches("unchanged: ").count()),
        (exit::OK, 5)
    );
    let changed = root.path().join("to/work-an-inbox/SKILL.md");
    fs::write(&changed, "mine").unwrap();
    let kept = run_in(&root, &install);
    assert_eq!(kept.code, exit::CANNOT_CREATE);
    assert!(
        kept.output
            .contains(&format!("--force): {}", changed.display())),
        "{}",
        kept.output
    );
    assert_eq!(fs::read_to_string(&changed).unwrap(), "mine");
    let forced = run_in(&root, &["postroom", "skills", "install", "to", "--force"]);
    assert_eq!(forced.code, exit::OK);
    assert_ne!(fs::read_to_string(&changed).unwrap(), "mine");
}

#[test]
fn skills_go_to_our_folder_by_default() {
    let root = TempDir::new().unwrap();
    run_in(&root, &["postroom", "skills", "install"]);
    assert!(
        root.path()
            .join(".postroom/skills/context-cache/SKILL.md")
            .is_file()
    );
}

#[test]
fn each_skill_begins_with_its_name_and_a_description() {
    for (file, text) in skills::FILES {
        let Some(name) = file.strip_suffix("/SKILL.md") else {
            continue;
        };
        let head = text
            .strip_prefix("---\n")
            .and_then(|rest| rest.split_once("\n---\n"))
            .map(|(head, _)| head);
        let head = head.unwrap_or_else(|| panic!("{name} has no front matter"));
        let lines: Vec<_> = head.lines().collect();
        assert_eq!(lines[0], format!("name: {name}"));
        assert!(
            lines[1].starts_with("description: ") && lines.len() == 2,
            "{name}"
        );
    }
}

fn parsed(arguments: &[&str]) -> Result<Command, clap::Error> {
    parse(arguments.iter().map(OsString::from).collect()).map(|invocation| invocation.command)
}

#[test]
fn the_daemon_takes_its_own_flags_and_those_of_serve() {
    let line = "postroom daemon --api-host 127.0.0.2 --api-port 7099 --cli claude \
                --interval 5m --once --inbox in --base-dir home";
    let Ok(Command::Daemon(args)) = parsed(&line.split_whitespace().collect::<Vec<_>>()) else {
        panic!("{line}");
    };
    let (flags, mode) = args.split();
    assert_eq!(flags.host.as_deref(), Some("127.0.0.2"));
    assert_eq!(flags.port.as_deref(), Some("7099"));
    assert_eq!(flags.cli.as_deref(), Some("claude"));
    assert_eq!(flags.inbox.as_deref(), Some("in"));
    assert_eq!(flags.base_dir, Some(PathBuf::from("home")));
    assert!(mode.with_manager && mode.once);
    assert_eq!(mode.interval, std::time::Duration::from_mins(5));
    for wrong in [
        &["postroom", "daemon", "--api-port", "1", "--port", "2"][..],
        &["postroom", "daemon", "--interval", "0s"],
        &["postroom", "daemon", "--interval", "soon"],
    ] {
        assert_eq!(run_alone(wrong).code, exit::USAGE, "{wrong:?}");
    }
}

#[test]
fn the_command_of_the_daemon_is_that_of_all_agents() {
    let root = TempDir::new().unwrap();
    let flags = Flags {
        cli: Some("claude --model x".to_owned()),
        ..Flags::default()
    };
    let loaded =
        crate::settings::load_with_sources(world(&root).sources(flags, "postroom")).unwrap();
    let json = crate::settings::show::as_json(&loaded);
    assert_eq!(
        json["settings"]["agents"]["defaults"]["cli"],
        "claude --model x"
    );
}

#[test]
fn agents_are_hired_for_the_next_start_while_no_service_runs() {
    let root = TempDir::new().unwrap();
    for again in 0..2 {
        let ran = run_in(
            &root,
            &["postroom", "hire", "engineer", "alice", "--cli", "claude"],
        );
        assert_eq!(ran.code, exit::OK, "{again}: {}", ran.error);
        assert!(
            ran.output
                .starts_with("engineer_alice (postroom is not running")
        );
    }
    let kept = root
        .path()
        .join(".postroom/engineer_alice/control/agent.json");
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(kept).unwrap()).unwrap();
    assert_eq!(kept["cli"], "claude");
    let ran = run_in(&root, &["postroom", "init", "bob", "--cli", "'"]);
    assert_ne!(ran.code, exit::OK);
    assert!(!root.path().join(".postroom/bob").exists());
}

#[test]
fn commands_for_a_service_that_does_not_run_say_how_to_start_it() {
    for arguments in [
        &["postroom", "list"][..],
        &["postroom", "status"],
        &["postroom", "connect", "manager", "src", "--new"],
        &["postroom", "stop", "engineer"],
        &["postroom", "start", "engineer_alice"],
        &["postroom", "resume", "engineer_alice"],
        &["postroom", "turns", "manager", "--limit", "3"],
        &["postroom", "send", "manager", "hello"],
        &["postroom", "messages", "list"],
        &["postroom", "messages", "show", "x"],
        &["postroom", "dead-letters", "list"],
        &["postroom", "dead-letters", "drop", "x"],
    ] {
        let ran = run_alone(arguments);
        assert_eq!(
            (ran.code, ran.output.as_str(), ran.error.as_str()),
            (
                exit::UNAVAILABLE,
                "",
                "postroom is not running; start it with `postroom daemon`\n"
            ),
            "{arguments:?}"
        );
    }
    let ran = run_alone(&["postroom", "status", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!(
        (ran.code, &told["running"]),
        (exit::UNAVAILABLE, &false.into())
    );
}

#[test]
fn names_that_no_agent_can_have_are_wrong_usage() {
    for arguments in [
        &["postroom", "hire", " "][..],
        &["postroom", "connect", "../x"],
        &["postroom", "turns", "A/B"],
        &["postroom", "start", ""],
        &["postroom", "turns", "manager", "--limit", "0"],
    ] {
        assert_eq!(run_alone(arguments).code, exit::USAGE, "{arguments:?}");
    }
}

#[test]
fn agents_are_hired_listed_stopped_and_started_over_the_api() {
    let (endpoint, requests) = client::tests::server(Box::new(|request| {
        let agent = |id, state| serde_json::json!({"id": id, "state": state, "cli": "codex"});
        let answer = match request.line.as_str() {
            "POST /agents HTTP/1.1" => {
                serde_json::json!({"agent": agent("engineer_alice", "idle"), "created": true})
            }
            "GET /agents HTTP/1.1" => {
                serde_json::json!({"agents": [agent("engineer_alice", "idle")]})
            }
            "GET /health HTTP/1.1" => serde_json::json!({"ok": true, "pid": 77}),
            "GET /readyz HTTP/1.1" => serde_json::json!({"ready": true, "problems": []}),
            "POST /agents/engineer_alice/stop HTTP/1.1" => agent("engineer_alice", "stopped"),
            "POST /agents/engineer_alice/resume HTTP/1.1" => agent("engineer_alice", "idle"),
            _ => {
                let error = serde_json::json!({"error": {"message": "unknown"}});
                return client::tests::json_answer("404 Not Found", &error);
            }
        };
        client::tests::json_answer("200 OK", &answer)
    }));
    let home = client::tests::home(&endpoint);
    let base_dir = home.path().to_str().unwrap();
    let run = |arguments: &str| {
        let arguments = ["postroom"].into_iter().chain(arguments.split(' '));
        let arguments: Vec<_> = arguments.chain(["--base-dir", base_dir]).collect();
        let ran = run_alone(&arguments);
        (ran.code, ran.output + &ran.error)
    };
    let said = |text: &str| (exit::OK, text.to_owned());
    assert_eq!(
        run("hire engineer alice --cli claude"),
        said("engineer_alice idle\n")
    );
    let order: serde_json::Value = serde_json::from_str(&requests.recv().unwrap().body).unwrap();
    assert_eq!(
        order,
        serde_json::json!({"role": "engineer", "name": "alice", "cli": "claude"})
    );
    assert_eq!(run("init engineer"), said("engineer_alice idle\n"));
    assert_eq!(requests.recv().unwrap().body, r#"{"role":"engineer"}"#);
    assert_eq!(run("stop engineer"), said("engineer_alice stopped\n"));
    assert_eq!(run("resume engineer_alice"), said("engineer_alice idle\n"));
    assert!(run("list").1.contains("engineer_alice  idle"));
    assert_eq!(
        run("status"),
        said(&format!(
            "master (pid 77) {endpoint}\n└── engineer_alice (idle)\n"
        ))
    );
    let unknown = "there is no agent `bob`; there are: engineer_alice\n";
    assert_eq!(run("start bob"), (exit::FAILURE, unknown.to_owned()));
    assert_eq!(run("stop bob"), (exit::FAILURE, unknown.to_owned()));
}
