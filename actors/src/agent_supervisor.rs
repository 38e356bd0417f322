//! One agent: its queue, its sessions, its turns.
//!
//! Takes tasks once they are kept, begins turns as rules and room allow, follows them to their
//! end, and keeps what came of them before anyone hears of it. What runs belongs to this actor: when
//! it ends, so do its turns, and the next run finds in the store what is to be made good.
//!
//! | message | from | reply |
//! |---|---|---|
//! | [`QueueTask`] | HTTP handlers | by its own oneshot, after the commit |
//! | [`CancelTask`], [`CancelTurn`], [`AnswerTask`], [`RetryTask`] | HTTP handlers | by their own oneshots |
//! | [`CallbackReceived`] | `Courier` | none |
//! | [`SetRunState`], [`Retire`] | `AgentDirectory` | none; when all is ended |
//! | [`WindDown`] | shutdown | when no turn runs |
//! | [`GetAgentStatus`] | HTTP handlers | [`AgentStatus`] |
//! | [`GetStatus`] | the metrics | [`ActorStatus`]; its `state` is the agent's |

mod ending;
mod intake;
mod messages;
pub mod metrics;
mod recovery;
mod status;
mod turn_run;
mod turns;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix::{Actor, Context, Handler, SpawnHandle};
use tokio::sync::{Semaphore, oneshot};

pub use self::messages::{
    AgentState, AgentStatus, AnswerTask, CallbackReceived, CancelTask, CancelTurn, GetAgentStatus,
    QueueError, QueueTask, Retire, RetryTask, RunningTurnStatus, SetRunState, WindDown,
};
use self::turns::Running;
use crate::{
    delivery::Depth,
    domain::{
        after_turn::StopReason,
        agent::AgentProfile,
        ids::{MessageId, TurnId},
        peer::Peers,
        restart::RestartIntensity,
        turn::{Failure, FailureCode, TurnEvent},
        turn_queue::TurnQueue,
    },
    feed::{Feed, TaskEvent, TaskFeeds, TurnFeeds},
    lifecycle::{ActorStatus, GetStatus},
    ports::{
        Clock, IdSource,
        turns::{AgentInboxes, TaskStore, TurnLauncher, TurnTokens},
    },
};

/// Messages that may wait in the mailbox; further ones are refused as busy.
const MAILBOX: usize = 1024;

/// What a supervisor works with. All runs of one agent's supervisor share it.
#[derive(Clone)]
pub struct SupervisorParts {
    /// The agent.
    pub profile: Arc<AgentProfile>,
    /// What all supervisors share.
    pub shared: Arc<SharedParts>,
    /// Set while an operator has stopped the agent.
    pub is_stopped: Arc<AtomicBool>,
    /// The mailbox's count of waiting messages.
    pub depth: Depth,
}

/// What all supervisors share.
pub struct SharedParts {
    /// Keeps tasks and turns.
    pub store: Arc<dyn TaskStore>,
    /// Runs turns.
    pub launcher: Arc<dyn TurnLauncher>,
    /// Where tasks are put that are delivered as files.
    pub inboxes: Arc<dyn AgentInboxes>,
    /// Makes tokens for callbacks.
    pub tokens: Arc<dyn TurnTokens>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids of turns.
    pub ids: Arc<dyn IdSource>,
    /// One permit for each turn that may run, all agents together. First come, first served, and an
    /// agent waits for one permit at a time: that is fair between agents.
    pub gate: Arc<Semaphore>,
    /// Live logs of tasks.
    pub task_feeds: TaskFeeds,
    /// Live logs of turns.
    pub turn_feeds: TurnFeeds,
    /// What turns are told as `POSTROOM_URL`.
    pub url: Arc<str>,
    /// The agent that is told that it is the manager.
    pub manager: crate::domain::ids::AgentId,
    /// The manager's prompt template.
    pub manager_template: Arc<str>,
    /// What an agent is told of answering a message.
    pub reply_template: Arc<str>,
    /// Which types peers take as answers.
    pub peers: Peers,
}

/// Why nothing new is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// The service stops.
    WindingDown,
    /// Another supervisor takes over.
    Replaced,
    /// The agent is removed.
    Retiring,
}

/// The supervisor actor of one agent.
pub struct AgentSupervisor {
    parts: SupervisorParts,
    queue: TurnQueue,
    /// The logs of tasks that have not ended; holding them here keeps them findable.
    feeds: HashMap<MessageId, Feed<TaskEvent>>,
    running: HashMap<TurnId, Running>,
    /// Tasks on their way to the disk.
    committing: usize,
    /// Tasks whose end outside of a turn is on its way to the disk.
    ending: usize,
    is_waiting_for_slot: bool,
    /// Turns are begun once what has come in by now is in the queue.
    is_about_to_schedule: bool,
    is_recovered: bool,
    start_failures: RestartIntensity,
    parked: Option<String>,
    closing: Option<Closing>,
    last_failure: Option<Failure>,
    wake: Option<SpawnHandle>,
    /// Who wants to hear that nothing runs.
    at_rest: Vec<oneshot::Sender<()>>,
}

