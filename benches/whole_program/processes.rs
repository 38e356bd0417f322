//! What the kernel says about a server's whole process tree.

use std::fs;
use std::time::Duration;

/// `/proc` counts CPU time in ticks of a hundredth of a second, on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

/// CPU time and memory of a process and all its descendants.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time, dead children that were waited for included.
    pub(crate) cpu: Duration,
    /// Resident now. Unit: MiB. Pages that processes share count once for each.
    pub(crate) resident_mb: f64,
    /// The sum of each process's own peak. Unit: MiB.
    pub(crate) peak_mb: f64,
}

/// Reads the usage of the tree below `root`, `root` included.
pub(crate) fn usage(root: u32) -> Usage {
    let everyone = all();
    let mut wanted = vec![root];
    let mut sum = Usage::default();
    while let Some(pid) = wanted.pop() {
        wanted.extend(
            everyone
                .iter()
                .filter(|process| process.parent == pid)
                .map(|p| p.pid),
        );
        if let Some(process) = everyone.iter().find(|process| process.pid == pid) {
            sum.cpu += TICK * process.ticks;
        }
        sum.resident_mb += status_mb(pid, "VmRSS:");
        sum.peak_mb += status_mb(pid, "VmHWM:");
    }
    sum
}

/// The load average of the last minute.
pub(crate) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0.0)
}

struct Process {
    pid: u32,
    parent: u32,
    ticks: u32,
}

fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| name.parse().ok())
        .filter_map(stat)
        .collect()
}

fn stat(pid: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything: count the fields from behind it.
    let (_, behind) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = behind.split(' ').collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u32>().ok());
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Process {
        pid,
        parent: number(1)?,
        ticks,
    })
}

fn status_mb(pid: u32, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    kib.and_then(|digits| digits.parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}
