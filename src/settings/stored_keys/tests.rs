//! The file of keys.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn made(name: &str) -> (StoredKey, String) {
    let new = NewKey::checked(name, Role::Client, None).unwrap();
    new.make(now()).unwrap()
}

fn names(keys: &[StoredKey]) -> Vec<&str> {
    keys.iter().map(|key| key.name.as_str()).collect()
}

#[test]
fn a_key_is_kept_as_a_digest_in_a_file_of_its_owner_alone() {
    let root = TempDir::new().unwrap();
    let home = root.path().join("home");
    assert_eq!(read(&home).unwrap(), Vec::new());
    let (stored, key) = made("ci");
    add(&home, stored.clone()).unwrap();
    let path = home.join(NAME);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(key.len(), 64);
    assert!(!text.contains(&key), "{text}");
    assert_eq!(read(&home).unwrap(), [stored]);
    assert_eq!(read(&home).unwrap()[0].sha256, KeyDigest::of(&key));
}

#[test]
fn a_name_belongs_to_one_key() {
    let root = TempDir::new().unwrap();
    add(root.path(), made("ci").0).unwrap();
    let error = add(root.path(), made("ci").0).unwrap_err();
    assert!(error.to_string().contains("`ci` already"), "{error}");
    let both = add(root.path(), made("chat").0).unwrap();
    assert_eq!(names(&both), ["ci", "chat"]);
}

#[test]
fn the_last_key_goes_only_where_nobody_else_comes_in_then() {
    let root = TempDir::new().unwrap();
    let unknown = remove(root.path(), "ci", true).unwrap_err();
    assert!(matches!(unknown, StoredKeysError::Unknown(_)), "{unknown}");
    add(root.path(), made("ci").0).unwrap();
    add(root.path(), made("chat").0).unwrap();
    assert_eq!(names(&remove(root.path(), "ci", false).unwrap()), ["chat"]);
    let last = remove(root.path(), "chat", false).unwrap_err();
    assert!(matches!(last, StoredKeysError::Last(_)), "{last}");
    assert_eq!(names(&read(root.path()).unwrap()), ["chat"]);
    assert_eq!(remove(root.path(), "chat", true).unwrap(), Vec::new());
}

#[test]
fn changes_at_the_same_time_are_all_kept() {
    let root = TempDir::new().unwrap();
    std::thread::scope(|scope| {
        for number in 0..16 {
            let home = root.path();
            scope.spawn(move || add(home, made(&format!("key-{number}")).0).unwrap());
        }
    });
    assert_eq!(read(root.path()).unwrap().len(), 16);
}

#[test]
fn a_file_that_is_not_understood_is_named_and_stays() {
    let root = TempDir::new().unwrap();
    let path = root.path().join(NAME);
    let half = r#"{"keys":[{"name":"a","role":"client","sha256":"12","created_at":"2027-01-15T08:00:00Z"}]}"#;
    for text in ["", "[]", r#"{"keys":[],"more":1}"#, half] {
        fs::write(&path, text).unwrap();
        let error = add(root.path(), made("ci").0).unwrap_err().to_string();
        assert!(error.contains("keys.json` is not understood"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn what_cannot_be_a_key_is_told_with_its_part() {
    for (name, role, agent, part) in [
        ("Not OK", Role::Client, None, "name"),
        ("", Role::Client, None, "name"),
        ("run", Role::Client, None, "name"),
        ("key", Role::Operator, None, "name"),
        ("ci", Role::Agent, None, "agent"),
        ("ci", Role::Agent, Some("../etc"), "agent"),
        ("ci", Role::Client, Some("manager"), "agent"),
    ] {
        let error = NewKey::checked(name, role, agent).unwrap_err();
        assert_eq!(error.part, part, "{error}");
    }
    let key = NewKey::checked("ci", Role::Agent, Some("manager")).unwrap();
    assert_eq!(key.agent.unwrap().as_str(), "manager");
}
