//! Whatever is left to the runner: all descendants of the CLI fall to it when their parents end.

use std::{collections::HashSet, time::Duration};

use rustix::{
    event::{Timespec, poll},
    io::Errno,
    process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait},
};

use crate::adapters::turn_process::{
    process_table::{ProcessTable, as_pid, own_pid},
    protocol::Left,
};

/// Between two looks at what is left; doubled each time, up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// All children of this process, of its own start and adopted ones.
pub(super) struct Children {
    leader: Pid,
    /// Of those reaped, how many died of SIGKILL.
    killed: u32,
}

/// What reaping came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaped {
    /// The leader has ended.
    Leader(Left),
    /// Children are there, none of them has ended.
    SomeLeft,
    /// No child is there.
    NoneLeft,
}

impl Children {
    pub(super) const fn new(leader: Pid) -> Self {
        Self { leader, killed: 0 }
    }

    /// Reaps all that have ended, until the leader is among them.
    pub(super) fn reap(&mut self) -> Reaped {
        loop {
            // Any child will do: this process has none but those of its turn.
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.leader => {
                    return Reaped::Leader(left(status));
                }
                Ok(Some((_, status))) => self.count(status),
                Ok(None) => return Reaped::SomeLeft,
                Err(Errno::INTR) => {}
                Err(_no_child) => return Reaped::NoneLeft,
            }
        }
    }

    /// Kills all that is left, and what that leaves, until nothing is; answers how many it killed.
    pub(super) fn sweep(&mut self) -> u32 {
        self.killed = 0;
        let mut pause = SHORTEST_PAUSE;
        while self.reap() != Reaped::NoneLeft {
            let ours = ProcessTable::now().descendants(&HashSet::from([own_pid()]));
            for pid in ours.into_iter().filter_map(as_pid) {
                let _ended_already = kill_process(pid, Signal::KILL);
            }
            if self.reap() == Reaped::NoneLeft {
                break;
            }
            rest(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.killed
    }

    fn count(&mut self, status: WaitStatus) {
        if status.terminating_signal() == Some(Signal::KILL.as_raw()) {
            self.killed += 1;
        }
    }
}

fn left(status: WaitStatus) -> Left {
    Left {
        exit_code: status.exit_status(),
        signal: status.terminating_signal(),
    }
}

/// Blocks; this program has nothing else to do.
fn rest(pause: Duration) {
    let timeout = Timespec::try_from(pause).ok();
    let _interrupted = poll(&mut [], timeout.as_ref());
}
