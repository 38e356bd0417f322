//! Watches one turn from its start to its last event: reports, output, limits, the wish to stop.

use std::{collections::VecDeque, future::pending, io, sync::Arc, time::Duration};

use postroom_actors::{
    domain::{
        ids::TurnId,
        turn::{TurnEvent, TurnExit},
    },
    ports::Clock,
};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe::Receiver,
    sync::{mpsc, oneshot},
    task,
    time::{self, Instant},
};

use super::{
    cleanup,
    control::Control,
    ending::{Cause, Ending},
    limits::Limits,
    output::{Lines, Tail},
    protocol::{KILL, Report, STOP},
    runner_process::{RunnerProcess, Runners},
    transcript::{Source, Transcript},
};
use crate::adapters::cli_dialects::{OutputReader, ProcessEnd};

/// So many bytes of output, on both together, end a turn.
const MOST_OUTPUT: u64 = 256 * 1024 * 1024;

/// So many bytes of standard error are kept for a message.
pub(super) const STDERR_TAIL: usize = 8 * 1024;

/// So many bytes are read at once.
const PIECE: usize = 64 * 1024;

/// How long outputs may stay open once all processes are gone: something else holds them then.
const LONGEST_DRAIN: Duration = Duration::from_secs(1);

/// A turn whose process runs.
pub(super) struct Turn {
    pub(super) id: TurnId,
    pub(super) runner: RunnerProcess,
    pub(super) runners: Runners,
    pub(super) watch: Watch,
    pub(super) clock: Arc<dyn Clock>,
}

/// What is watched of a turn, and what is known of it so far.
pub(super) struct Watch {
    control: Control,
    stdout: Output,
    stderr: Output,
    /// Whether somebody may still ask it to stop.
    stop: Option<oneshot::Receiver<()>>,
    events: mpsc::Sender<TurnEvent>,
    /// Events for which there was no room; while there are any, nothing more is read.
    waiting: VecDeque<TurnEvent>,
    has_listener: bool,
    limits: Limits,
    lines: Lines,
    reader: Box<dyn OutputReader>,
    errors: Tail,
    transcript: Transcript,
    printed: u64,
    ending: Ending,
    /// The runner has said its last word, or will say none.
    is_over: bool,
    /// Whether that word was that nothing is left.
    is_gone: bool,
}

/// What a watch is made of.
pub(super) struct Parts {
    pub(super) control: Control,
    pub(super) stdout: Receiver,
    pub(super) stderr: Receiver,
    pub(super) stop: oneshot::Receiver<()>,
    pub(super) events: mpsc::Sender<TurnEvent>,
    pub(super) limits: Limits,
    pub(super) reader: Box<dyn OutputReader>,
    pub(super) transcript: Transcript,
}

/// One output of the turn.
struct Output {
    /// `None` once it has ended.
    pipe: Option<Receiver>,
    buffer: Vec<u8>,
}

enum Happening {
    Report(Option<Report>),
    Printed(Source, usize),
    Due,
    StopAsked(bool),
    Room,
    NobodyListens,
}

impl Turn {
    /// Watches it until all its processes are gone, and says what came of it.
    pub(super) async fn supervise(self) {
        let Self {
            id,
            runner,
            runners,
            mut watch,
            clock,
        } = self;
        while !watch.is_over {
            let happening = watch.next().await;
            watch.take(happening);
            // A CLI that prints without end shares its thread with everybody else.
            task::yield_now().await;
        }
        if watch.is_gone {
            let reaping = task::spawn_blocking(move || runner.reap());
            watch.drain().await;
            let _runner_hangs = time::timeout(LONGEST_DRAIN, reaping).await;
        } else {
            tracing::warn!(turn_id = %id, "the runner of a turn did not end it; ending it from outside");
            let ending = task::spawn_blocking(move || cleanup::end_turn(id, runner, &runners));
            watch.was_cleaned(ending.await.ok());
            watch.drain().await;
        }
        watch.finish(&*clock).await;
    }
}

