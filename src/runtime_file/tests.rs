//! What the runtime file keeps to.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn runtime() -> RuntimeFile {
    RuntimeFile {
        pid: std::process::id(),
        endpoint: "http://127.0.0.1:7011".to_owned(),
        certificate: None,
        key: fresh_key().unwrap(),
        version: "0.1.0".to_owned(),
    }
}

#[test]
fn what_is_written_is_read_back_and_only_its_owner_may_read_it() {
    let root = TempDir::new().unwrap();
    let home = root.path().join("new/home");
    let runtime = runtime();
    runtime.write(&home).unwrap();
    assert_eq!(RuntimeFile::read(&home).unwrap(), Some(runtime));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&RuntimeFile::path(&home)), 0o600);
    assert_eq!(mode(&home), 0o700);
    assert_eq!(
        fs::read_dir(&home).unwrap().count(),
        1,
        "something else is left"
    );
}

#[test]
fn a_file_left_open_to_others_is_replaced_by_a_private_one() {
    let home = TempDir::new().unwrap();
    let path = RuntimeFile::path(home.path());
    for name in ["runtime.json", "runtime.json.unfinished"] {
        let file = home.path().join(name);
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    }
    runtime().write(home.path()).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn no_file_means_nothing_runs_and_a_broken_one_is_told() {
    let home = TempDir::new().unwrap();
    assert_eq!(RuntimeFile::read(home.path()).unwrap(), None);
    fs::write(RuntimeFile::path(home.path()), "{}").unwrap();
    let error = RuntimeFile::read(home.path()).unwrap_err().to_string();
    assert!(
        error.contains("runtime.json") && error.contains("pid"),
        "{error}"
    );
}

#[test]
fn a_run_removes_its_own_file_only() {
    let home = TempDir::new().unwrap();
    let (mine, other) = (runtime(), runtime());
    other.write(home.path()).unwrap();
    mine.remove(home.path()).unwrap();
    assert_eq!(RuntimeFile::read(home.path()).unwrap(), Some(other.clone()));
    other.remove(home.path()).unwrap();
    assert_eq!(RuntimeFile::read(home.path()).unwrap(), None);
    other.remove(home.path()).unwrap();
}

#[test]
fn a_process_that_is_gone_is_known_to_be() {
    let mut runtime = runtime();
    assert!(runtime.process_lives());
    for gone in [0, u32::MAX, 0x7fff_fffe] {
        runtime.pid = gone;
        assert!(!runtime.process_lives(), "{gone}");
    }
}

#[test]
fn keys_are_long_and_differ_and_are_not_shown() {
    let runtime = runtime();
    assert_eq!(runtime.key.len(), 64);
    assert_ne!(runtime.key, fresh_key().unwrap());
    assert!(!format!("{runtime:?}").contains(&runtime.key));
}
