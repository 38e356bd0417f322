//! All processes of the machine at one moment, read from `/proc`.

use std::{collections::HashSet, fs};

use rustix::process::Pid;

/// One process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// It has ended and waits for its parent to notice.
    pub is_zombie: bool,
}

/// The processes of one moment. What has started since is missing: look again.
#[derive(Debug, Clone, Default)]
pub struct ProcessTable(Vec<Process>);

impl ProcessTable {
    /// Looks at the machine. Processes that end meanwhile are left out.
    pub fn now() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Self(pids.filter_map(read).collect())
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Process> {
        self.0.iter()
    }

    /// One of them.
    pub fn find(&self, pid: i32) -> Option<&Process> {
        self.0.iter().find(|process| process.pid == pid)
    }

    /// Children of these, their children, and so on; without these.
    pub fn descendants(&self, roots: &HashSet<i32>) -> HashSet<i32> {
        let mut family = roots.clone();
        loop {
            let before = family.len();
            let children = self.0.iter().filter(|one| family.contains(&one.parent));
            let children: Vec<i32> = children.map(|process| process.pid).collect();
            family.extend(children);
            if family.len() == before {
                return family.difference(roots).copied().collect();
            }
        }
    }

    /// A process, its parent, and so on.
    pub fn line_of(&self, pid: i32) -> HashSet<i32> {
        let mut line = HashSet::new();
        let mut next = Some(pid);
        while let Some(pid) = next.filter(|pid| line.insert(*pid)) {
            next = self.find(pid).map(|process| process.parent);
        }
        line
    }
}

impl FromIterator<Process> for ProcessTable {
    fn from_iter<All: IntoIterator<Item = Process>>(all: All) -> Self {
        Self(all.into_iter().collect())
    }
}

/// The value of a variable in the environment that a process was started with.
///
/// `None` too where it may not be read, or the process has ended.
pub fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environment
        .split(|byte| *byte == 0)
        .find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// The id of this very process.
pub fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_pid()
}

/// An id as the system calls take it; `None` for what is no process.
pub fn as_pid(pid: i32) -> Option<Pid> {
    // 1 is never ours to signal, and 0 and below mean groups.
    Pid::from_raw(pid).filter(|_| pid > 1)
}

fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `PID (NAME) STATE PARENT GROUP …`; the name may hold anything, brackets included.
fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    let end_of_name = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(stat.get(end_of_name + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
    })
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
    fn a_name_with_brackets_and_spaces_does_not_confuse() {
        let stat = b"42 (a) b) Z 7 8 9 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 5555 0 0";
        let expected = Process {
            pid: 42,
            parent: 7,
            group: 8,
            started: 5555,
            is_zombie: true,
        };
        assert_eq!(parse(42, stat), Some(expected));
        assert_eq!(parse(42, b"42 (a"), None);
    }

    #[test]
    fn families_are_followed_down_and_up() {
        let table = ProcessTable(vec![
            process(5, 4),
            process(1, 0),
            process(3, 2),
            process(2, 1),
            process(4, 3),
            process(9, 1),
        ]);
        let below = table.descendants(&HashSet::from([2]));
        assert_eq!(below, HashSet::from([3, 4, 5]));
        assert_eq!(table.line_of(4), HashSet::from([4, 3, 2, 1, 0]));
    }

    #[test]
    fn this_process_is_in_the_table() {
        let table = ProcessTable::now();
        let own = table.find(own_pid()).unwrap();
        assert!(!own.is_zombie);
        assert!(table.line_of(own.pid).contains(&own.parent));
        assert_eq!(variable(own.pid, "NO_SUCH_VARIABLE"), None);
    }
}
