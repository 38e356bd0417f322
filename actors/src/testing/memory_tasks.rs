//! Tasks, turns and sessions in memory, with a look inside and a way to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use crate::{
    domain::{
        envelope::Sequence,
        ids::{AgentId, MessageId, SessionKey, TurnId},
        task::{NewTask, TaskOutcome, TaskRecord, TaskState, WaitingTask},
        turn::{AfterTurn, FailureCode, SessionRecord, TurnEnd, TurnRecord, TurnStart, TurnState},
    },
    ports::{SendFuture, StoreError, turns::TaskStore},
};

/// A task store whose disk is this process.
#[derive(Debug, Default)]
pub struct MemoryTasks(Mutex<State>);

#[derive(Debug, Clone, Default)]
struct State {
    tasks: Vec<Kept>,
    turns: BTreeMap<TurnId, TurnRecord>,
    sessions: BTreeMap<(AgentId, SessionKey), SessionRecord>,
    failure: Option<StoreError>,
}

#[derive(Debug, Clone)]
struct Kept {
    record: TaskRecord,
    not_before: Option<DateTime<Utc>>,
    is_forgotten: bool,
}

impl MemoryTasks {
    /// From now on every call fails so, or none does.
    pub fn fail_with(&self, failure: Option<StoreError>) {
        self.state().failure = failure;
    }

    /// A task, forgotten ones included.
    pub fn task(&self, id: MessageId) -> Option<TaskRecord> {
        self.state().find(id).map(|kept| kept.record.clone())
    }

    /// A turn.
    pub fn kept_turn(&self, id: TurnId) -> Option<TurnRecord> {
        self.state().turns.get(&id).cloned()
    }

    /// What another process would find that opens the same disk.
    pub fn copy(&self) -> Self {
        let mut state = self.state().clone();
        state.failure = None;
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> T,
    ) -> SendFuture<Result<T, StoreError>> {
        let mut state = self.state();
        let result = match state.failure.clone() {
            Some(failure) => Err(failure),
            None => Ok(work(&mut state)),
        };
        Box::pin(async move { result })
    }
}

impl State {
    fn find(&mut self, id: MessageId) -> Option<&mut Kept> {
        self.tasks.iter_mut().find(|kept| kept.record.task.id == id)
    }

    fn open(&mut self, id: MessageId) -> Option<&mut Kept> {
        self.find(id).filter(|kept| !kept.record.state.is_ended())
    }

    fn session(&mut self, agent: &AgentId, session: &SessionKey) -> &mut SessionRecord {
        let key = (agent.clone(), session.clone());
        self.sessions.entry(key).or_default()
    }

    fn queue(&mut self, task: Arc<NewTask>) -> Sequence {
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
        sequence
    }

    fn begin(&mut self, start: TurnStart) {
        for id in &start.tasks {
            if let Some(kept) = self.open(*id) {
                let record = &mut kept.record;
                record.state = TaskState::Running;
                record.attempts += 1;
                record.turn = Some(start.id);
                record.started_at.get_or_insert(start.started_at);
            }
        }
        let record = TurnRecord {
            id: start.id,
            agent: start.agent,
            session: start.session,
            state: TurnState::Running,
            tasks: start.tasks,
            cli_session: start.cli_session,
            started_at: start.started_at,
            ended_at: None,
            exit_code: None,
            signal: None,
            usage: None,
            failure: None,
            callbacks: 0,
            transcript: None,
        };
        self.turns.insert(record.id, record);
    }

    fn end(&mut self, end: TurnEnd) {
        for (id, after) in end.tasks {
            match after {
                AfterTurn::Ended(outcome) => {
                    self.end_task(id, outcome, end.ended_at);
                }
                AfterTurn::Delivered => {}
                AfterTurn::Again { not_before, counts } => {
                    if let Some(kept) = self.open(id) {
                        kept.record.state = TaskState::Queued;
                        kept.record.attempts -= u32::from(!counts);
                        kept.not_before = not_before;
                    }
                }
            }
        }
        let Some(turn) = self.turns.get_mut(&end.id) else {
            return;
        };
        turn.state = end.state;
        turn.ended_at = Some(end.ended_at);
        turn.exit_code = end.exit_code;
        turn.signal = end.signal;
        turn.usage = end.usage;
        let is_lost = end
            .failure
            .as_ref()
            .is_some_and(|failure| failure.code == FailureCode::SessionLost);
        turn.failure = end.failure;
        turn.transcript = end.transcript;
        let (agent, session) = (turn.agent.clone(), turn.session.clone());
        let session = self.session(&agent, &session);
        session.turns += 1;
        if is_lost {
            session.cli_session = None;
        }
        session.usage_total = end.usage_total.or(session.usage_total);
    }

