//! The machine: open files, memory, cores, clock, and what former turns left running.

use std::{fs, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rustix::process::{Resource, getrlimit};

use super::finding::{Finding, Section};
use crate::startup::examination::{self, Answer, Orphan};

/// Open files that a busy service needs: connections, files, pipes of turns.
const ENOUGH_FILES: u64 = 4096;

/// A turn of an unknown program is taken to need so many MiB.
const TURN_MEMORY: u64 = 100;

/// No clock of a machine that runs this program is right before this day.
const RELEASED: &str = "2026-11-01T00:00:00Z";

/// What a message's time may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// How long `timedatectl` may take.
const LIMIT: Duration = Duration::from_secs(2);

/// What the machine has.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Files that the service may have open.
    open_files: u64,
    /// Memory that is free, in MiB.
    memory: Option<u64>,
    cores: u64,
    /// Whether the clock is kept right by another; `None`: not known.
    is_synchronized: Option<bool>,
    orphans: Vec<Orphan>,
}

/// What it is measured by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    /// Turns at once.
    pub(super) turns: u64,
    /// Memory of the largest turn, in MiB; 0: not known.
    pub(super) turn_memory: u64,
    /// When the newest message came.
    pub(super) newest: Option<DateTime<Utc>>,
    pub(super) now: DateTime<Utc>,
}

impl Facts {
    /// `service` is the running one, `home` the home directory of its user.
    pub(super) async fn look(service: Option<u32>, home: Option<String>) -> Self {
        let is_synchronized = synchronized().await;
        let looked = tokio::task::spawn_blocking(move || Self {
            open_files: service
                .and_then(limit_of)
                .unwrap_or_else(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)),
            memory: memory(),
            cores: std::thread::available_parallelism()
                .map_or(1, |cores| u64::try_from(cores.get()).unwrap_or(u64::MAX)),
            is_synchronized,
            orphans: home.map_or_else(Vec::new, |home| examination::orphans(&home)),
        });
        looked.await.unwrap_or_default()
    }
}

