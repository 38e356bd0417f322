//! The store as the agents' actors see it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        agent_message::IdempotencyKey,
        ids::{AgentId, MessageId, SessionKey, TurnId},
        post::Queued,
        task::{NewTask, TaskOutcome, TaskRecord, WaitingTask},
        turn::{SessionRecord, TurnEnd, TurnRecord, TurnStart},
    },
    ports::{
        SendFuture, StoreError,
        turns::{TaskStore, TurnNote},
    },
};

use super::{
    SqliteStore,
    changes::{Change, Told},
    task_queries,
    tasks::TaskChange,
};

impl SqliteStore {
    fn change_tasks<T: 'static>(
        &self,
        change: TaskChange,
        read: fn(Told) -> T,
    ) -> SendFuture<Result<T, StoreError>> {
        let change = self.change(Change::Tasks(change));
        Box::pin(async move { change.await.map(read) })
    }
}

impl TaskStore for SqliteStore {
    fn queue_task(
        &self,
        task: Arc<NewTask>,
        once: Option<IdempotencyKey>,
    ) -> SendFuture<Result<Queued, StoreError>> {
        self.change_tasks(TaskChange::Queue { task, once }, Told::queued)
    }

    fn revive_task(&self, task: MessageId) -> SendFuture<Result<bool, StoreError>> {
        self.change_tasks(TaskChange::Revive(task), Told::is_changed)
    }

    fn begin_turn(&self, turn: TurnStart) -> SendFuture<Result<(), StoreError>> {
        self.change_tasks(TaskChange::BeginTurn(turn), drop)
    }

    fn note_cli_session(
        &self,
        turn: TurnId,
        cli_session: String,
    ) -> SendFuture<Result<(), StoreError>> {
        self.change_tasks(TaskChange::NoteCliSession { turn, cli_session }, drop)
    }

    fn end_turn(&self, end: TurnEnd) -> SendFuture<Result<(), StoreError>> {
        self.change_tasks(TaskChange::EndTurn(Box::new(end)), drop)
    }

    fn note_turn(&self, turn: TurnId, note: TurnNote) -> SendFuture<Result<(), StoreError>> {
        self.change_tasks(TaskChange::NoteTurn { turn, note }, drop)
    }

    fn end_task(
        &self,
        task: MessageId,
        outcome: TaskOutcome,
        at: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        self.change_tasks(TaskChange::End { task, outcome, at }, Told::is_changed)
    }

    fn forget_task(&self, task: MessageId) -> SendFuture<Result<bool, StoreError>> {
        self.change_tasks(TaskChange::Forget(task), Told::is_changed)
    }

    fn open_tasks(&self, agent: AgentId) -> SendFuture<Result<Vec<WaitingTask>, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::open_tasks(connection, &agent))
    }

    fn tasks(&self, ids: Vec<MessageId>) -> SendFuture<Result<Vec<TaskRecord>, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::tasks(connection, &ids))
    }

    fn unfinished_turns(
        &self,
        agent: Option<AgentId>,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::unfinished_turns(connection, agent.as_ref()))
    }

    fn turns_of(
        &self,
        agent: AgentId,
        before: Option<TurnId>,
        limit: usize,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::turns_of(connection, &agent, before, limit))
    }

    fn turn(&self, id: TurnId) -> SendFuture<Result<Option<TurnRecord>, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::turn(connection, id))
    }

    fn session(
        &self,
        agent: AgentId,
        session: SessionKey,
    ) -> SendFuture<Result<SessionRecord, StoreError>> {
        self.queries
            .ask(move |connection| task_queries::session(connection, &agent, &session))
    }
}
