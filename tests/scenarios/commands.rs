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
