//! The port over the state.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Kept, MemoryTasks};
use crate::{
    domain::{
        agent_message::IdempotencyKey,
        ids::{AgentId, MessageId, SessionKey, TurnId},
        post::Queued,
        task::{NewTask, TaskOutcome, TaskRecord, WaitingTask},
        turn::{SessionRecord, TurnEnd, TurnRecord, TurnStart, TurnState},
    },
    ports::{
        SendFuture, StoreError,
        turns::{TaskStore, TurnNote},
    },
};

impl TaskStore for MemoryTasks {
    fn queue_task(
        &self,
        task: Arc<NewTask>,
        once: Option<IdempotencyKey>,
    ) -> SendFuture<Result<Queued, StoreError>> {
        self.change(|state| state.queue(task, once))
    }

    fn revive_task(&self, task: MessageId) -> SendFuture<Result<bool, StoreError>> {
        self.change(|state| Ok(state.revive(task)))
    }

    fn begin_turn(&self, turn: TurnStart) -> SendFuture<Result<(), StoreError>> {
        self.change(|state| state.begin(turn))
    }

    fn note_cli_session(
        &self,
        turn: TurnId,
        cli_session: String,
    ) -> SendFuture<Result<(), StoreError>> {
        self.change(|state| {
            state.note_cli_session(turn, cli_session);
            Ok(())
        })
    }

    fn end_turn(&self, end: TurnEnd) -> SendFuture<Result<(), StoreError>> {
        self.change(|state| {
            state.end_turn(end);
            Ok(())
        })
    }

    fn note_turn(&self, turn: TurnId, note: TurnNote) -> SendFuture<Result<(), StoreError>> {
        self.change(|state| {
            let open = state.turn(turn).filter(|turn| !turn.state.is_ended());
            match (open, note) {
                (Some(turn), TurnNote::Running) => turn.state = TurnState::Running,
                (_, TurnNote::Running) => {}
                (_, TurnNote::Callback) => {
                    if let Some(turn) = state.turn(turn) {
                        turn.callbacks += 1;
                    }
                }
            }
            Ok(())
        })
    }

    fn end_task(
        &self,
        task: MessageId,
        outcome: TaskOutcome,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        self.change(|state| Ok(state.end_task(task, outcome, at)))
    }

    fn forget_task(&self, task: MessageId) -> SendFuture<Result<bool, StoreError>> {
        self.change(|state| Ok(state.forget(task)))
    }

    fn open_tasks(&self, agent: AgentId) -> SendFuture<Result<Vec<WaitingTask>, StoreError>> {
        self.query(|state| {
            let open = state
                .tasks
                .iter()
                .filter(|kept| kept.record.task.agent == agent && !kept.record.state.is_ended());
            open.map(Kept::waiting).collect()
        })
    }

    fn tasks(&self, ids: Vec<MessageId>) -> SendFuture<Result<Vec<TaskRecord>, StoreError>> {
        self.query(|state| {
            let find = |id| {
                let mut kept = state.tasks.iter().filter(|kept| !kept.is_forgotten);
                kept.find(|kept| kept.record.task.id == id)
            };
            let found = ids.into_iter().filter_map(find);
            found.map(|kept| kept.record.clone()).collect()
        })
    }

    fn unfinished_turns(
        &self,
        agent: Option<AgentId>,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        self.query(|state| {
            let is_asked_for = |turn: &&TurnRecord| {
                turn.ended_at.is_none() && agent.as_ref().is_none_or(|agent| turn.agent == *agent)
            };
            state.turns.iter().filter(is_asked_for).cloned().collect()
        })
    }

    fn turns_of(
        &self,
        agent: AgentId,
        before: Option<TurnId>,
        limit: usize,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        self.query(|state| {
            let is_asked_for = |turn: &&TurnRecord| {
                turn.agent == agent && before.is_none_or(|before| turn.id < before)
            };
            let mut turns: Vec<_> = state.turns.iter().filter(is_asked_for).cloned().collect();
            turns.sort_by_key(|turn| std::cmp::Reverse(turn.id));
            turns.truncate(limit);
            turns
        })
    }

    fn turn(&self, id: TurnId) -> SendFuture<Result<Option<TurnRecord>, StoreError>> {
        self.query(|state| state.turns.iter().find(|turn| turn.id == id).cloned())
    }

    fn session(
        &self,
        agent: AgentId,
        session: SessionKey,
    ) -> SendFuture<Result<SessionRecord, StoreError>> {
        self.query(|state| {
            let found = state.sessions.get(&(agent, session));
            found.cloned().unwrap_or_default()
        })
    }
}
