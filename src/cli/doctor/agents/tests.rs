use std::path::Path;

use super::*;

fn agent(dialect: &'static str, version: Option<&str>) -> Agent {
    Agent {
        id: "coder".to_owned(),
        is_wanted: true,
        is_by_inbox: false,
        dialect: Ok(dialect),
        program: Ok(PathBuf::from("/usr/bin/x")),
        version: version.map(|output| Answer::Ended {
            is_success: true,
            output: output.to_owned(),
            complaint: String::new(),
        }),
        no_sandbox: None,
        is_sandboxed: false,
        working_dir: Place {
            path: Path::new("/work").to_owned(),
            folder: Folder::Usable,
            disk: None,
        },
        login: Login::Variable("OPENAI_API_KEY"),
    }
}

fn told(agent: Agent) -> Vec<(&'static str, Grade)> {
    let facts = Facts {
        agents: vec![agent],
        ..Facts::default()
    };
    let findings = findings(&facts);
    findings
        .iter()
        .map(|finding| (finding.check, finding.grade))
        .collect()
}

#[test]
fn an_agent_that_can_work_is_well() {
    assert_eq!(
        told(agent("codex", Some("codex-cli 0.170.0"))),
        [
            ("program", Grade::Ok),
            ("version", Grade::Ok),
            ("login", Grade::Ok)
        ]
    );
}

#[test]
fn a_missing_program_is_one_fault_and_a_note_where_nobody_wants_it() {
    let missing = Agent {
        program: Err("program `codex` was not found; install it".to_owned()),
        ..agent("codex", None)
    };
    assert_eq!(told(missing.clone()), [("program", Grade::Fault)]);
    let unwanted = Agent {
        is_wanted: false,
        ..missing
    };
    assert_eq!(told(unwanted), [("program", Grade::Note)]);
}

#[test]
fn an_old_openclaw_is_a_fault_that_names_both_versions_and_the_cure() {
    let old = Facts {
        agents: vec![agent("openclaw", Some("OpenClaw 2026.3.13"))],
        ..Facts::default()
    };
    let found = findings(&old);
    let fault = found
        .iter()
        .find(|found| found.grade == Grade::Fault)
        .unwrap();
    for word in ["2026.3.13", "2026.6.11", "--message-file"] {
        assert!(fault.found.contains(word), "{fault:?}");
    }
    assert!(fault.mend.as_ref().unwrap().contains("openclaw@latest"));
}

#[test]
fn a_program_that_tells_no_version_is_warned_of_with_its_words() {
    let silent = Agent {
        version: Some(Answer::Ended {
            is_success: false,
            output: String::new(),
            complaint: "\nError: native binary not installed.\n".to_owned(),
        }),
        ..agent("claude", None)
    };
    let facts = Facts {
        agents: vec![silent],
        ..Facts::default()
    };
    let found = findings(&facts);
    assert_eq!(found[1].grade, Grade::Warning);
    assert!(found[1].found.contains("native binary"), "{found:?}");
    let hangs = Agent {
        version: Some(Answer::TooLong),
        ..agent("claude", None)
    };
    assert_eq!(told(hangs)[1], ("version", Grade::Warning));
}

#[test]
fn folders_sandboxes_and_credentials_are_looked_at() {
    let mut broken = agent("gemini", Some("0.61.0"));
    broken.no_sandbox = Some("the dialect `gemini` has no sandbox; x".to_owned());
    broken.working_dir.folder = Folder::Refused("Permission denied".to_owned());
    broken.login = Login::None("gemini");
    assert_eq!(
        told(broken)[2..],
        [
            ("sandbox", Grade::Fault),
            ("working_dir", Grade::Fault),
            ("login", Grade::Warning)
        ]
    );
}

#[test]
fn an_agent_with_an_inbox_needs_no_program() {
    let by_inbox = Agent {
        is_by_inbox: true,
        program: Err("x".to_owned()),
        ..agent("codex", None)
    };
    assert_eq!(told(by_inbox), [("program", Grade::Ok)]);
}
