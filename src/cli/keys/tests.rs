//! `keys` without a service, and against a small server of our own.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::cli::{
    client::tests::{home, json_answer, server},
    tests::{Ran, run_alone, world},
};

fn run_with(folder: &TempDir, arguments: &[&str]) -> Ran {
    let home = folder.path().display().to_string();
    let whole = [&["postroom", "keys"], arguments, &["--base-dir", &home]].concat();
    let (mut output, mut error) = (Vec::new(), Vec::new());
    let code = crate::cli::run(
        whole.iter().map(Into::into).collect(),
        &world(folder),
        &mut output,
        &mut error,
    );
    Ran {
        code,
        output: String::from_utf8(output).unwrap(),
        error: String::from_utf8(error).unwrap(),
    }
}

#[test]
fn without_a_service_the_file_is_changed() {
    let folder = TempDir::new().unwrap();
    let empty = run_with(&folder, &["list"]);
    assert!(empty.output.starts_with("no keys"), "{}", empty.output);
    let made = run_with(&folder, &["add", "chat", "--role", "client"]);
    assert_eq!(made.code, 0, "{}", made.error);
    let (key, rest) = made.output.split_once('\n').unwrap();
    assert_eq!(key.len(), 64);
    assert!(
        rest.contains("not shown again") && rest.contains("the first one"),
        "{rest}"
    );
    let bot = run_with(
        &folder,
        &[
            "add", "bot", "--role", "agent", "--agent", "alice", "--json",
        ],
    );
    let bot: Value = serde_json::from_str(&bot.output).unwrap();
    assert_eq!(
        (&bot["agent"], &bot["first"]),
        (&json!("alice"), &json!(false))
    );
    let listed = run_with(&folder, &["list"]);
    assert_eq!(
        listed.output,
        "KEY   ROLE         FROM     MADE    USED\n\
         chat  client       command  0s ago  -\n\
         bot   agent alice  command  0s ago  -\n"
    );
    let stored = fs::read_to_string(folder.path().join("keys.json")).unwrap();
    assert!(!stored.contains(key) && !listed.output.contains(key));
    let again = run_with(&folder, &["add", "chat", "--role", "operator"]);
    assert!(
        again.code == 1 && again.error.contains("`chat` already"),
        "{}",
        again.error
    );
    assert_eq!(
        run_with(&folder, &["revoke", "chat"]).output,
        "chat is revoked\n"
    );
    let unknown = run_with(&folder, &["revoke", "chat"]);
    assert!(
        unknown.code == 1 && unknown.error.contains("no key `chat`"),
        "{}",
        unknown.error
    );
}

#[test]
fn keys_of_the_configuration_are_not_a_commands_to_change() {
    let folder = TempDir::new().unwrap();
    let text = "[server]\nhost = \"0.0.0.0\"\nkey = \"0123456789abcdef\"\n[keys.ci]\nkey = \"fedcba9876543210\"\n";
    fs::write(folder.path().join("postroom.toml"), text).unwrap();
    for arguments in [
        &["add", "ci", "--role", "client"][..],
        &["revoke", "ci"],
        &["revoke", "key"],
    ] {
        let ran = run_with(&folder, arguments);
        assert!(
            ran.code == 1 && ran.error.contains("configuration"),
            "{}",
            ran.error
        );
    }
    let listed = run_with(&folder, &["list", "--json"]).output;
    assert!(
        !listed.contains("fedcba") && !listed.contains("012345"),
        "{listed}"
    );
}

#[test]
fn what_cannot_be_a_key_is_wrong_usage() {
    for arguments in [
        &["postroom", "keys", "add", "Not OK", "--role", "client"][..],
        &["postroom", "keys", "add", "ci", "--role", "agent"],
        &[
            "postroom", "keys", "add", "ci", "--role", "client", "--agent", "a",
        ],
        &["postroom", "keys", "add", "ci", "--role", "admin"],
        &["postroom", "keys", "add", "ci"],
        &["postroom", "keys"],
    ] {
        let ran = run_alone(arguments);
        assert_eq!(ran.code, exit::USAGE, "{arguments:?} {}", ran.error);
    }
}

#[test]
fn a_running_service_is_asked_and_its_file_left_alone() {
    let answer = json!({"name": "ci", "role": "client", "key": "k-e-y", "first": false});
    let (endpoint, requests) = server(Box::new(move |_| json_answer("201 Created", &answer)));
    let folder = home(&endpoint);
    let made = run_with(&folder, &["add", "ci", "--role", "client"]);
    assert!(
        made.output.starts_with("k-e-y\n"),
        "{}{}",
        made.output,
        made.error
    );
    let seen = requests.recv().unwrap();
    assert_eq!(seen.line, "POST /keys HTTP/1.1");
    assert!(!folder.path().join("keys.json").exists());
    drop(run_with(&folder, &["revoke", "../ci"]));
    assert_eq!(
        requests.recv().unwrap().line,
        "DELETE /keys/%2E%2E%2Fci HTTP/1.1"
    );
}
