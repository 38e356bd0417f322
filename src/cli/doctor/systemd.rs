//! The systemd unit, where one is installed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    finding::{Finding, Section},
    places,
};
use crate::{
    cli::unit,
    startup::examination::{self, Answer},
};

/// How long `systemctl` may take.
const LIMIT: Duration = Duration::from_secs(3);

/// An installed unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    file: PathBuf,
    /// Its command in words.
    command: Vec<String>,
    has_program: bool,
    /// Its environment file, whether it is there, and its mode where others can reach it.
    environment: Option<(PathBuf, bool, Option<u32>)>,
    /// Its user, where it is not the one that asks.
    other_user: Option<String>,
    /// What systemd says: its state, and how it got there.
    state: Option<(String, String)>,
}

impl Facts {
    /// `None` where no such unit is installed.
    pub(super) async fn look(file: &Path, name: &str, user: Option<&str>) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let command = value(&text, "ExecStart")
            .map(unit::words)
            .unwrap_or_default();
        let has_program = command
            .first()
            .is_some_and(|program| Path::new(program).is_file());
        let environment = value(&text, "EnvironmentFile").map(|path| {
            let path = PathBuf::from(path.trim_start_matches('-').replace("%%", "%"));
            let mode = places::open_mode(&path);
            (path.clone(), path.is_file(), mode)
        });
        let owner = value(&text, "User").map(str::to_owned);
        Some(Self {
            file: file.to_owned(),
            has_program,
            command,
            environment,
            other_user: owner.filter(|owner| Some(owner.as_str()) != user),
            state: state(name).await,
        })
    }

    /// Whether it runs `daemon`, which makes the manager.
    pub(super) fn is_daemon(&self) -> bool {
        self.command.iter().any(|word| word == "daemon")
    }
}

/// The last value of a key.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let lines = text.lines().rev();
    let mut values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next().map(str::trim)
}

async fn state(name: &str) -> Option<(String, String)> {
    let unit = format!("{name}.service");
    let arguments = ["show", "--property=ActiveState,Result", &unit];
    let answer = examination::system_program("systemctl", &arguments, LIMIT).await?;
    let Answer::Ended {
        is_success: true,
        output,
        ..
    } = answer
    else {
        return None;
    };
    let state = value(&output, "ActiveState")?.to_owned();
    let result = value(&output, "Result").unwrap_or_default().to_owned();
    Some((state, result))
}

/// What it comes to.
pub(super) fn findings(facts: Option<&Facts>) -> Vec<Finding> {
    let Some(facts) = facts else {
        return Vec::new();
    };
    let shown = facts.file.display();
    let program = facts.command.first().map_or("", String::as_str);
    let mut findings = vec![if facts.has_program {
        Finding::ok(
            Section::Systemd,
            "unit",
            format!("`{shown}` runs `{program}`"),
        )
    } else {
        let found = format!("`{shown}` runs `{program}`, which is not there");
        Finding::fault(Section::Systemd, "unit", found)
            .mend("`postroom enable` writes it anew, with the program that is called")
    }];
    findings.extend(environment_finding(facts));
    findings.extend(facts.other_user.as_ref().map(|user| {
        let found =
            format!("the unit runs as `{user}`: what was found here holds for another user");
        Finding::note(Section::Systemd, "user", found).mend(format!(
            "`sudo -u {user} postroom doctor`, with its `--base-dir`"
        ))
    }));
    findings.extend(state_finding(facts));
    findings
}

fn environment_finding(facts: &Facts) -> Option<Finding> {
    let (path, is_there, mode) = facts.environment.as_ref()?;
    if !is_there {
        let found = format!("its environment file `{}` is not there", path.display());
        return Some(
            Finding::fault(Section::Systemd, "environment", found)
                .mend("`postroom enable` writes it anew"),
        );
    }
    places::private_file(Section::Systemd, path, *mode)
}

fn state_finding(facts: &Facts) -> Option<Finding> {
    const CHECK: &str = "state";
    let (state, result) = facts.state.as_ref()?;
    let name = facts.file.file_stem()?.to_string_lossy();
    Some(match state.as_str() {
        "active" => Finding::ok(Section::Systemd, CHECK, "systemd runs it"),
        "failed" => Finding::fault(
            Section::Systemd,
            CHECK,
            format!("systemd has given it up ({result})"),
        )
        .mend(format!(
            "`journalctl -u {name} -e` says why; then `postroom restart`"
        )),
        state => Finding::note(Section::Systemd, CHECK, format!("systemd says: {state}"))
            .mend(format!("`systemctl start {name}`")),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Grade, *};

    const UNIT: &str = "[Service]\nUser=ann\nEnvironmentFile=/h/service.env\nExecStart=\"/opt/post room/postroom\" \"daemon\" \"--cli\" \"a \\\"b\\\" $$c 5%%\"\n";

    #[tokio::test]
    async fn a_unit_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("no-such-unit-of-a-test.service");
        assert_eq!(
            Facts::look(&file, "no-such-unit-of-a-test", None).await,
            None
        );
        fs::write(&file, UNIT).unwrap();
        let facts = Facts::look(&file, "no-such-unit-of-a-test", Some("ann")).await;
        let facts = facts.unwrap();
        assert_eq!(
            facts.command,
            [
                "/opt/post room/postroom",
                "daemon",
                "--cli",
                "a \"b\" $c 5%"
            ]
        );
        assert!(facts.is_daemon() && !facts.has_program);
        assert_eq!(facts.other_user, None);
        let found = findings(Some(&facts));
        assert_eq!(found[0].grade, Grade::Fault);
        assert_eq!(
            (found[1].check, found[1].grade),
            ("environment", Grade::Fault)
        );
    }

    #[test]
    fn what_systemd_says_is_told() {
        let facts = |state: &str| Facts {
            file: PathBuf::from("/etc/systemd/system/postroom.service"),
            command: vec!["/bin/sh".to_owned()],
            has_program: true,
            environment: None,
            other_user: Some("bob".to_owned()),
            state: Some((state.to_owned(), "exit-code".to_owned())),
        };
        let grades = |state| {
            let found = findings(Some(&facts(state)));
            [found[1].grade, found[2].grade]
        };
        assert_eq!(grades("active"), [Grade::Note, Grade::Ok]);
        assert_eq!(grades("failed"), [Grade::Note, Grade::Fault]);
        assert_eq!(grades("inactive"), [Grade::Note, Grade::Note]);
        assert_eq!(findings(None), []);
    }
}
