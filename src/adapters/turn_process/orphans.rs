//! Processes of turns that nobody looks after any more. Only looks.

use std::fs;

use super::{
    process_table::{Process, ProcessTable, variable},
    protocol::{RUNNER_VARIABLE, TURN_VARIABLE},
};

/// A process of a turn whose broker and whose runner are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its id.
    pub pid: i32,
    /// The turn that it was started for.
    pub turn: String,
    /// The beginning of its command line.
    pub command: String,
}

/// The orphans of the user with this home directory, as far as they may be looked at.
pub fn orphans(home: &str) -> Vec<Orphan> {
    let table = ProcessTable::now();
    let found = table.all().filter_map(|process| {
        let turn = variable(process.pid, TURN_VARIABLE)?;
        variable(process.pid, "HOME").filter(|its| its == home)?;
        is_alone(process, &table, is_keeper).then(|| Orphan {
            pid: process.pid,
            turn,
            command: command(process.pid),
        })
    });
    found.collect()
}

/// Whether nobody above a process, up to the first one of all, keeps turns.
fn is_alone(process: &Process, table: &ProcessTable, is_keeper: impl Fn(i32) -> bool) -> bool {
    let mut above = table.line_of(process.pid);
    above.remove(&process.pid);
    !process.is_zombie && !above.into_iter().any(|pid| pid > 1 && is_keeper(pid))
}

/// A runner, or a broker: what a killed runner leaves falls to its broker, which ends it.
fn is_keeper(pid: i32) -> bool {
    if variable(pid, RUNNER_VARIABLE).is_some() {
        return true;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = program.rsplit(|byte| *byte == b'/').next();
    matches!(name, Some(b"postroom" | b"ai-agent-proxy"))
}

fn command(pid: i32) -> String {
    const LONGEST: usize = 60;
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&line).replace('\0', " ");
    text.trim_end().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            group: pid,
            started: 0,
            is_zombie: false,
        }
    }

    #[test]
    fn whoever_has_a_keeper_above_is_no_orphan() {
        let all = [
            process(1, 0),
            process(10, 1),
            process(20, 10),
            process(30, 20),
            process(40, 1),
        ];
        let table: ProcessTable = all.into_iter().collect();
        let is_keeper = |pid| pid == 10 || pid == 1;
        assert!(!is_alone(&process(30, 20), &table, is_keeper));
        assert!(is_alone(&process(40, 1), &table, is_keeper));
        let ended = Process {
            is_zombie: true,
            ..process(40, 1)
        };
        assert!(!is_alone(&ended, &table, is_keeper));
    }
}
