//! What `enable`, `restart` and `disable` write, call and say.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::cli::{disable, system::tests::Noted};

struct Bench {
    root: TempDir,
    world: World,
}

impl Bench {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        let environment = [("USER", "ann"), ("PATH", "/usr/bin:/home/ann/.local/bin")];
        let world = World {
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            working_dir: root.path().to_owned(),
            home_dir: Some(root.path().to_owned()),
            executable: std::env::current_exe().unwrap(),
            now: chrono::DateTime::UNIX_EPOCH,
            is_terminal: false,
        };
        Self { root, world }
    }

    fn unit(&self, no_sudo: bool) -> UnitArgs {
        UnitArgs {
            systemd_dir: self.root.path().join("units"),
            service_name: "postroom".to_owned(),
            no_sudo,
            home: HomeArgs { base_dir: None },
        }
    }

    fn args(&self, ip: Option<&str>) -> EnableArgs {
        EnableArgs {
            ip: ip.map(str::to_owned),
            port: None,
            api_key: None,
            cli: None,
            skip_start: false,
            unit: self.unit(true),
        }
    }

    fn enable(&self, args: &EnableArgs, system: &mut Noted) -> String {
        let mut output = Vec::new();
        assert_eq!(
            run(args, &self.world, system, &mut output).unwrap(),
            exit::OK
        );
        String::from_utf8(output).unwrap()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root.path().join(file)).unwrap()
    }

    fn variables(&self) -> BTreeMap<String, String> {
        unit::variables(&self.read(".postroom/service.env"))
    }
}

fn with_systemd() -> Noted {
    Noted {
        has_systemd: true,
        ..Noted::default()
    }
}

#[test]
fn a_service_for_this_machine_alone_needs_no_key() {
    let bench = Bench::new();
    let mut system = with_systemd();
    let mut args = bench.args(None);
    args.port = Some(7099);
    args.cli = Some("claude --model x".to_owned());
    let output = bench.enable(&args, &mut system);
    assert!(
        output.ends_with("postroom is enabled and started\n"),
        "{output}"
    );
    assert!(!output.contains("key"), "{output}");
    assert_eq!(
        system.calls,
        ["systemctl daemon-reload", "systemctl enable --now postroom"]
    );
    let unit = bench.read("units/postroom.service");
    assert!(
        unit.contains(r#""daemon" "--base-dir""#)
            && unit.contains(r#""--api-port" "7099" "--cli" "claude --model x""#),
        "{unit}"
    );
    assert_eq!(bench.variables()["PATH"], "/usr/bin:/home/ann/.local/bin");
    assert!(!bench.variables().contains_key(KEY));
}

#[test]
fn an_open_address_gets_a_key_that_is_shown_once_and_kept_to_the_owner() {
    let bench = Bench::new();
    let args = bench.args(Some("0.0.0.0"));
    let first = bench.enable(&args, &mut with_systemd());
    let key = bench.variables()[KEY].clone();
    assert!(key.len() == 64 && first.contains(&key), "{first}");
    let file = bench.root.path().join(".postroom/service.env");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!bench.read("units/postroom.service").contains(&key));

    let mut system = with_systemd();
    let again = bench.enable(&args, &mut system);
    assert!(!again.contains("key"), "{again}");
    assert_eq!(bench.variables()[KEY], key);
    assert_eq!(system.calls.last().unwrap(), "systemctl restart postroom");
}

#[test]
fn a_key_that_is_given_or_configured_is_taken() {
    let bench = Bench::new();
    let mut args = bench.args(Some("0.0.0.0"));
    args.api_key = Some("mine-0123456789abcdef".to_owned());
    assert!(!bench.enable(&args, &mut with_systemd()).contains("key"));
    assert_eq!(bench.variables()[KEY], "mine-0123456789abcdef");

    let bench = Bench::new();
    fs::create_dir(bench.root.path().join(".postroom")).unwrap();
    fs::write(
        bench.root.path().join(".postroom/postroom.toml"),
        "[server]\nkey = \"0123456789abcdef\"\n",
    )
    .unwrap();
    let output = bench.enable(&bench.args(Some("0.0.0.0")), &mut with_systemd());
    assert!(!output.contains("key made"), "{output}");
    args.api_key = Some("two\nlines".to_owned());
    let refused = run(&args, &bench.world, &mut with_systemd(), &mut Vec::new());
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("control character")
    );
}

