//! What the command line answers.

use std::{fs, io};

use tempfile::TempDir;

use super::*;

struct Ran {
    code: u8,
    output: String,
    error: String,
}

fn world(root: &TempDir) -> World {
    World {
        environment: Vec::new(),
        working_dir: root.path().to_owned(),
        home_dir: Some(root.path().to_owned()),
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

fn run_alone(arguments: &[&str]) -> Ran {
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
    let parsed = |arguments: &[&str]| {
        parse(arguments.iter().map(OsString::from).collect()).map(|invocation| invocation.command)
    };
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
        (exit::OK, 4)
    );
    let again = run_in(&root, &install);
    assert_eq!(
        (again.code, again.output.matches("unchanged: ").count()),
        (exit::OK, 4)
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
    for (name, text) in skills::SKILLS {
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
