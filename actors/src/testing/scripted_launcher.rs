//! Turns without processes: a test sees what is launched and plays what it does.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{StreamExt, stream};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use crate::{
    domain::{
        agent::AgentProfile,
        ids::TurnId,
        turn::{TurnEvent, TurnExit, TurnOrder, TurnResult},
    },
    ports::{
        SendFuture,
        turns::{LaunchError, RunningTurn, TurnLauncher},
    },
};

/// A launcher whose turns are played by a test.
#[derive(Debug)]
pub struct ScriptedLauncher {
    launched: mpsc::UnboundedSender<ScriptedTurn>,
    turns: AsyncMutex<mpsc::UnboundedReceiver<ScriptedTurn>>,
    refusals: Mutex<VecDeque<LaunchError>>,
    leftovers: Mutex<Vec<TurnId>>,
    running: Arc<AtomicUsize>,
}

impl Default for ScriptedLauncher {
    fn default() -> Self {
        let (launched, turns) = mpsc::unbounded_channel();
        Self {
            launched,
            turns: AsyncMutex::new(turns),
            refusals: Mutex::default(),
            leftovers: Mutex::default(),
            running: Arc::default(),
        }
    }
}

/// A turn that a test plays. One that is asked to stop ends at once.
#[derive(Debug)]
pub struct ScriptedTurn {
    /// What was ordered.
    pub order: TurnOrder,
    events: mpsc::UnboundedSender<TurnEvent>,
}

/// How a turn ends that went well.
pub fn done(text: &str) -> TurnExit {
    exit(TurnResult::Done(text.into()))
}

/// An end with this result and exit code 0.
pub const fn exit(result: TurnResult) -> TurnExit {
    TurnExit {
        result,
        exit_code: Some(0),
        signal: None,
        usage: None,
        usage_total: None,
        killed: 0,
        transcript: None,
    }
}

impl ScriptedTurn {
    /// The turn does something. Nobody listens to one that was stopped.
    pub fn does(&self, event: TurnEvent) {
        self.events.send(event).ok();
    }

    /// The turn ends.
    pub fn ends(self, exit: TurnExit) {
        self.does(TurnEvent::Exited(Box::new(exit)));
    }
}

impl ScriptedLauncher {
    /// Waits for the next turn that is launched.
    ///
    /// # Panics
    /// Never: the sender lives as long as the launcher.
    pub async fn next(&self) -> Option<ScriptedTurn> {
        self.turns.lock().await.recv().await
    }

    /// The next launch fails so.
    pub fn refuse_next(&self, error: LaunchError) {
        lock(&self.refusals).push_back(error);
    }

    /// Turns whose leftovers were to be ended.
    pub fn ended_leftovers(&self) -> Vec<TurnId> {
        lock(&self.leftovers).clone()
    }

    /// Turns that run now.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// Counts a turn for as long as somebody follows it.
struct Follower(Arc<AtomicUsize>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TurnLauncher for ScriptedLauncher {
    fn check(&self, _: &AgentProfile) -> Result<(), LaunchError> {
        lock(&self.refusals).front().cloned().map_or(Ok(()), Err)
    }

    fn launch(&self, order: TurnOrder) -> SendFuture<Result<RunningTurn, LaunchError>> {
        if let Some(refusal) = lock(&self.refusals).pop_front() {
            return Box::pin(async move { Err(refusal) });
        }
        let (events, received) = mpsc::unbounded_channel();
        let stop = events.clone();
        self.running.fetch_add(1, Ordering::Relaxed);
        let follower = Follower(Arc::clone(&self.running));
        let events_of_turn =
            stream::unfold((received, follower), |(mut received, follower)| async {
                let event = received.recv().await?;
                Some((event, (received, follower)))
            });
        self.launched.send(ScriptedTurn { order, events }).ok();
        Box::pin(async move {
            Ok(RunningTurn {
                events: events_of_turn.boxed(),
                stop: Box::new(move || {
                    stop.send(TurnEvent::Exited(Box::new(exit(TurnResult::Stopped))))
                        .ok();
                }),
            })
        })
    }

    fn end_leftovers(&self, turns: Vec<TurnId>) -> SendFuture<usize> {
        let count = turns.len();
        lock(&self.leftovers).extend(turns);
        Box::pin(async move { count })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
