//! A store of tasks, turns and sessions in memory. It forgets, so it is for tests alone.

mod port;

use std::{
    collections::BTreeMap,
    future::ready,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        agent_message::IdempotencyKey,
        envelope::Sequence,
        ids::{AgentId, MessageId, SessionKey, TurnId},
        post::Queued,
        task::{NewTask, TaskOutcome, TaskRecord, TaskState, WaitingTask},
        turn::{AfterTurn, FailureCode, SessionRecord, TurnEnd, TurnRecord, TurnStart, TurnState},
    },
    ports::{SendFuture, StoreError},
};

/// A store of tasks, turns and sessions in memory.
#[derive(Debug, Default)]
pub struct MemoryTasks(Mutex<State>);

#[derive(Debug, Clone, Default)]
struct State {
    tasks: Vec<Kept>,
    turns: Vec<TurnRecord>,
    sessions: BTreeMap<(AgentId, SessionKey), SessionRecord>,
    keys: Vec<(IdempotencyKey, MessageId)>,
    failure: Option<StoreError>,
    to_refuse: u32,
}

#[derive(Debug, Clone)]
struct Kept {
    record: TaskRecord,
    not_before: Option<DateTime<Utc>>,
    is_forgotten: bool,
}

impl MemoryTasks {
    /// Lets every change fail from now on, or work again.
    pub fn set_failure(&self, failure: Option<StoreError>) {
        self.state().failure = failure;
    }

    /// Lets the next changes fail as on a full disk.
    pub fn refuse_next(&self, count: u32) {
        self.state().to_refuse = count;
    }

    /// All tasks in the order of acceptance, forgotten ones too.
    pub fn all_tasks(&self) -> Vec<TaskRecord> {
        let state = self.state();
        state.tasks.iter().map(|kept| kept.record.clone()).collect()
    }

    /// One task, also a forgotten one.
    pub fn task(&self, id: MessageId) -> Option<TaskRecord> {
        self.state().task(id).map(|kept| kept.record.clone())
    }

    /// All turns in the order in which they began.
    pub fn all_turns(&self) -> Vec<TurnRecord> {
        self.state().turns.clone()
    }

    /// One turn.
    pub fn kept_turn(&self, id: TurnId) -> Option<TurnRecord> {
        self.state().turn(id).map(|turn| turn.clone())
    }

    /// What another process would find that opens the same disk.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = State {
            failure: None,
            to_refuse: 0,
            ..self.state().clone()
        };
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> SendFuture<Result<T, StoreError>> {
        let mut state = self.state();
        let outcome = if let Some(failure) = state.failure.clone() {
            Err(failure)
        } else if state.to_refuse > 0 {
            state.to_refuse -= 1;
            Err(StoreError::Full)
        } else {
            change(&mut state)
        };
        Box::pin(ready(outcome))
    }

    fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&State) -> T,
    ) -> SendFuture<Result<T, StoreError>> {
        Box::pin(ready(Ok(query(&self.state()))))
    }
}

impl State {
    fn task(&mut self, id: MessageId) -> Option<&mut Kept> {
        self.tasks.iter_mut().find(|kept| kept.record.task.id == id)
    }

    fn open_task(&mut self, id: MessageId) -> Option<&mut Kept> {
        self.task(id).filter(|kept| !kept.record.state.is_ended())
    }

    fn turn(&mut self, id: TurnId) -> Option<&mut TurnRecord> {
        self.turns.iter_mut().find(|turn| turn.id == id)
    }

    fn session(&mut self, turn: &TurnRecord) -> &mut SessionRecord {
        let key = (turn.agent.clone(), turn.session.clone());
        self.sessions.entry(key).or_default()
    }

    fn queue(
        &mut self,
        task: Arc<NewTask>,
        once: Option<IdempotencyKey>,
    ) -> Result<Queued, StoreError> {
        if let Some(answer) = self.seen(&task, once) {
            return Ok(answer);
        }
        if self.task(task.id).is_some() {
            let reason = format!("task id `{}` is in the store already", task.id);
            return Err(StoreError::Io(reason.into()));
        }
        let sequence = Sequence(i64::try_from(self.tasks.len()).unwrap_or(i64::MAX) + 1);
        let record = TaskRecord {
            sequence,
            task,
            state: TaskState::Queued,
            attempts: 0,
            turn: None,
            started_at: None,
            answer: None,
            failure: None,
            ended_at: None,
        };
        self.tasks.push(Kept {
            record,
            not_before: None,
            is_forgotten: false,
        });
        Ok(Queued::New(sequence))
    }

    /// What is answered where the message is kept already; remembers its key where it is not.
    fn seen(&mut self, task: &NewTask, once: Option<IdempotencyKey>) -> Option<Queued> {
        if let Some(once) = once {
            let known = self
                .keys
                .iter()
                .find(|(known, _)| known.sender == once.sender && known.key == once.key);
            if let Some((known, first)) = known {
                let is_same = known.digest == once.digest;
                return Some(if is_same {
                    Queued::Duplicate(*first)
                } else {
                    Queued::Conflict(*first)
                });
            }
            self.keys.push((once, task.id));
        }
        let is_message = task.envelope.is_some() && self.task(task.id).is_some();
        is_message.then_some(Queued::Duplicate(task.id))
    }

