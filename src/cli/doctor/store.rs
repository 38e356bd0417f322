//! The store: its folder, its disk, its lock, its database.

use std::{path::Path, time::Duration};

use super::{
    finding::{Finding, Section},
    home::Told,
    places::{self, Place},
    processes,
};
use crate::{
    settings::Settings,
    startup::examination::{self, Health, Inspection, Lock},
};

/// The check that finds a store of a newer version.
pub(super) const SCHEMA: &str = "schema";

/// How long the database may be read.
const LIMIT: Duration = Duration::from_secs(4);

/// What is there.
pub(super) struct Facts {
    place: Place,
    least: u64,
    lock: Option<Lock>,
    database: Result<Option<Inspection>, String>,
}

impl Facts {
    /// Blocks for some seconds where the database is large.
    pub(super) fn look(settings: &Settings) -> Self {
        let folder = &settings.store.path;
        Self {
            place: Place::look(folder),
            least: settings.store.min_free,
            lock: examination::store_lock(folder),
            database: examination::store(folder, LIMIT),
        }
    }

    /// When the newest message came.
    pub(super) fn newest(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        self.database.as_ref().ok()?.as_ref()?.newest
    }
}

/// What they come to; `inbox` is the configured one.
pub(super) fn findings(facts: &Facts, inbox: &Path, told: &Told) -> Vec<Finding> {
    let mut findings = places::findings(Section::Store, &facts.place, "store.path", facts.least);
    findings.extend(lock_finding(facts.lock, told));
    match &facts.database {
        Ok(None) => {}
        Ok(Some(database)) => findings.extend(database_findings(database, inbox)),
        Err(why) => findings.push(
            Finding::fault(
                Section::Store,
                "database",
                format!("the database cannot be read: {why}"),
            )
            .mend("run this as the user of the service; if it is damaged, restore a backup"),
        ),
    }
    findings
}

fn lock_finding(lock: Option<Lock>, told: &Told) -> Option<Finding> {
    const CHECK: &str = "lock";
    let ours = match told {
        Told::Running { pid, .. } => Some(*pid),
        _ => None,
    };
    match lock? {
        Lock::Free => None,
        Lock::Held(pid) if pid.is_some() && pid == ours => Some(Finding::ok(
            Section::Store,
            CHECK,
            "the running service works with it",
        )),
        Lock::Held(pid) => {
            let program = pid.and_then(processes::program);
            let who = match (pid, program) {
                (Some(pid), Some(program)) => format!("process {pid} (`{program}`)"),
                (Some(pid), None) => format!("process {pid}"),
                (None, _) => "another process".to_owned(),
            };
            let found = format!("{who} works with this store: a second service cannot start");
            Some(Finding::fault(Section::Store, CHECK, found).mend(
                "stop that process, or give its home folder (`--base-dir`); or choose another `store.path`",
            ))
        }
    }
}

fn database_findings(database: &Inspection, inbox: &Path) -> Vec<Finding> {
    let Inspection { schema, known, .. } = database;
    if schema > known {
        let found =
            format!("the store has schema version {schema}, this program knows up to {known}");
        let mend = "use the newer `postroom` that wrote it, or choose another `store.path`";
        return vec![Finding::fault(Section::Store, SCHEMA, found).mend(mend)];
    }
    let mut findings = vec![health_finding(database)];
    if schema < known {
        let found = format!(
            "schema version {schema}; the start takes it to {known}, and older programs cannot read it then"
        );
        findings.push(
            Finding::note(Section::Store, SCHEMA, found)
                .mend("back it up before, if you may go back"),
        );
    }
    let remembered = database.inbox.as_deref().filter(|other| *other != inbox);
    if let Some(other) = remembered.filter(|_| database.pending > 0) {
        let found = format!(
            "{} messages of this store wait for the inbox `{}`: it cannot start with another one",
            database.pending,
            other.display()
        );
        findings.push(Finding::fault(Section::Store, "inbox", found).mend(
            "set `mailbox.inbox` back until they are written, or choose another `store.path`",
        ));
    }
    findings
}

fn health_finding(database: &Inspection) -> Finding {
    const CHECK: &str = "database";
    match &database.health {
        Health::Sound => Finding::ok(Section::Store, CHECK, "the database is sound"),
        Health::NotFinished => Finding::note(
            Section::Store,
            CHECK,
            "the database is too large to be checked in passing",
        )
        .mend("`postroom store check` checks all of it"),
        Health::Damaged(why) => Finding::fault(
            Section::Store,
            CHECK,
            format!("the database is damaged: {why}"),
        )
        .mend("stop the service and restore a backup (`postroom restore`); look at the disk"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{super::finding::Grade, *};

    fn database(schema: i64) -> Inspection {
        Inspection {
            schema,
            known: 4,
            newest: None,
            inbox: Some(PathBuf::from("/inbox")),
            pending: 3,
            health: Health::Sound,
        }
    }

    fn told(findings: &[Finding]) -> Vec<(&'static str, Grade)> {
        findings
            .iter()
            .map(|finding| (finding.check, finding.grade))
            .collect()
    }

    #[test]
    fn versions_of_the_tables_are_told() {
        let inbox = Path::new("/inbox");
        let same = database_findings(&database(4), inbox);
        assert_eq!(told(&same), [("database", Grade::Ok)]);
        let newer = database_findings(&database(5), inbox);
        assert_eq!(told(&newer), [(SCHEMA, Grade::Fault)]);
        let older = database_findings(&database(3), inbox);
        assert_eq!(told(&older)[1], (SCHEMA, Grade::Note));
    }

    #[test]
    fn messages_for_another_inbox_are_a_fault() {
        let found = database_findings(&database(4), Path::new("/other"));
        assert_eq!(told(&found)[1], ("inbox", Grade::Fault));
        assert!(found[1].found.contains("`/inbox`"), "{found:?}");
    }

    #[test]
    fn damage_is_a_fault() {
        let damaged = Inspection {
            health: Health::Damaged("row 3 is missing".to_owned()),
            ..database(4)
        };
        assert_eq!(health_finding(&damaged).grade, Grade::Fault);
    }

    #[test]
    fn the_lock_of_the_running_service_is_well_and_any_other_a_fault() {
        let running = Told::Running {
            pid: 7,
            endpoint: String::new(),
        };
        let grade = |lock, told| lock_finding(lock, told).map(|found| found.grade);
        assert_eq!(grade(Some(Lock::Held(Some(7))), &running), Some(Grade::Ok));
        let other = Some(Lock::Held(Some(8)));
        assert_eq!(grade(other, &running), Some(Grade::Fault));
        assert_eq!(grade(other, &Told::Nothing), Some(Grade::Fault));
        assert_eq!(grade(Some(Lock::Free), &running), None);
        assert_eq!(grade(None, &running), None);
    }
}
