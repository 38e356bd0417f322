//! What a check found, and what all of them come to.

use serde::Serialize;

use crate::cli::exit;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Grade {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It may become a fault, or costs something.
    Warning,
    /// Something does not work.
    Fault,
}

impl Grade {
    /// Its word in the list.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// The parts of a set-up, in the order in which they are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Section {
    Configuration,
    Home,
    Store,
    Inbox,
    Address,
    Agents,
    Backends,
    Peers,
    Service,
    Machine,
    Systemd,
}

impl Section {
    /// Its heading.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Home => "home",
            Self::Store => "store",
            Self::Inbox => "inbox",
            Self::Address => "address",
            Self::Agents => "agents",
            Self::Backends => "backends",
            Self::Peers => "peers",
            Self::Service => "service",
            Self::Machine => "machine",
            Self::Systemd => "systemd",
        }
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Where it belongs.
    pub(super) section: Section,
    /// A name that stays the same, for programs.
    pub(super) check: &'static str,
    /// How bad it is.
    pub(super) grade: Grade,
    /// What was found, in one line.
    pub(super) found: String,
    /// How to mend it, in one line.
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(section: Section, check: &'static str, found: impl Into<String>) -> Self {
        Self::new(section, check, Grade::Ok, found)
    }

    pub(super) fn note(section: Section, check: &'static str, found: impl Into<String>) -> Self {
        Self::new(section, check, Grade::Note, found)
    }

    pub(super) fn warning(section: Section, check: &'static str, found: impl Into<String>) -> Self {
        Self::new(section, check, Grade::Warning, found)
    }

    pub(super) fn fault(section: Section, check: &'static str, found: impl Into<String>) -> Self {
        Self::new(section, check, Grade::Fault, found)
    }

    fn new(section: Section, check: &'static str, grade: Grade, found: impl Into<String>) -> Self {
        Self {
            section,
            check,
            grade,
            found: found.into(),
            mend: None,
        }
    }

    /// The same with what mends it.
    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }

    /// The same, no worse than this.
    pub(super) fn at_most(mut self, worst: Grade) -> Self {
        self.grade = self.grade.min(worst);
        self
    }
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    /// In the order of the sections; within one, in the order of the checks.
    pub(super) fn of(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.section);
        Self(findings)
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.0
    }

    pub(super) fn count(&self, grade: Grade) -> usize {
        let found = self.0.iter().filter(|finding| finding.grade == grade);
        found.count()
    }

    /// 0 without a fault; 78 where only the configuration is wrong, 65 where only the store is of a
    /// newer version, else 1.
    pub(super) fn exit_code(&self) -> u8 {
        let faults = || self.0.iter().filter(|found| found.grade == Grade::Fault);
        if faults().next().is_none() {
            exit::OK
        } else if faults().all(|fault| fault.section == Section::Configuration) {
            exit::CONFIG
        } else if faults().all(|fault| fault.check == super::store::SCHEMA) {
            exit::DATA
        } else {
            exit::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(section: Section, check: &'static str) -> Finding {
        Finding::fault(section, check, "x")
    }

    #[test]
    fn the_code_tells_the_one_clear_kind_of_fault() {
        let code = |findings: Vec<Finding>| Report::of(findings).exit_code();
        assert_eq!(code(vec![]), 0);
        assert_eq!(code(vec![Finding::warning(Section::Home, "a", "x")]), 0);
        let wrong = || fault(Section::Configuration, "configuration");
        assert_eq!(code(vec![wrong(), wrong()]), 78);
        assert_eq!(code(vec![wrong(), fault(Section::Home, "a")]), 1);
        let newer = || fault(Section::Store, super::super::store::SCHEMA);
        assert_eq!(code(vec![newer()]), 65);
        assert_eq!(code(vec![newer(), wrong()]), 1);
    }

    #[test]
    fn sections_stand_in_their_order() {
        let report = Report::of(vec![
            Finding::ok(Section::Machine, "b", "x"),
            fault(Section::Home, "a"),
        ]);
        assert_eq!(report.findings()[0].check, "a");
        assert_eq!(report.count(Grade::Fault), 1);
    }
}