#[test]
fn without_systemd_the_unit_is_written_and_the_rest_is_told() {
    let bench = Bench::new();
    let mut system = Noted::default();
    let output = bench.enable(&bench.args(None), &mut system);
    assert!(
        output.contains("  systemctl enable --now postroom\n"),
        "{output}"
    );
    assert!(system.calls.is_empty());
    assert!(!bench.read("units/postroom.service").is_empty());
}

#[test]
fn a_plain_user_goes_through_sudo_and_root_does_not() {
    let bench = Bench::new();
    let mut args = bench.args(None);
    args.unit = bench.unit(false);
    args.skip_start = true;
    let mut system = with_systemd();
    bench.enable(&args, &mut system);
    assert!(
        system.calls[0].starts_with("sudo install -m 0644 -- "),
        "{:?}",
        system.calls
    );
    assert_eq!(
        system.calls[1..],
        [
            "sudo systemctl daemon-reload",
            "sudo systemctl enable postroom"
        ]
    );
    let mut root = Noted {
        is_root: true,
        ..with_systemd()
    };
    bench.enable(&args, &mut root);
    assert_eq!(root.calls[0], "systemctl daemon-reload");
}

#[test]
fn a_call_that_fails_is_named() {
    let bench = Bench::new();
    let mut system = Noted {
        fails: Some("daemon-reload"),
        ..with_systemd()
    };
    let failed = run(
        &bench.args(None),
        &bench.world,
        &mut system,
        &mut Vec::new(),
    );
    assert_eq!(
        failed.unwrap_err().to_string(),
        "`systemctl daemon-reload` failed"
    );
}

#[test]
fn restart_and_disable_call_systemd_and_the_home_stays() {
    let bench = Bench::new();
    bench.enable(&bench.args(None), &mut with_systemd());
    let (unit, mut system, mut output) = (bench.unit(true), with_systemd(), Vec::new());
    restart(&unit, &bench.world, &mut system, &mut output).unwrap();
    disable::run(&unit, &bench.world, &mut system, &mut output).unwrap();
    assert_eq!(
        system.calls,
        [
            "systemctl restart postroom",
            "systemctl disable --now postroom",
            "systemctl daemon-reload"
        ]
    );
    assert!(!unit.file().exists());
    assert!(bench.root.path().join(".postroom/service.env").is_file());
    let mut again = with_systemd();
    disable::run(&unit, &bench.world, &mut again, &mut output).unwrap();
    assert!(again.calls.is_empty());
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("there is no "), "{text}");
    assert!(restart(&unit, &bench.world, &mut Noted::default(), &mut Vec::new()).is_err());
}

#[test]
fn names_of_units_are_plain() {
    assert_eq!(unit_name("mail-room.service").unwrap(), "mail-room");
    for bad in ["", "-x", "../x", "a b", ".service", "a@b"] {
        assert!(unit_name(bad).is_err(), "{bad}");
    }
}

#[test]
fn systemd_itself_takes_the_unit() {
    let is_there = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .any(|folder| folder.join("systemd-analyze").is_file());
    if !is_there {
        return;
    }
    let mut bench = Bench::new();
    bench.world.environment[0].1 = "daemon".to_owned();
    bench.enable(&bench.args(Some("0.0.0.0")), &mut with_systemd());
    #[expect(clippy::disallowed_methods, reason = "a test may wait for a program")]
    let verified = std::process::Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(bench.root.path().join("units/postroom.service"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(
        verified.status.success() && !said.contains("postroom.service"),
        "{said}"
    );
}