    fn revive(&mut self, task: MessageId) -> bool {
        let kept = self.task(task).filter(|kept| {
            kept.record.state == TaskState::Failed && kept.record.task.envelope.is_some()
        });
        let Some(kept) = kept else { return false };
        kept.not_before = None;
        kept.record.state = TaskState::Queued;
        kept.record.attempts = 0;
        kept.record.failure = None;
        kept.record.ended_at = None;
        true
    }

    fn begin(&mut self, turn: TurnStart) -> Result<(), StoreError> {
        if self.turn(turn.id).is_some() {
            let reason = format!("turn id `{}` is in the store already", turn.id);
            return Err(StoreError::Io(reason.into()));
        }
        for task in &turn.tasks {
            if let Some(Kept { record, .. }) = self.open_task(*task) {
                record.state = TaskState::Running;
                record.attempts += 1;
                record.turn = Some(turn.id);
                record.started_at.get_or_insert(turn.started_at);
            }
        }
        self.turns.push(TurnRecord {
            id: turn.id,
            agent: turn.agent,
            session: turn.session,
            state: TurnState::Starting,
            tasks: turn.tasks,
            cli_session: turn.cli_session,
            started_at: turn.started_at,
            ended_at: None,
            exit_code: None,
            signal: None,
            usage: None,
            failure: None,
            callbacks: 0,
            transcript: None,
        });
        Ok(())
    }

    fn note_cli_session(&mut self, turn: TurnId, cli_session: String) {
        let Some(turn) = self.turn(turn) else { return };
        turn.cli_session = Some(cli_session.clone());
        let turn = turn.clone();
        self.session(&turn).cli_session = Some(cli_session);
    }

    fn end_turn(&mut self, end: TurnEnd) {
        let Some(turn) = self.turn(end.id).filter(|turn| turn.ended_at.is_none()) else {
            return;
        };
        turn.state = end.state;
        turn.ended_at = Some(end.ended_at);
        turn.exit_code = end.exit_code;
        turn.signal = end.signal;
        turn.usage = end.usage;
        turn.failure = end.failure;
        turn.transcript = end.transcript;
        let turn = turn.clone();
        for (task, after) in end.tasks {
            match after {
                AfterTurn::Ended(outcome) => {
                    self.end_task(task, outcome, end.ended_at);
                }
                AfterTurn::Delivered => {}
                AfterTurn::Again { not_before, counts } => {
                    self.queue_again(task, not_before, counts);
                }
            }
        }
        let failure = turn.failure.as_ref();
        let is_lost = failure.is_some_and(|failure| failure.code == FailureCode::SessionLost);
        let session = self.session(&turn);
        session.turns += 1;
        if is_lost {
            session.cli_session = None;
        }
        session.usage_total = end.usage_total.or(session.usage_total);
    }

    fn queue_again(&mut self, task: MessageId, not_before: Option<DateTime<Utc>>, counts: bool) {
        if let Some(kept) = self.open_task(task) {
            kept.not_before = not_before;
            kept.record.state = TaskState::Queued;
            let spared = u32::from(!counts);
            kept.record.attempts = kept.record.attempts.saturating_sub(spared);
        }
    }

    fn end_task(&mut self, task: MessageId, outcome: TaskOutcome, at: DateTime<Utc>) -> bool {
        let Some(Kept { record, .. }) = self.open_task(task) else {
            return false;
        };
        record.state = outcome.state();
        record.ended_at = Some(at);
        match outcome {
            TaskOutcome::Answered(answer) => record.answer = Some(answer),
            TaskOutcome::Failed(failure) => record.failure = Some(failure),
            TaskOutcome::Done | TaskOutcome::Cancelled | TaskOutcome::Expired => {}
        }
        true
    }

    fn forget(&mut self, task: MessageId) -> bool {
        self.task(task)
            .is_some_and(|kept| !std::mem::replace(&mut kept.is_forgotten, true))
    }
}

impl Kept {
    fn waiting(&self) -> WaitingTask {
        let record = &self.record;
        let envelope = record.task.envelope.as_deref();
        WaitingTask {
            sequence: record.sequence,
            id: record.task.id,
            session: record.task.session.clone(),
            received_at: record.task.received_at,
            attempts: record.attempts,
            not_before: self.not_before,
            is_background: record.task.is_background,
            priority: envelope
                .map(|envelope| envelope.priority)
                .unwrap_or_default(),
            expires_at: envelope.and_then(|envelope| envelope.expires_at),
            interrupted_turn: record
                .turn
                .filter(|_turn| record.state == TaskState::Running),
        }
    }
}
