//! Follows a running turn: tells its readers what it does, ends it when it must end.

use std::sync::atomic::Ordering;

use futures_util::StreamExt;

use super::{Heard, TurnJob, prepare::TurnTask};
use crate::{
    domain::{
        activity::{Fact, StepLog, Told},
        after_turn::{StopReason, TurnSigns},
        ids::MessageId,
        narration::Narration,
        turn::{Failure, FailureCode, TurnEvent, TurnExit, TurnResult},
    },
    feed::{Feed, TaskEvent},
    ports::turns::{RunningTurn, TurnNote},
};

/// Events of one turn that readers of the turn are shown at most, besides its end.
const MOST_EVENTS: usize = 20_000;

/// What was seen of a turn.
pub(super) struct Followed {
    pub(super) exit: TurnExit,
    /// What the readers of its streamed tasks were told, by attempts that were cut off before it too.
    pub(super) said: Vec<(MessageId, Narration)>,
    pub(super) signs: TurnSigns,
    /// Whether there was a process.
    pub(super) started: bool,
}

impl Followed {
    /// A turn that had no process.
    pub(super) fn not_started(exit: TurnExit) -> Self {
        Self {
            exit,
            said: Vec::new(),
            signs: TurnSigns::default(),
            started: false,
        }
    }

    /// What the readers of a streamed task were told.
    pub(super) fn said_to(&self, task: MessageId) -> Option<&Narration> {
        let found = self.said.iter().find(|(id, _)| *id == task);
        found.map(|(_, said)| said)
    }
}

/// Follows a turn until all its processes are gone.
pub(super) async fn follow(
    job: &mut TurnJob,
    tasks: &[TurnTask],
    running: RunningTurn,
    feed: &Feed<TurnEvent>,
) -> (Followed, Option<StopReason>) {
    let RunningTurn { mut events, stop } = running;
    let mut watcher = Watcher::new(job, tasks, feed);
    let (mut stop, mut stopped) = (Some(stop), None);
    let exit = loop {
        tokio::select! {
            event = events.next() => match event {
                Some(TurnEvent::Exited(exit)) => break *exit,
                Some(event) => watcher.see(event),
                None => break broken_off(),
            },
            reason = &mut job.stopped, if stop.is_some() => {
                // Without a supervisor nobody is left to ask for anything else.
                stopped = Some(reason.unwrap_or(StopReason::Interrupted));
                if let Some(stop) = stop.take() {
                    stop();
                }
            }
        }
    };
    (watcher.ended(exit), stopped)
}

/// The launcher gave up without saying how the turn ended.
fn broken_off() -> TurnExit {
    TurnExit::unseen(TurnResult::Failed(Failure {
        code: FailureCode::TurnFailed,
        message: "the turn was lost from sight; see the log of the service".to_owned(),
    }))
}

/// Who reads the answer of one task as it comes.
struct Reader {
    task: MessageId,
    feed: Feed<TaskEvent>,
    said: Narration,
}

impl Reader {
    /// What was told cannot be taken back: where an attempt was cut off after it spoke, this one
    /// goes on behind it.
    fn of(task: MessageId, feed: Feed<TaskEvent>) -> Self {
        let mut said = Narration::default();
        for event in feed.so_far() {
            if let TaskEvent::Said(piece) = event {
                said.say(&piece);
            }
        }
        said.end_message();
        Self { task, feed, said }
    }

    fn say(&mut self, piece: &str) {
        if let Some(shown) = self.said.say(piece) {
            self.feed.publish(TaskEvent::Said(shown));
        }
    }
}

/// Passes on what a turn does.
struct Watcher {
    has_spoken: bool,
    heard: Heard,
    steps: StepLog,
    signs: TurnSigns,
    shown: usize,
    turn: Feed<TurnEvent>,
    readers: Vec<Reader>,
    parts: super::SupervisorParts,
    id: crate::domain::ids::TurnId,
    pid: std::sync::Arc<std::sync::atomic::AtomicU32>,
}

impl Watcher {
    fn new(job: &TurnJob, tasks: &[TurnTask], turn: &Feed<TurnEvent>) -> Self {
        let feed_of = |task: &TurnTask| {
            let found = job.feeds.iter().find(|(id, _)| *id == task.waiting.id);
            found.map(|(_, feed)| feed.clone())
        };
        for feed in tasks.iter().filter_map(feed_of) {
            feed.publish(TaskEvent::Started(job.turn));
        }
        let streamed = tasks.iter().filter(|task| task.facts.is_streamed);
        let reader = |task: &TurnTask| Some(Reader::of(task.waiting.id, feed_of(task)?));
        Self {
            has_spoken: false,
            heard: job.heard.clone(),
            steps: StepLog::default(),
            signs: TurnSigns::default(),
            shown: 0,
            turn: turn.clone(),
            readers: streamed.filter_map(reader).collect(),
            parts: job.parts.clone(),
            id: job.turn,
            pid: std::sync::Arc::clone(&job.pid),
        }
    }

    fn see(&mut self, event: TurnEvent) {
        let now = self.parts.shared.clock.now();
        self.heard.now(now);
        let steps = self.steps.see(&event, now);
        self.tell(steps);
        match &event {
            TurnEvent::Started { pid } => {
                self.pid.store(*pid, Ordering::Relaxed);
                // For whoever looks; nothing depends on it.
                drop(
                    self.parts
                        .shared
                        .store
                        .note_turn(self.id, TurnNote::Running),
                );
            }
            TurnEvent::Session(id) => self.note_session(id.clone()),
            TurnEvent::Said(piece) => self.say(piece),
            TurnEvent::MessageEnded => {
                for reader in &mut self.readers {
                    reader.said.end_message();
                }
            }
            TurnEvent::Tool(_) => self.signs.worked = true,
            TurnEvent::Trouble(_) => self.signs.had_trouble = true,
            TurnEvent::CalledBack { .. } | TurnEvent::Exited(_) => {}
        }
        self.shown = self.shown.saturating_add(1);
        if self.shown <= MOST_EVENTS {
            self.turn.publish(event);
        }
    }

    fn tell(&self, steps: Vec<Told>) {
        for Told { step, skipped } in steps {
            self.parts.shared.activity.tell(Fact::TurnStep {
                agent: self.parts.profile.id.clone(),
                turn: self.id,
                step,
                skipped,
            });
        }
    }

    fn say(&mut self, piece: &str) {
        self.signs.worked = true;
        self.has_spoken |= !piece.is_empty();
        for reader in &mut self.readers {
            reader.say(piece);
        }
    }

    /// Kept at once, so that the session goes on after a crash. The change is on its way when the
    /// call returns; it is committed before the turn's end is.
    fn note_session(&self, cli_session: String) {
        let kept = self
            .parts
            .shared
            .store
            .note_cli_session(self.id, cli_session);
        let turn = self.id;
        actix_rt::spawn(async move {
            if let Err(error) = kept.await {
                tracing::warn!(%turn, %error, "the session of a turn is not kept; the next one begins anew");
            }
        });
    }

    /// A CLI that tells its answer only at the end has said it then.
    fn ended(mut self, exit: TurnExit) -> Followed {
        let now = self.parts.shared.clock.now();
        if let TurnResult::Done(text) = &exit.result
            && !self.has_spoken
        {
            let text = text.clone();
            self.say(&text);
            self.steps.said(&text, now);
        }
        let last = self.steps.flush(now);
        self.tell(last);
        let readers = self.readers.into_iter();
        Followed {
            exit,
            said: readers.map(|reader| (reader.task, reader.said)).collect(),
            signs: self.signs,
            started: true,
        }
    }
}