    fn end_task(&mut self, id: MessageId, outcome: TaskOutcome, at: DateTime<Utc>) -> bool {
        let Some(kept) = self.open(id) else {
            return false;
        };
        let record = &mut kept.record;
        record.state = outcome.state();
        record.ended_at = Some(at);
        match outcome {
            TaskOutcome::Answered(answer) => record.answer = Some(answer),
            TaskOutcome::Failed(failure) => record.failure = Some(failure),
            TaskOutcome::Done | TaskOutcome::Cancelled => {}
        }
        true
    }
}

impl TaskStore for MemoryTasks {
    fn queue_task(&self, task: Arc<NewTask>) -> SendFuture<Result<Sequence, StoreError>> {
        self.ask(|state| state.queue(task))
    }

    fn begin_turn(&self, turn: TurnStart) -> SendFuture<Result<(), StoreError>> {
        self.ask(|state| state.begin(turn))
    }

    fn note_cli_session(
        &self,
        turn: TurnId,
        cli_session: String,
    ) -> SendFuture<Result<(), StoreError>> {
        self.ask(|state| {
            let Some(record) = state.turns.get_mut(&turn) else {
                return;
            };
            record.cli_session = Some(cli_session.clone());
            let (agent, session) = (record.agent.clone(), record.session.clone());
            state.session(&agent, &session).cli_session = Some(cli_session);
        })
    }

    fn end_turn(&self, end: TurnEnd) -> SendFuture<Result<(), StoreError>> {
        self.ask(|state| state.end(end))
    }

    fn end_task(
        &self,
        task: MessageId,
        outcome: TaskOutcome,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        self.ask(|state| state.end_task(task, outcome, at))
    }

    fn forget_task(&self, task: MessageId) -> SendFuture<Result<bool, StoreError>> {
        self.ask(|state| {
            let known = state.find(task).filter(|kept| !kept.is_forgotten);
            known.map(|kept| kept.is_forgotten = true).is_some()
        })
    }

    fn open_tasks(&self, agent: AgentId) -> SendFuture<Result<Vec<WaitingTask>, StoreError>> {
        self.ask(|state| {
            let of_agent = |kept: &&Kept| kept.record.task.agent == agent;
            let open = state.tasks.iter().filter(of_agent);
            let open = open.filter(|kept| !kept.record.state.is_ended());
            open.map(waiting).collect()
        })
    }

    fn tasks(&self, ids: Vec<MessageId>) -> SendFuture<Result<Vec<TaskRecord>, StoreError>> {
        self.ask(|state| {
            let found = ids.iter().filter_map(|id| {
                let kept = state.find(*id).filter(|kept| !kept.is_forgotten)?;
                Some(kept.record.clone())
            });
            found.collect()
        })
    }

    fn unfinished_turns(
        &self,
        agent: Option<AgentId>,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        self.ask(|state| {
            let wanted = |turn: &&TurnRecord| agent.as_ref().is_none_or(|id| *id == turn.agent);
            let turns = state.turns.values().filter(wanted);
            turns
                .filter(|turn| !turn.state.is_ended())
                .cloned()
                .collect()
        })
    }

    fn turns_of(
        &self,
        agent: AgentId,
        before: Option<TurnId>,
        limit: usize,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        self.ask(|state| {
            let turns = state.turns.values().rev();
            let turns = turns.filter(|turn| turn.agent == agent);
            let turns = turns.filter(|turn| before.is_none_or(|before| turn.id < before));
            turns.take(limit).cloned().collect()
        })
    }

    fn turn(&self, id: TurnId) -> SendFuture<Result<Option<TurnRecord>, StoreError>> {
        self.ask(|state| state.turns.get(&id).cloned())
    }

    fn session(
        &self,
        agent: AgentId,
        session: SessionKey,
    ) -> SendFuture<Result<SessionRecord, StoreError>> {
        self.ask(|state| state.session(&agent, &session).clone())
    }
}

fn waiting(kept: &Kept) -> WaitingTask {
    let record = &kept.record;
    WaitingTask {
        sequence: record.sequence,
        id: record.task.id,
        session: record.task.session.clone(),
        received_at: record.task.received_at,
        attempts: record.attempts,
        not_before: kept.not_before,
        is_background: record.task.is_background,
        interrupted_turn: record.turn.filter(|_| record.state == TaskState::Running),
    }
}
