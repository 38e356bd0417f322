//! Ends what no runner ends: processes of a runner that was killed, or of a former broker.
//!
//! Both look at the process table, signal, and look again, until nothing is left or time is up.

use std::{collections::HashSet, time::Duration};

use postroom_actors::domain::ids::TurnId;
use rustix::{
    event::{Timespec, poll},
    process::{Signal, WaitOptions, kill_process, waitpid},
};
use tokio::time::Instant;

use super::{
    process_table::{Process, ProcessTable, as_pid, own_pid, variable},
    protocol::{RUNNER_VARIABLE, TURN_VARIABLE},
    runner_process::{RunnerProcess, Runners},
};

/// How long a process may take to die of SIGKILL; one that does not is waiting for a device.
const LONGEST_DEATH: Duration = Duration::from_secs(5);

/// How long leftovers of a former broker may take after SIGTERM.
const LEFTOVER_GRACE: Duration = Duration::from_millis(500);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// What a clean-up came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cleanup {
    /// How many processes were ended.
    pub(super) ended: usize,
    /// Whether nothing is left.
    pub(super) is_complete: bool,
}

/// Ends a turn whose runner does not do it any more, the runner included. Blocks.
///
/// Whatever the runner had left falls to us, as we are the next subreaper: every child that is
/// not ours by start. The only processes that this program starts are runners; were others
/// started in groups of their own meanwhile, they would be taken for such.
pub(super) fn end_turn(turn: TurnId, runner: RunnerProcess, runners: &Runners) -> Cleanup {
    let pid = runner.pid();
    let since = ProcessTable::now().find(pid).map(|found| found.started);
    runner.kill();
    let turn = turn.to_string();
    let is_of_turn = |process: &Process, own_group: Option<i32>| {
        match variable(process.pid, TURN_VARIABLE) {
            Some(other) => other == turn,
            None => {
                process.parent == own_pid()
                    && Some(process.group) != own_group
                    && since.is_none_or(|since| process.started >= since)
                    // One that is being started now is known once they can be held.
                    && !runners.hold().contains(&process.pid)
            }
        }
    };
    let roots = |table: &ProcessTable| {
        let own_group = table.find(own_pid()).map(|own| own.group);
        let found = table.all().filter(|one| is_of_turn(one, own_group));
        found.map(|process| process.pid).collect()
    };
    end_all(roots, Duration::ZERO)
}

/// Ends what a former run of the broker left of these turns. Blocks.
pub(super) fn end_leftovers(turns: &[TurnId]) -> usize {
    if turns.is_empty() {
        return 0;
    }
    let turns: HashSet<String> = turns.iter().map(ToString::to_string).collect();
    let is_one = |pid, name| variable(pid, name).is_some_and(|turn| turns.contains(&turn));
    let roots = |table: &ProcessTable| {
        let pids = table.all().map(|process| process.pid);
        pids.filter(|pid| is_one(*pid, TURN_VARIABLE) || is_one(*pid, RUNNER_VARIABLE))
            .collect()
    };
    end_all(roots, LEFTOVER_GRACE).ended
}

/// Ends the processes that `roots` finds and their descendants, again and again until it finds
/// none: SIGTERM for the time of `grace`, SIGKILL after it.
fn end_all(roots: impl Fn(&ProcessTable) -> HashSet<i32>, grace: Duration) -> Cleanup {
    let begun = Instant::now();
    // With their start times: an id may be given to another process meanwhile.
    let mut seen = HashSet::new();
    let mut ended = 0;
    loop {
        let table = ProcessTable::now();
        let mut roots: HashSet<i32> = roots(&table);
        // A zombie does not tell any more whose it was.
        let seen_before = table.all().filter(|one| seen.contains(&identity(one)));
        roots.extend(seen_before.map(|process| process.pid));
        let victims = victims(&table, &roots);
        let is_complete = victims.is_empty();
        let age = begun.elapsed();
        if is_complete || age > grace + LONGEST_DEATH {
            return Cleanup { ended, is_complete };
        }
        for victim in &victims {
            let is_new = seen.insert(identity(victim));
            // What had ended by itself only waits to be reaped.
            ended += usize::from(is_new && !victim.is_zombie);
            if age >= grace {
                signal(victim, Signal::KILL);
            } else if is_new && variable(victim.pid, RUNNER_VARIABLE).is_none() {
                // A runner that is left sees its broker's death, and does the same as we.
                signal(victim, Signal::TERM);
            }
            reap(victim);
        }
        rest();
    }
}

/// The living ones among the roots and their descendants, and the zombies that are ours to reap;
/// never ourselves, nor what we descend from.
fn victims(table: &ProcessTable, roots: &HashSet<i32>) -> Vec<Process> {
    let protected = table.line_of(own_pid());
    let roots: HashSet<i32> = roots.difference(&protected).copied().collect();
    let mut all = table.descendants(&roots);
    all.extend(roots);
    let found = all
        .difference(&protected)
        .filter_map(|pid| table.find(*pid));
    found
        .filter(|process| !process.is_zombie || process.parent == own_pid())
        .copied()
        .collect()
}

const fn identity(process: &Process) -> (i32, u64) {
    (process.pid, process.started)
}

fn signal(process: &Process, signal: Signal) {
    if let Some(pid) = as_pid(process.pid) {
        let _ended_already = kill_process(pid, signal);
    }
}

/// By its own id: to wait for any child would take the exit statuses of others.
fn reap(process: &Process) {
    let child = as_pid(process.pid).filter(|_| process.parent == own_pid());
    if let Some(child) = child {
        let _not_yet = waitpid(Some(child), WaitOptions::NOHANG);
    }
}

/// Blocks; this runs on a thread that may.
fn rest() {
    let timeout = Timespec::try_from(PAUSE).ok();
    let _interrupted = poll(&mut [], timeout.as_ref());
}
