//! The small program that runs one turn: `postroom turn-runner`, started by the broker.
//!
//! It lives as long as the turn and stands between broker and CLI, so that each turn has a process
//! of its own to which everything falls that the CLI's tools leave behind. It ends the turn when the
//! broker asks for it or has died, and answers `gone` only when it has no child left: that is the
//! proof that no process of the turn is.
//!
//! Blocking code on one thread: it has nothing else to do, and must start fast.

mod broker_link;
mod leader;
mod prompt;
mod sweep;

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process, kill_process_group, pidfd_open,
        set_child_subreaper, setrlimit,
    },
};
use tokio::time::Instant;

use self::{
    broker_link::{BrokerLink, Wish},
    prompt::Prompt,
    sweep::{Children, Reaped},
};
use crate::adapters::turn_process::protocol::{Left, Order, Report};

pub use crate::adapters::turn_process::protocol::RUNNER_VERB;

/// How often a turn in which nothing happens is looked at; adopted children are reaped then.
const TICK: Duration = Duration::from_secs(1);

/// The same where the kernel has no way to wait for a process by a file.
const TICK_WITHOUT_PIDFD: Duration = Duration::from_millis(20);

/// The longest grace of a turn whose broker has died: the next start of the broker waits for its end.
const ABANDONED_GRACE: Duration = Duration::from_secs(2);

/// Runs the turn that the broker describes on standard input.
pub fn run() -> ExitCode {
    match run_turn() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_nobody_to_tell) => ExitCode::FAILURE,
    }
}

fn run_turn() -> io::Result<()> {
    let mut link = BrokerLink::of_stdin()?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // A CLI that crashes then leaves a file of its memory, at worst.
    let _unlimited = setrlimit(Resource::Core, no_core);
    let Some(order) = link.order()? else {
        return Ok(());
    };
    match leader::spawn(&order) {
        Ok((leader, stdin)) => {
            link.report(&Report::Started {
                pid: leader.as_raw_pid().unsigned_abs(),
            });
            Turn::new(link, &order, leader, stdin).run();
        }
        Err(problem) => link.report(&problem),
    }
    Ok(())
}

struct Turn {
    link: BrokerLink,
    leader: Pid,
    /// Readable once the leader has ended.
    leader_file: Option<OwnedFd>,
    prompt: Prompt,
    children: Children,
    stop_signal: Signal,
    grace: Duration,
    /// When the turn is killed; `None` while nobody has asked it to end.
    kill_at: Option<Instant>,
}

/// What a wait was ended by.
#[derive(Default)]
struct Ready {
    link: bool,
    prompt: bool,
}

impl Turn {
    fn new(link: BrokerLink, order: &Order, leader: Pid, stdin: io::PipeWriter) -> Self {
        Self {
            link,
            leader,
            leader_file: pidfd_open(leader, PidfdFlags::empty()).ok(),
            prompt: Prompt::new(stdin, &order.prompt),
            children: Children::new(leader),
            stop_signal: if order.stops_by_interrupt {
                Signal::INT
            } else {
                Signal::TERM
            },
            grace: Duration::from_millis(order.grace_ms),
            kill_at: None,
        }
    }

    fn run(mut self) {
        let left = loop {
            match self.children.reap() {
                Reaped::Leader(left) => break left,
                Reaped::SomeLeft => {}
                // SIGCHLD is ignored here, so that nobody can tell how it ended.
                Reaped::NoneLeft => break Left::default(),
            }
            let ready = self.wait();
            if ready.prompt {
                self.prompt.hand_over();
            }
            if ready.link {
                self.heed();
            }
            self.kill_when_due();
        };
        self.finish(left);
    }

    /// Waits until the leader ends, the broker says something, the prompt can go on, or time is up.
    fn wait(&self) -> Ready {
        let leader = self.leader_file.as_ref().map(AsFd::as_fd);
        let watched = [
            (Place::Link, self.link.file(), PollFlags::IN),
            (Place::Prompt, self.prompt.file(), PollFlags::OUT),
            (Place::Leader, leader, PollFlags::IN),
        ];
        let watched = watched.into_iter().filter_map(|(place, file, flags)| {
            Some((place, PollFd::from_borrowed_fd(file?, flags)))
        });
        let (places, mut files): (Vec<Place>, Vec<PollFd<'_>>) = watched.unzip();
        let timeout = Timespec::try_from(self.longest_wait()).ok();
        let mut ready = Ready::default();
        if poll(&mut files, timeout.as_ref()).is_err() {
            return ready;
        }
        for (file, place) in files.iter().zip(places) {
            if !file.revents().is_empty() {
                match place {
                    Place::Link => ready.link = true,
                    Place::Prompt => ready.prompt = true,
                    Place::Leader => {}
                }
            }
        }
        ready
    }

    fn longest_wait(&self) -> Duration {
        let tick = match self.leader_file {
            Some(_) => TICK,
            None => TICK_WITHOUT_PIDFD,
        };
        let left = |at: Instant| at.saturating_duration_since(Instant::now());
        self.kill_at.map_or(tick, |at| left(at).min(tick))
    }

    /// Does what the broker says; that it has died says "stop".
    fn heed(&mut self) {
        match self.link.wish() {
            Wish::Stop => self.ask_to_end(self.grace),
            Wish::Abandon => self.ask_to_end(self.grace.min(ABANDONED_GRACE)),
            Wish::Kill => self.kill_at = Some(Instant::now()),
        }
    }

    /// Once; a later wish may make it end earlier.
    fn ask_to_end(&mut self, grace: Duration) {
        if self.kill_at.is_none() {
            self.signal(self.stop_signal);
        }
        let kill_at = after(grace);
        self.kill_at = Some(self.kill_at.map_or(kill_at, |before| before.min(kill_at)));
    }

    fn kill_when_due(&self) {
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.signal(Signal::KILL);
        }
    }

    /// Signals the group; the leader alone where it has moved to another one.
    fn signal(&self, signal: Signal) {
        if kill_process_group(self.leader, signal).is_err() || signal == Signal::KILL {
            let _ended_already = kill_process(self.leader, signal);
        }
    }

    /// The leader has ended: nothing of its group and of its descendants stays.
    fn finish(mut self, left: Left) {
        let _nobody_left = kill_process_group(self.leader, Signal::KILL);
        self.link.report(&Report::Left(left));
        let killed = self.children.sweep();
        self.link.report(&Report::Gone { killed });
    }
}

/// The moment after some time; within a day, where that is a time that no clock reaches.
fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time)
        .unwrap_or(now + Duration::from_hours(24))
}

#[derive(Clone, Copy)]
enum Place {
    Link,
    Prompt,
    Leader,
}