impl Watch {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            control: parts.control,
            stdout: Output::new(parts.stdout),
            stderr: Output::new(parts.stderr),
            stop: Some(parts.stop),
            events: parts.events,
            waiting: VecDeque::new(),
            has_listener: true,
            limits: parts.limits,
            lines: Lines::default(),
            reader: parts.reader,
            errors: Tail::new(STDERR_TAIL),
            transcript: parts.transcript,
            printed: 0,
            ending: Ending::default(),
            is_over: false,
            is_gone: false,
        }
    }

    /// Waits for whatever comes first. Nothing is lost of the others.
    async fn next(&mut self) -> Happening {
        tokio::select! {
            report = self.control.report() => Happening::Report(report),
            count = self.stdout.read(), if self.waiting.is_empty() => {
                Happening::Printed(Source::Stdout, count)
            }
            count = self.stderr.read() => Happening::Printed(Source::Stderr, count),
            () = time::sleep_until(self.limits.next()) => Happening::Due,
            is_asked = asked(self.stop.as_mut()) => Happening::StopAsked(is_asked),
            _room = self.events.reserve(), if !self.waiting.is_empty() => Happening::Room,
            () = self.events.closed(), if self.has_listener => Happening::NobodyListens,
        }
    }

    fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Report(report) => self.heed(report.as_ref()),
            Happening::Printed(source, count) => self.take_output(source, count),
            Happening::Due => match self.limits.passed() {
                Some(cause) => self.end(cause, STOP),
                None => self.is_over |= self.limits.is_out_of_patience(),
            },
            Happening::StopAsked(is_asked) => {
                self.stop = None;
                if is_asked {
                    self.end(Cause::Stopped, STOP);
                }
            }
            Happening::Room => {
                self.limits.something_was_heard();
                self.send_waiting();
            }
            Happening::NobodyListens => {
                self.has_listener = false;
                self.waiting.clear();
                self.end(Cause::Stopped, STOP);
            }
        }
    }

    fn heed(&mut self, report: Option<&Report>) {
        match report {
            Some(Report::Left(left)) => {
                self.ending.left = Some(*left);
                self.limits.has_left();
            }
            Some(Report::Gone { killed }) => {
                self.ending.killed = *killed;
                self.is_gone = true;
                self.is_over = true;
            }
            Some(Report::Started { .. } | Report::CannotStart { .. }) => {}
            None => self.is_over = true,
        }
    }

    /// Ends a turn that has not ended by itself.
    fn end(&mut self, cause: Cause, word: &[u8]) {
        if self.ending.left.is_none() && self.ending.cause.is_none() {
            self.ending.cause = Some(cause);
            self.limits.was_asked_to_end();
            self.control.say(word);
        }
    }

    fn take_output(&mut self, source: Source, count: usize) {
        self.limits.something_was_heard();
        let was_too_much = self.printed > MOST_OUTPUT;
        self.printed += u64::try_from(count).unwrap_or(u64::MAX);
        let output = match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        };
        let piece = output.buffer.get(..count).unwrap_or_default();
        self.transcript.take(source, piece);
        match source {
            Source::Stderr => self.errors.take(piece),
            Source::Stdout if was_too_much => {}
            Source::Stdout => {
                let mut events = Vec::new();
                let reader = &mut self.reader;
                self.lines
                    .take(piece, |line| reader.line(&line, &mut events));
                self.emit(events);
            }
        }
        if self.printed > MOST_OUTPUT && !was_too_much {
            self.end(Cause::OutputLimit(MOST_OUTPUT), KILL);
            // It may have been asked to end before, and uses its grace for this.
            self.control.say(KILL);
        }
    }

    fn emit(&mut self, events: Vec<TurnEvent>) {
        if self.has_listener {
            self.waiting.extend(events);
            self.send_waiting();
        }
    }

    fn send_waiting(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return;
                }
            }
        }
    }

    fn was_cleaned(&mut self, cleanup: Option<cleanup::Cleanup>) {
        let Some(cleanup) = cleanup else {
            self.ending.is_stuck = true;
            return;
        };
        self.ending.killed = u32::try_from(cleanup.ended).unwrap_or(u32::MAX);
        self.ending.is_stuck = !cleanup.is_complete;
        if self.ending.is_stuck {
            tracing::error!("processes of a turn cannot be ended");
        }
    }

    /// Reads what is left in the pipes.
    async fn drain(&mut self) {
        let until = Instant::now() + LONGEST_DRAIN;
        let is_read = |watch: &Self| {
            (watch.stdout.pipe.is_none() && watch.stderr.pipe.is_none())
                || watch.printed > MOST_OUTPUT
        };
        while !is_read(self) {
            let (source, count) = tokio::select! {
                count = self.stdout.read() => (Source::Stdout, count),
                count = self.stderr.read() => (Source::Stderr, count),
                () = time::sleep_until(until) => return,
            };
            self.take_output(source, count);
        }
    }

    async fn finish(mut self, clock: &dyn Clock) {
        let (mut events, mut reader) = (Vec::new(), self.reader);
        self.lines.finish(|line| reader.line(&line, &mut events));
        self.waiting.extend(events);
        let (errors, _) = self.errors.finish();
        let left = self.ending.left.unwrap_or_default();
        let verdict = reader.finish(&ProcessEnd {
            exit_code: left.exit_code,
            signal: left.signal,
            stderr_tail: &String::from_utf8_lossy(&errors),
        });
        let footer = self.ending.footer(clock.now());
        let transcript = self.transcript.finish(footer).await;
        let exit: TurnExit = self.ending.exit(verdict, transcript);
        self.waiting.push_back(TurnEvent::Exited(Box::new(exit)));
        for event in self.waiting {
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }
}

impl Output {
    fn new(pipe: Receiver) -> Self {
        Self {
            pipe: Some(pipe),
            buffer: vec![0; PIECE],
        }
    }

    /// Reads a piece; never answers once the output has ended.
    async fn read(&mut self) -> usize {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        let count: io::Result<usize> = pipe.read(&mut self.buffer).await;
        if !matches!(count, Ok(1..)) {
            self.pipe = None;
        }
        count.unwrap_or(0)
    }
}

/// Whether a stop is asked for; `false` where nobody can ask any more.
async fn asked(stop: Option<&mut oneshot::Receiver<()>>) -> bool {
    match stop {
        Some(stop) => stop.await.is_ok(),
        None => pending().await,
    }
}
