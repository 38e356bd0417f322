//! The inbox folder: whether files can be written, and what lies there.

use std::{fs, path::Path};

use super::{
    finding::{Finding, Section},
    places::{self, Folder, Place},
};

/// What its disk needs at least.
const LEAST: u64 = 16 << 20;

/// From so many files on, it seems that nobody takes them.
const MANY: usize = 1000;

/// What is there.
pub(super) struct Facts {
    place: Place,
    /// Finished files.
    files: usize,
    /// Files that a run left unfinished.
    unfinished: usize,
}

impl Facts {
    pub(super) fn look(inbox: &Path) -> Self {
        let (mut files, mut unfinished) = (0, 0);
        for entry in fs::read_dir(inbox).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                unfinished += usize::from(name.ends_with(".json.tmp"));
            } else {
                files += usize::from(
                    Path::new(name.as_ref())
                        .extension()
                        .is_some_and(|ending| ending == "json"),
                );
            }
        }
        Self {
            place: Place::look(inbox),
            files,
            unfinished,
        }
    }
}

/// What they come to. The unfinished files of a service that runs are its own business.
pub(super) fn findings(facts: &Facts, runs: bool) -> Vec<Finding> {
    let mut findings = places::findings(Section::Inbox, &facts.place, "mailbox.inbox", LEAST);
    if facts.unfinished > 0 && !runs {
        let found = format!(
            "{} unfinished files of a run that was killed; their messages are in the store",
            facts.unfinished
        );
        findings.push(
            Finding::note(Section::Inbox, "unfinished", found)
                .mend("nothing: the next start removes them and writes them anew"),
        );
    }
    if facts.files >= MANY && facts.place.folder == Folder::Usable {
        let found = format!(
            "{} files wait there: does anybody take them away?",
            facts.files
        );
        findings.push(Finding::note(Section::Inbox, "files", found).mend(
            "see that the agent which watches this folder runs, and removes what it has read",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Grade, *};

    #[test]
    fn what_a_killed_run_left_is_told_unless_a_service_runs() {
        let inbox = tempfile::tempdir().unwrap();
        for name in [".20261121000000-00.json.tmp", "a.json", ".notes"] {
            fs::write(inbox.path().join(name), "").unwrap();
        }
        let facts = Facts::look(inbox.path());
        assert_eq!((facts.files, facts.unfinished), (1, 1));
        let has_note = |runs| {
            let findings = findings(&facts, runs);
            findings.iter().any(|found| found.check == "unfinished")
        };
        assert!(has_note(false) && !has_note(true));
    }

    #[test]
    fn a_folder_that_nobody_empties_is_worth_a_note() {
        let inbox = tempfile::tempdir().unwrap();
        let facts = Facts {
            files: MANY,
            ..Facts::look(inbox.path())
        };
        let findings = findings(&facts, true);
        assert_eq!(findings.last().unwrap().grade, Grade::Note);
    }
}
