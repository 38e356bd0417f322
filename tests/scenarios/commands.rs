//! The command line.

use crate::support::broker::postroom;

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = postroom()
        .args(args)
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn help_goes_to_standard_output_and_wrong_usage_to_64() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    assert!(
        out.contains("serve") && out.contains("config") && out.contains("skills"),
        "{out}"
    );
    for wrong in [&["--foo"][..], &["serv"], &["serve", "--port"]] {
        let (code, _, err) = run(wrong);
        assert_eq!(code, Some(64), "{wrong:?}: {err}");
    }
    let (_, _, err) = run(&["serv"]);
    assert!(err.contains("serve"), "{err}");
}

#[test]
fn a_configuration_is_checked_shown_and_described() {
    let (code, out, err) = run(&["config", "check"]);
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, _) = run(&["config", "show"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("[mailbox]") && out.contains("7011"), "{out}");
    let (code, out, _) = run(&["config", "schema"]);
    assert_eq!(code, Some(0));
    assert!(
        serde_json::from_str::<serde_json::Value>(&out).unwrap()["properties"]["mailbox"]
            .is_object()
    );
}

#[test]
fn a_typo_in_a_configuration_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    std::fs::write(
        &path,
        "[server]\nport = 7011\n[backend]\nurll = \"http://x\"\n",
    )
    .unwrap();
    let (code, out, err) = run(&["config", "check", "--config", path.to_str().unwrap()]);
    assert_eq!(code, Some(78), "{out}{err}");
    let said = out + &err;
    assert!(
        said.contains("p.toml:4") && said.contains("urll") && said.contains("`url`"),
        "{said}"
    );
}

#[test]
fn skills_are_installed_where_told() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("skills");
    let (code, out, err) = run(&["skills", "install", target.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}{err}");
    let installed = std::fs::read_dir(&target).unwrap().count();
    assert!(installed >= 4, "{installed}");
}

#[test]
fn closed_standard_output_is_no_panic() {
    #[expect(clippy::disallowed_methods, reason = "a shell closes the output")]
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            &format!(
                "{} config schema >/dev/full",
                env!("CARGO_BIN_EXE_postroom")
            ),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn bash_understands_its_completions_and_hidden_verbs_are_not_completed() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("completions.bash");
    let (code, out, err) = run(&["completions", "bash"]);
    assert_eq!(code, Some(0), "{err}");
    std::fs::write(&script, &out).unwrap();
    let shown = script.display();
    let complete = |words: &str, word: &str, before: &str, at: usize| {
        let lines = format!(
            "source {shown}\nCOMP_WORDS=({words})\nCOMP_CWORD={at}\n_postroom postroom '{word}' {before}\necho \"${{COMPREPLY[*]}}\""
        );
        shell("bash", &["-c", &lines])
    };
    shell("bash", &["-n", &shown.to_string()]);
    assert_eq!(
        complete("postroom me", "me", "postroom", 1).trim(),
        "messages"
    );
    assert_eq!(
        complete("postroom demo", "demo", "postroom", 1).trim(),
        "demo"
    );
    let verbs = complete("postroom messages ''", "", "messages", 2);
    for verb in ["list", "show", "cancel"] {
        assert!(
            verbs.split_whitespace().any(|found| found == verb),
            "{verbs}"
        );
    }
    for other in ["zsh", "fish", "elvish", "powershell"] {
        let (code, out, err) = run(&["completions", other]);
        assert_eq!(code, Some(0), "{err}");
        assert!(
            out.contains("doctor") && !out.contains("demo-agent"),
            "{other}"
        );
    }
}

#[test]
fn each_verb_has_a_manual_page_and_the_main_one_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("man1");
    let (code, out, err) = run(&["man", "--out", target.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("postroom-messages-list.1"), "{out}");
    for page in [
        "postroom.1",
        "postroom-doctor.1",
        "postroom-dead-letters-retry.1",
    ] {
        let text = std::fs::read_to_string(target.join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}: {text}");
    }
    assert!(!target.join("postroom-demo-agent.1").exists());
    let (code, out, _) = run(&["man"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with(".ie") && out.contains("postroom"), "{out}");
}

/// Runs a program that is to succeed; what it prints.
fn shell(program: &str, args: &[&str]) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell reads what we print for it"
    )]
    let output = std::process::Command::new(program)
        .args(args)
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaint.is_empty(),
        "{args:?}: {complaint}"
    );
    String::from_utf8(output.stdout).unwrap()
}
