//! `postroom doctor` on set-ups that are well and on broken ones: it names each fault and its cure,
//! and changes nothing.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use postroom::runtime_file::RuntimeFile;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    processes,
    small_disk::SmallDisk,
    tools::{ClientResult, installed},
    user_home::{Ran, UserHome, files_below},
};

/// The longest time that the whole examination may take.
const LONGEST: Duration = Duration::from_secs(15);

/// What it told as JSON.
struct Told {
    code: Option<i32>,
    report: Value,
}

impl Told {
    fn of(ran: &Ran) -> Self {
        assert_eq!(ran.err, "", "{ran:?}");
        let report = serde_json::from_str(&ran.out);
        Self {
            code: ran.code,
            report: report.unwrap_or_else(|error| panic!("{error}: {ran:?}")),
        }
    }

    fn checks(&self) -> &Vec<Value> {
        self.report["checks"].as_array().unwrap()
    }

    /// The faults: check, what was found, how to mend it.
    fn faults(&self) -> Vec<(&str, &str, &str)> {
        let text = |check: &'_ Value, key: &str| -> Option<String> {
            check[key].as_str().map(str::to_owned)
        };
        let faults = self.checks().iter();
        let faults = faults.filter(|check| check["grade"] == "fault");
        faults
            .map(|check| {
                assert!(text(check, "mend").is_some(), "no cure: {check}");
                let field = |key: &str| check[key].as_str().unwrap();
                (field("check"), field("found"), field("mend"))
            })
            .collect()
    }

    /// The one fault that there is.
    fn only_fault(&self) -> (&str, &str, &str) {
        let faults = self.faults();
        assert_eq!((self.code, faults.len()), (Some(1), 1), "{}", self.report);
        faults[0]
    }

    fn grade(&self, section: &str, check: &str) -> Option<&str> {
        let mut checks = self.checks().iter();
        let found = checks.find(|one| one["section"] == section && one["check"] == check);
        found?["grade"].as_str()
    }
}

fn doctor(home: &UserHome, args: &[&str]) -> Told {
    let units = home.path("units").display().to_string();
    let base = ["doctor", "--json", "--systemd-dir", &units];
    let began = Instant::now();
    let told = Told::of(&home.run(&[&base, args].concat()));
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    told
}