async fn synchronized() -> Option<bool> {
    let arguments = ["show", "--property=NTPSynchronized", "--value"];
    let answer = examination::system_program("timedatectl", &arguments, LIMIT).await?;
    match answer {
        Answer::Ended {
            is_success: true,
            output,
            ..
        } => match output.trim() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The limit of open files of a process; the largest number where there is none.
fn limit_of(pid: u32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    soft_limit(&limits)
}

fn soft_limit(limits: &str) -> Option<u64> {
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_ascii_whitespace().next()?;
    Some(soft.parse().unwrap_or(u64::MAX))
}

fn memory() -> Option<u64> {
    let facts = fs::read_to_string("/proc/meminfo").ok()?;
    let mut lines = facts.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

/// What they come to.
pub(super) fn findings(facts: &Facts, needs: &Needs) -> Vec<Finding> {
    let mut findings = vec![files_finding(facts)];
    findings.extend(memory_finding(facts, needs));
    findings.extend(cores_finding(facts, needs));
    findings.extend(clock_finding(facts, needs));
    findings.extend(facts.orphans.iter().map(orphan_finding));
    findings
}

fn files_finding(facts: &Facts) -> Finding {
    const CHECK: &str = "open_files";
    match facts.open_files {
        files if files < ENOUGH_FILES => Finding::warning(
            Section::Machine,
            CHECK,
            format!("the service may have only {files} files and connections open at once"),
        )
        .mend("`ulimit -n 65536` before the start; in a unit, `LimitNOFILE=65536`"),
        u64::MAX => Finding::ok(Section::Machine, CHECK, "open files are not limited"),
        files => Finding::ok(
            Section::Machine,
            CHECK,
            format!("{files} files and connections may be open at once"),
        ),
    }
}

fn memory_finding(facts: &Facts, needs: &Needs) -> Option<Finding> {
    const CHECK: &str = "memory";
    let free = facts.memory?;
    let one = needs.turn_memory.max(TURN_MEMORY);
    let all = one.saturating_mul(needs.turns);
    if free >= all {
        let found = format!("{free} MiB of memory are free");
        return Some(Finding::ok(Section::Machine, CHECK, found));
    }
    let found = format!(
        "{} turns at once may need {all} MiB of memory, {free} MiB are free",
        needs.turns
    );
    Some(
        Finding::warning(Section::Machine, CHECK, found)
            .mend("set `agents.max_turns` lower, or give the machine more memory"),
    )
}

fn cores_finding(facts: &Facts, needs: &Needs) -> Option<Finding> {
    let most = facts.cores.saturating_mul(4);
    if needs.turns <= most {
        return None;
    }
    let found = format!(
        "`agents.max_turns` is {}, and the machine has {} cores: turns will be slow together",
        needs.turns, facts.cores
    );
    Some(
        Finding::note(Section::Machine, "cores", found)
            .mend("lower it, unless turns mostly wait for their model"),
    )
}

fn clock_finding(facts: &Facts, needs: &Needs) -> Option<Finding> {
    const CHECK: &str = "clock";
    const MEND: &str = "set the clock right (`timedatectl set-ntp true`), then start the service";
    let released = DateTime::parse_from_rfc3339(RELEASED).ok()?;
    let shown = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
    if needs.now < released {
        let found = format!(
            "the clock says {}, before this program was made",
            shown(needs.now)
        );
        return Some(Finding::fault(Section::Machine, CHECK, found).mend(MEND));
    }
    let newest = needs.newest.filter(|newest| *newest > needs.now + AHEAD);
    if let Some(newest) = newest {
        let found = format!(
            "the clock says {}, but the store's newest message came at {}",
            shown(needs.now),
            shown(newest)
        );
        return Some(Finding::fault(Section::Machine, CHECK, found).mend(MEND));
    }
    match facts.is_synchronized {
        Some(false) => Some(
            Finding::note(
                Section::Machine,
                CHECK,
                "nothing keeps the clock right (no NTP)",
            )
            .mend("`timedatectl set-ntp true`"),
        ),
        _ => Some(Finding::ok(
            Section::Machine,
            CHECK,
            format!("the clock says {}", shown(needs.now)),
        )),
    }
}

fn orphan_finding(orphan: &Orphan) -> Finding {
    let Orphan { pid, turn, command } = orphan;
    let found =
        format!("process {pid} (`{command}`) is left of turn {turn}, whose service is gone");
    Finding::fault(Section::Machine, "orphan", found).mend(format!(
        "start the service, which ends it if its turn is open still; or `kill {pid}`"
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Grade, *};

    fn facts() -> Facts {
        Facts {
            open_files: 65_536,
            memory: Some(8000),
            cores: 4,
            is_synchronized: Some(true),
            orphans: Vec::new(),
        }
    }

    fn needs() -> Needs {
        Needs {
            turns: 4,
            turn_memory: 600,
            newest: None,
            now: "2026-12-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn bad(facts: &Facts, needs: &Needs) -> Vec<(&'static str, Grade)> {
        let findings = findings(facts, needs);
        let bad = findings.iter().filter(|finding| finding.grade != Grade::Ok);
        bad.map(|finding| (finding.check, finding.grade)).collect()
    }

    #[test]
    fn a_machine_with_room_is_well() {
        assert_eq!(bad(&facts(), &needs()), []);
    }

    #[test]
    fn few_files_little_memory_and_many_turns_are_told() {
        let small = Facts {
            open_files: 1024,
            memory: Some(1000),
            cores: 1,
            ..facts()
        };
        let many = Needs {
            turns: 5,
            ..needs()
        };
        let expected = [
            ("open_files", Grade::Warning),
            ("memory", Grade::Warning),
            ("cores", Grade::Note),
        ];
        assert_eq!(bad(&small, &many), expected);
    }

    #[test]
    fn a_clock_that_cannot_be_right_is_a_fault() {
        let early = Needs {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            ..needs()
        };
        assert_eq!(bad(&facts(), &early), [("clock", Grade::Fault)]);
        let behind = |minutes| Needs {
            newest: Some(needs().now + TimeDelta::minutes(minutes)),
            ..needs()
        };
        assert_eq!(bad(&facts(), &behind(6)), [("clock", Grade::Fault)]);
        assert_eq!(bad(&facts(), &behind(4)), []);
        let free = Facts {
            is_synchronized: Some(false),
            ..facts()
        };
        assert_eq!(bad(&free, &needs()), [("clock", Grade::Note)]);
    }

    #[test]
    fn what_a_turn_left_is_named_with_its_process() {
        let orphan = orphan_finding(&Orphan {
            pid: 77,
            turn: "t1".to_owned(),
            command: "sleep 600".to_owned(),
        });
        assert_eq!(orphan.grade, Grade::Fault);
        assert!(orphan.found.contains("77") && orphan.found.contains("sleep 600"));
        assert!(orphan.mend.unwrap().contains("kill 77"));
    }

    #[test]
    fn limits_of_another_process_are_read() {
        let text = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(
            soft_limit("Max open files  unlimited unlimited files"),
            Some(u64::MAX)
        );
        assert!(memory().is_some());
    }
}