impl AgentSupervisor {
    /// A supervisor that begins by making good what its last run left.
    pub fn new(parts: SupervisorParts) -> Self {
        Self {
            queue: TurnQueue::new(parts.profile.queue_mode),
            parts,
            feeds: HashMap::new(),
            running: HashMap::new(),
            committing: 0,
            ending: 0,
            is_waiting_for_slot: false,
            is_about_to_schedule: false,
            is_recovered: false,
            start_failures: RestartIntensity::default(),
            parked: None,
            closing: None,
            last_failure: None,
            wake: None,
            at_rest: Vec::new(),
        }
    }

    fn is_stopped(&self) -> bool {
        self.parts.is_stopped.load(Ordering::Relaxed)
    }

    /// Whether turns may begin, as far as this agent is concerned.
    fn takes_turns(&self) -> bool {
        self.is_recovered && self.closing.is_none() && self.parked.is_none() && !self.is_stopped()
    }

    /// Tells those who wait for it that nothing runs, once that is so.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        if !self.running.is_empty() || self.committing > 0 || self.ending > 0 {
            return;
        }
        for waiting in self.at_rest.drain(..) {
            waiting.send(()).ok();
        }
        let is_over = match self.closing {
            Some(Closing::Retiring) => self.queue.waiting() == 0,
            Some(Closing::Replaced) => true,
            Some(Closing::WindingDown) | None => false,
        };
        if is_over {
            actix::ActorContext::stop(ctx);
        }
    }
}

impl Actor for AgentSupervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        recovery::begin(self, ctx);
    }
}

impl Handler<QueueTask> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, queued: QueueTask, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.take_in(queued, ctx);
    }
}

impl Handler<CancelTask> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, cancel: CancelTask, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.cancel_task(cancel, ctx);
    }
}

impl Handler<AnswerTask> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, answer: AnswerTask, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.end_task(answer.task, answer.outcome, answer.reply, ctx);
    }
}

impl Handler<RetryTask> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, retry: RetryTask, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.retry_task(retry, ctx);
    }
}

impl Handler<CallbackReceived> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, callback: CallbackReceived, _: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        if let Some(running) = self.running.get_mut(&callback.turn) {
            running.callbacks = running.callbacks.saturating_add(1);
        }
        if let Some(feed) = self.parts.shared.turn_feeds.find(&callback.turn) {
            feed.publish(TurnEvent::CalledBack {
                message: callback.message,
                kind: callback.kind,
                to: callback.to,
            });
        }
    }
}

impl Handler<CancelTurn> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, cancel: CancelTurn, _: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        match self.running.get_mut(&cancel.turn) {
            Some(running) => running.stop(StopReason::Cancelled, Some(cancel.reply)),
            None => {
                cancel.reply.send(false).ok();
            }
        }
    }
}

impl Handler<SetRunState> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, state: SetRunState, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        match state {
            SetRunState::Stop => {
                self.parts.is_stopped.store(true, Ordering::Relaxed);
                self.stop_all(StopReason::Interrupted);
                let failure = Failure {
                    code: FailureCode::Interrupted,
                    message: format!("agent `{}` was stopped", self.parts.profile.id),
                };
                self.refuse_who_waits(&failure, ctx);
            }
            SetRunState::Start => {
                self.parts.is_stopped.store(false, Ordering::Relaxed);
                self.parked = None;
                self.start_failures = RestartIntensity::default();
                self.queue.forget_pauses();
                self.schedule(ctx);
            }
        }
    }
}

impl Handler<WindDown> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, wind_down: WindDown, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        let closing = if wind_down.stop {
            Closing::Replaced
        } else {
            Closing::WindingDown
        };
        self.closing.get_or_insert(closing);
        if closing == Closing::WindingDown {
            let failure = Failure {
                code: FailureCode::Interrupted,
                message: "the service is stopping".to_owned(),
            };
            self.refuse_who_waits(&failure, ctx);
        }
        self.at_rest.push(wind_down.reply);
        if wind_down.interrupt {
            self.stop_all(StopReason::Interrupted);
        }
        self.settle(ctx);
    }
}

impl Handler<Retire> for AgentSupervisor {
    type Result = ();

    fn handle(&mut self, retire: Retire, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        self.closing = Some(Closing::Retiring);
        self.at_rest.push(retire.reply);
        self.stop_all(StopReason::Cancelled);
        self.give_up_what_waits(ctx);
        self.settle(ctx);
    }
}

impl Handler<GetStatus> for AgentSupervisor {
    type Result = ActorStatus;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> ActorStatus {
        let _handling = self.parts.depth.taken();
        self.short_status()
    }
}

impl Handler<GetAgentStatus> for AgentSupervisor {
    type Result = AgentStatus;

    fn handle(&mut self, _: GetAgentStatus, _: &mut Self::Context) -> AgentStatus {
        let _handling = self.parts.depth.taken();
        self.status()
    }
}
