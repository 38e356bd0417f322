//! The home folder and the file that tells of the running service.

use std::path::{Path, PathBuf};

use super::{
    finding::{Finding, Section},
    places::{self, Place},
};
use crate::{runtime_file::RuntimeFile, settings::stored_keys};

/// The process that the runtime file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// There is no file.
    Nothing,
    /// It is not understood, or cannot be read.
    Unreadable(String),
    /// The service of this process; whether it answers is another question.
    Running { pid: u32, endpoint: String },
    /// No such process is there.
    Gone { pid: u32 },
    /// Another program has that number now.
    Another { pid: u32, program: String },
}

/// What is in the home folder.
pub(super) struct Facts {
    place: Place,
    pub(super) told: Told,
    /// Files with secrets, and their modes where others can reach them.
    private: Vec<(PathBuf, Option<u32>)>,
}

impl Facts {
    pub(super) fn look(home: &Path) -> Self {
        let names = [
            crate::runtime_file::NAME,
            stored_keys::NAME,
            super::SERVICE_ENVIRONMENT,
        ];
        let private = names.map(|name| {
            let path = home.join(name);
            let mode = places::open_mode(&path);
            (path, mode)
        });
        Self {
            place: Place::look(home),
            told: told(home),
            private: private.into(),
        }
    }
}

fn told(home: &Path) -> Told {
    let runtime = match RuntimeFile::read(home) {
        Ok(None) => return Told::Nothing,
        Ok(Some(runtime)) => runtime,
        Err(error) => return Told::Unreadable(error.to_string()),
    };
    let pid = runtime.pid;
    if !runtime.process_lives() {
        return Told::Gone { pid };
    }
    match super::processes::program(pid) {
        Some(program) if !super::processes::is_ours(&program) => Told::Another { pid, program },
        _ => Told::Running {
            pid,
            endpoint: runtime.endpoint,
        },
    }
}

/// What they come to.
pub(super) fn findings(home: &Path, facts: &Facts) -> Vec<Finding> {
    let mut findings = places::findings(Section::Home, &facts.place, "--base-dir", LEAST);
    let file = RuntimeFile::path(home);
    findings.extend(told_finding(&file, &facts.told));
    let private = facts.private.iter();
    findings.extend(
        private.filter_map(|(path, mode)| places::private_file(Section::Home, path, *mode)),
    );
    findings
}

/// What the home folder needs: workspaces, notes, transcripts.
const LEAST: u64 = 16 << 20;

fn told_finding(file: &Path, told: &Told) -> Option<Finding> {
    const CHECK: &str = "runtime_file";
    let shown = file.display();
    let remove = format!("start the service again, which replaces it, or `rm '{shown}'`");
    Some(match told {
        Told::Nothing => return None,
        Told::Unreadable(why) => Finding::fault(Section::Home, CHECK, why.clone()).mend(remove),
        Told::Running { pid, endpoint } => Finding::ok(
            Section::Home,
            CHECK,
            format!("`{shown}` tells of process {pid} at {endpoint}"),
        ),
        Told::Gone { pid } => Finding::warning(
            Section::Home,
            CHECK,
            format!("`{shown}` is stale: process {pid} is gone, it did not stop in order"),
        )
        .mend(remove),
        Told::Another { pid, program } => Finding::warning(
            Section::Home,
            CHECK,
            format!("`{shown}` is stale: process {pid} is `{program}` now"),
        )
        .mend(remove),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Grade, *};

    #[test]
    fn a_file_that_was_left_behind_is_told_with_its_cure() {
        let file = Path::new("/h/runtime.json");
        assert_eq!(told_finding(file, &Told::Nothing), None);
        for (told, grade) in [
            (Told::Gone { pid: 7 }, Grade::Warning),
            (
                Told::Another {
                    pid: 7,
                    program: "sshd".to_owned(),
                },
                Grade::Warning,
            ),
            (Told::Unreadable("x".to_owned()), Grade::Fault),
        ] {
            let found = told_finding(file, &told).unwrap();
            assert_eq!(found.grade, grade);
            assert!(found.mend.unwrap().contains("rm '/h/runtime.json'"));
        }
    }

    #[test]
    fn a_process_that_is_gone_is_seen() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(told(home.path()), Told::Nothing);
        let runtime = |pid| RuntimeFile {
            pid,
            endpoint: "http://127.0.0.1:1".to_owned(),
            certificate: None,
            key: "k".to_owned(),
            version: "1".to_owned(),
        };
        runtime(4_194_303).write(home.path()).unwrap();
        assert_eq!(told(home.path()), Told::Gone { pid: 4_194_303 });
        std::fs::write(RuntimeFile::path(home.path()), "x").unwrap();
        assert!(matches!(told(home.path()), Told::Unreadable(_)));
    }
}