/// A CLI that says its version, and that alone.
fn cli(home: &UserHome, name: &str, says: &str) -> String {
    let path = home.path("bin").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(
        &path,
        format!("#!/bin/sh\n[ \"$*\" = --version ] && {says}\n"),
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A set-up in which nothing is wrong.
fn healthy() -> UserHome {
    let home = UserHome::new();
    cli(&home, "codex", "echo codex-cli 0.169.0");
    let inbox = home.path("inbox").display().to_string();
    home.configure(&format!(
        "[server]\nport = 0\n[mailbox]\ninbox = {inbox:?}\n[agents.coder]\ncli = \"codex\"\nenv = {{ OPENAI_API_KEY = \"a-key-of-the-agent\" }}\n"
    ));
    home
}

fn names_below(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = files_below(folder);
    files.sort();
    files
}

#[test]
fn a_healthy_set_up_has_no_fault_before_its_first_start_and_is_left_as_it_was() {
    let home = healthy();
    let before = names_below(&home.path(""));
    let told = doctor(&home, &[]);
    assert_eq!(
        (told.code, told.faults()),
        (Some(0), vec![]),
        "{}",
        told.report
    );
    assert_eq!(told.report["ok"], true);
    for (section, check) in [
        ("configuration", "configuration"),
        ("agents", "program"),
        ("agents", "version"),
        ("agents", "login"),
        ("address", "port"),
    ] {
        assert_eq!(
            told.grade(section, check),
            Some("ok"),
            "{check}: {}",
            told.report
        );
    }
    assert_eq!(names_below(&home.path("")), before);
    assert!(!home.path("inbox").exists() && !home.base().join("store").exists());
    assert!(!told.report.to_string().contains("a-key-of-the-agent"));
    let text = home.run(&["doctor", "--systemd-dir", "/nowhere"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(text.out.contains("✓ coder: codex 0.169.0"), "{text:?}");
    assert!(text.out.contains("\n0 faults, "), "{text:?}");
}

#[actix_web::test]
async fn a_running_service_is_well_and_is_asked_for_what_only_it_knows() {
    let home = healthy();
    let daemon = home.daemon(&[]).await;
    let told = doctor(&home, &[]);
    assert_eq!(
        (told.code, told.faults()),
        (Some(0), vec![]),
        "{}",
        told.report
    );
    assert_eq!(told.grade("home", "runtime_file"), Some("ok"));
    assert_eq!(told.grade("store", "lock"), Some("ok"));
    assert_eq!(told.grade("store", "database"), Some("ok"));
    assert_eq!(told.grade("service", "running"), Some("ok"));
    assert!(daemon.stop().await.success());
}

#[actix_web::test]
async fn a_command_that_the_running_service_was_started_with_is_the_one_that_counts() {
    let home = healthy();
    let cli = home.script("cli.sh", "echo well");
    let daemon = home.daemon(&["--cli", &cli]).await;
    let told = doctor(&home, &[]);
    assert!(told.faults().is_empty(), "{}", told.report);
    let report = told.report.to_string();
    assert!(report.contains("manager: command, "), "{report}");
    assert!(daemon.stop().await.success());
}

#[test]
fn a_missing_cli_is_named_with_its_cure() {
    let home = healthy();
    fs::remove_file(home.path("bin/codex")).unwrap();
    let told = doctor(&home, &[]);
    let (check, found, mend) = told.only_fault();
    assert_eq!(
        (check, found),
        ("program", "coder: program `codex` was not found")
    );
    assert!(mend.contains("npm install -g @openai/codex"), "{mend}");
}

#[test]
fn a_unit_has_a_path_of_its_own() {
    let home = healthy();
    let file = home.base().join("service.env");
    fs::write(&file, "PATH=\"/nowhere\"\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let told = doctor(&home, &[]);
    assert_eq!(told.only_fault().0, "program");
}

#[test]
fn wrong_permissions_are_named_with_their_cure() {
    let home = healthy();
    let key = home.path("operator.key");
    fs::write(&key, "a-secret-in-a-file").unwrap();
    let configuration = home.base().join("postroom.toml");
    let text = fs::read_to_string(&configuration).unwrap();
    let with_key = text.replace("[server]\n", &format!("[server]\nkey_file = {key:?}\n"));
    let with_key =
        with_key + "[keys.ann]\nrole = \"client\"\nkey = \"a-secret-in-the-configuration\"\n";
    fs::write(&configuration, with_key).unwrap();
    for (path, mode) in [(&key, 0o644), (&configuration, 0o640)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let told = doctor(&home, &[]);
    assert_eq!(told.code, Some(1));
    let faults = told.faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    for path in [&key, &configuration] {
        let shown = path.display().to_string();
        let cure = format!("chmod 600 '{shown}'");
        let is_it = |fault: &&(&str, &str, &str)| fault.1.contains(&shown) && fault.2 == cure;
        assert!(
            faults.iter().any(|fault| is_it(&fault)),
            "{shown}: {faults:?}"
        );
    }
    assert!(!told.report.to_string().contains("a-secret-in"));
}

#[test]
fn a_full_disk_is_named_with_its_cure() {
    let home = healthy();
    let disk = SmallDisk::new();
    fs::create_dir(disk.path("store")).unwrap();
    let store = disk.path("store");
    disk.fill();
    let told = doctor(&home, &["--store", &store]);
    let (check, found, mend) = told.only_fault();
    assert_eq!(check, "disk");
    assert!(found.contains("full") && found.contains(&store), "{found}");
    assert!(
        mend.contains("free some space") && mend.contains("`store.path`"),
        "{mend}"
    );
    disk.free();
    let told = doctor(&home, &["--store", &store]);
    let (check, found, _) = told.only_fault();
    assert_eq!(check, "disk");
    // Some room is not yet the room that is to be left.
    assert!(found.contains("256 MiB"), "{found}");
}

#[test]
fn a_port_that_is_taken_is_named_with_who_has_it() {
    let home = healthy();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let told = doctor(&home, &["--port", &port]);
    let (check, found, mend) = told.only_fault();
    assert_eq!(check, "port");
    let ours = std::process::id().to_string();
    assert!(found.contains(&port) && found.contains(&ours), "{found}");
    assert!(
        mend.contains(&format!("kill {ours}")) && mend.contains("`server.port`"),
        "{mend}"
    );
}

#[test]
fn an_old_openclaw_is_named_with_its_cure() {
    let home = healthy();
    let claw = cli(&home, "openclaw", "echo 'OpenClaw 2026.3.13 (abc1234)'");
    let told = doctor(&home, &["--cli", &claw]);
    let (check, found, mend) = told.only_fault();
    assert_eq!(check, "version");
    assert!(
        found.contains("manager: openclaw 2026.3.13 is too old"),
        "{found}"
    );
    assert!(found.contains("2026.6.11"), "{found}");
    assert!(mend.contains("npm install -g openclaw@latest"), "{mend}");
}

#[test]
fn the_real_openclaw_is_new_enough() -> ClientResult {
    let home = healthy();
    let node = installed("node/node_modules/.bin/node")?
        .display()
        .to_string();
    let program = installed("openclaw/node_modules/openclaw/openclaw.mjs")?;
    let inbox = home.path("inbox").display().to_string();
    home.configure(&format!(
        "[server]\nport = 0\n[mailbox]\ninbox = {inbox:?}\n[agents.claw]\ncli = \"'{node}' '{}'\"\ndialect = \"openclaw\"\n",
        program.display()
    ));
    let told = doctor(&home, &[]);
    assert_eq!(told.faults(), vec![], "{}", told.report);
    let said = told.report.to_string();
    assert!(said.contains("claw: openclaw 2026."), "{said}");
    assert_eq!(told.grade("agents", "version"), Some("ok"), "{said}");
    Ok(())
}

#[test]
fn a_cli_that_hangs_is_waited_for_a_while_and_leaves_nothing_behind() {
    let home = healthy();
    let mark = home.path("mark").display().to_string();
    cli(
        &home,
        "codex",
        &format!("MARK={mark} sh -c 'sleep 600; true'"),
    );
    let told = doctor(&home, &[]);
    assert_eq!(
        told.grade("agents", "version"),
        Some("warning"),
        "{}",
        told.report
    );
    processes::expect_none(&format!("MARK={mark}"));
}

#[test]
fn a_wrong_configuration_alone_has_its_own_code() {
    let home = healthy();
    home.configure("[server]\nprot = 7011\n");
    let told = doctor(&home, &[]);
    assert_eq!(told.code, Some(78));
    let (check, found, _) = told.faults()[0];
    assert_eq!(check, "configuration");
    assert!(
        found.contains("postroom.toml:2") && found.contains("`port`"),
        "{found}"
    );
}

#[test]
fn a_stale_runtime_file_is_told() {
    let home = healthy();
    let runtime = RuntimeFile {
        pid: 4_194_303,
        endpoint: "http://127.0.0.1:1".to_owned(),
        certificate: None,
        key: "the-key-of-a-run".to_owned(),
        version: "0.0.1".to_owned(),
    };
    runtime.write(&home.base()).unwrap();
    let told = doctor(&home, &[]);
    assert_eq!(told.code, Some(0), "{}", told.report);
    assert_eq!(told.grade("home", "runtime_file"), Some("warning"));
    let said = told.report.to_string();
    assert!(
        said.contains("4194303 is gone") && !said.contains("the-key-of-a-run"),
        "{said}"
    );
    fs::set_permissions(
        RuntimeFile::path(&home.base()),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    assert_eq!(doctor(&home, &[]).only_fault().0, "permissions");
}

#[actix_web::test]
async fn a_newer_store_is_told_with_its_own_code_and_left_alone() {
    let home = healthy();
    assert!(home.daemon(&[]).await.stop().await.success());
    let database = home.base().join("store/postroom.db");
    set_schema(&database, 9999);
    let before = names_below(&home.base().join("store"));
    let told = doctor(&home, &[]);
    assert_eq!(told.code, Some(65), "{}", told.report);
    let faults = told.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].1.contains("9999"), "{faults:?}");
    assert_eq!(names_below(&home.base().join("store")), before);
}

/// Makes it a store of another version; closing it leaves no log behind.
fn set_schema(database: &Path, version: u32) {
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .pragma_update(None, "user_version", version)
        .unwrap();
}

#[test]
fn what_a_turn_left_running_is_named() {
    let home = healthy();
    let turn = format!("turn-of-{}", std::process::id());
    #[expect(clippy::disallowed_methods, reason = "killed below")]
    let mut orphan = std::process::Command::new("sleep")
        .arg("600")
        .env("POSTROOM_TURN_ID", &turn)
        .env("HOME", home.path("").components().as_path())
        .spawn()
        .unwrap();
    let told = doctor(&home, &[]);
    orphan.kill().unwrap();
    orphan.wait().unwrap();
    let of_ours = |fault: &&(&str, &str, &str)| fault.1.contains(&turn);
    let faults = told.faults();
    let (check, found, mend) = *faults.iter().find(of_ours).unwrap();
    assert_eq!(check, "orphan");
    assert!(found.contains("sleep 600"), "{found}");
    assert!(mend.contains(&format!("kill {}", orphan.id())), "{mend}");
    let later = doctor(&home, &[]);
    assert!(
        !later.report.to_string().contains(&turn),
        "{}",
        later.report
    );
}

#[actix_web::test]
async fn status_tells_troubles_in_words_and_all_fields_as_json() {
    let home = healthy();
    fs::remove_file(home.path("bin/codex")).unwrap();
    let daemon = home.daemon(&[]).await;
    let sent = home.run(&["send", "coder", "hello", "--json"]);
    assert_eq!(sent.code, Some(0), "{sent:?}");
    let look = || home.run(&["status", "--json"]).ok();
    let parked = |out: &String| out.contains("\"parked\"") && out.contains("`coder` is parked");
    let out = crate::support::wait::until("a parked agent", look, parked).await;
    let told: Value = serde_json::from_str(&out).unwrap();
    for field in [
        "running",
        "pid",
        "endpoint",
        "version",
        "ok",
        "ready",
        "problems",
        "manager",
        "waiting",
        "dead_letters",
        "actors",
        "agents",
    ] {
        assert!(told.get(field).is_some(), "{field}: {out}");
    }
    assert_eq!(
        (&told["ok"], &told["ready"]),
        (&Value::Bool(false), &Value::Bool(true))
    );
    assert!(
        told["problems"][0]
            .as_str()
            .unwrap()
            .contains("`coder` is parked"),
        "{out}"
    );
    let text = home.run(&["status"]).ok();
    assert!(
        text.contains("in trouble") && !text.contains("readyz"),
        "{text}"
    );
    assert!(text.contains("coder (parked)"), "{text}");
    let doctor = doctor(&home, &[]);
    let faults = doctor.faults();
    let is_parked = |fault: &(&str, &str, &str)| {
        fault.0 == "parked" && fault.2.contains("postroom resume coder")
    };
    assert!(
        faults.into_iter().any(|fault| is_parked(&fault)),
        "{}",
        doctor.report
    );
    assert!(daemon.stop().await.success());
}
