//! Stands for the agents' store and tokens until they are written: there are none.

use std::{future::ready, sync::Arc};

use chrono::{DateTime, Utc};
use postroom_actors::{
    domain::{
        envelope::Sequence,
        ids::{AgentId, MessageId, SessionKey, TurnId},
        task::{NewTask, TaskOutcome, TaskRecord, WaitingTask},
        turn::{SessionRecord, TurnEnd, TurnRecord, TurnStart},
    },
    ports::{SendFuture, StoreError, turns::TaskStore},
};

use crate::http::auth::TurnTokenCheck;

/// No agents at all.
pub(super) struct NoAgents;

fn closed<T: Send + 'static>() -> SendFuture<Result<T, StoreError>> {
    Box::pin(ready(Err(StoreError::Closed)))
}

fn nothing<T: Default + Send + 'static>() -> SendFuture<Result<T, StoreError>> {
    Box::pin(ready(Ok(T::default())))
}

impl TurnTokenCheck for NoAgents {
    fn verify(&self, _: &str) -> Option<TurnId> {
        None
    }
}

impl TaskStore for NoAgents {
    fn queue_task(&self, _: Arc<NewTask>) -> SendFuture<Result<Sequence, StoreError>> {
        closed()
    }

    fn begin_turn(&self, _: TurnStart) -> SendFuture<Result<(), StoreError>> {
        closed()
    }

    fn note_cli_session(&self, _: TurnId, _: String) -> SendFuture<Result<(), StoreError>> {
        closed()
    }

    fn end_turn(&self, _: TurnEnd) -> SendFuture<Result<(), StoreError>> {
        closed()
    }

    fn end_task(
        &self,
        _: MessageId,
        _: TaskOutcome,
        _: DateTime<Utc>,
    ) -> SendFuture<Result<bool, StoreError>> {
        closed()
    }

    fn forget_task(&self, _: MessageId) -> SendFuture<Result<bool, StoreError>> {
        closed()
    }

    fn open_tasks(&self, _: AgentId) -> SendFuture<Result<Vec<WaitingTask>, StoreError>> {
        nothing()
    }

    fn tasks(&self, _: Vec<MessageId>) -> SendFuture<Result<Vec<TaskRecord>, StoreError>> {
        nothing()
    }

    fn unfinished_turns(
        &self,
        _: Option<AgentId>,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        nothing()
    }

    fn turns_of(
        &self,
        _: AgentId,
        _: Option<TurnId>,
        _: usize,
    ) -> SendFuture<Result<Vec<TurnRecord>, StoreError>> {
        nothing()
    }

    fn turn(&self, _: TurnId) -> SendFuture<Result<Option<TurnRecord>, StoreError>> {
        nothing()
    }

    fn session(&self, _: AgentId, _: SessionKey) -> SendFuture<Result<SessionRecord, StoreError>> {
        nothing()
    }
}
