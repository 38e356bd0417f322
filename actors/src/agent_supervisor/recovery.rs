//! Makes good what the last run of the supervisor or of the broker left behind.
//!
//! Turns that were not ended are: their processes first, then their rows, with what becomes of
//! their tasks. Only then do turns begin again.

use std::{collections::HashMap, time::Duration};

use actix::{AsyncContext, Context, WrapFuture, fut::ActorFutureExt};

use super::{AgentSupervisor, SupervisorParts, spans};
use crate::{
    domain::{
        after_turn::{TaskFacts, after_interruption},
        agent::Delivery,
        ids::{MessageId, TurnId},
        task::{TaskOrigin, WaitingTask},
        turn::{AfterTurn, Failure, FailureCode, TurnEnd, TurnState},
    },
    ports::StoreError,
};

/// How long to wait before asking a store again that could not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What was found and is settled by now.
struct Found {
    open: Vec<WaitingTask>,
    settled: Vec<(WaitingTask, AfterTurn)>,
}

pub(super) fn begin(actor: &AgentSupervisor, ctx: &mut Context<AgentSupervisor>) {
    let recovered = recover(actor.parts.clone()).into_actor(actor).map(
        |found, actor: &mut AgentSupervisor, ctx| {
            actor.take_over(found);
            actor.is_recovered = true;
            actor.schedule(ctx);
        },
    );
    ctx.spawn(recovered);
}

async fn recover(parts: SupervisorParts) -> Found {
    loop {
        match try_to_recover(&parts).await {
            Ok(found) => return found,
            Err(error) => {
                tracing::warn!(agent = %parts.profile.id, %error, "cannot take up what was left yet");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

async fn try_to_recover(parts: &SupervisorParts) -> Result<Found, StoreError> {
    let store = &parts.shared.store;
    let agent = &parts.profile.id;
    let unfinished = store.unfinished_turns(Some(agent.clone())).await?;
    let turns: Vec<TurnId> = unfinished.iter().map(|turn| turn.id).collect();
    let mut spans = HashMap::new();
    for turn in unfinished {
        let span = spans::of_interrupted(parts, turn.id, turn.tasks, turn.started_at);
        spans.insert(turn.id, span.await?);
    }
    if !turns.is_empty() {
        let ended = parts.shared.launcher.end_leftovers(turns.clone()).await;
        tracing::info!(%agent, turns = turns.len(), processes = ended, "interrupted turns taken up");
    }
    let (begun, mut open): (Vec<_>, Vec<_>) = store
        .open_tasks(agent.clone())
        .await?
        .into_iter()
        .partition(|task| task.interrupted_turn.is_some());
    let mut settled = Vec::new();
    for turn in turns {
        let tasks = begun
            .iter()
            .filter(|task| task.interrupted_turn == Some(turn));
        let tasks: Vec<_> = tasks
            .map(|task| (task.clone(), after(task, parts)))
            .collect();
        let end = interrupted(turn, &tasks, parts);
        store.end_turn(end.clone()).await?;
        spans::record_end(parts, spans.remove(&turn).flatten(), &end);
        settled.extend(tasks);
    }
    let is_settled = |task: &WaitingTask| {
        settled
            .iter()
            .any(|(other, _): &(WaitingTask, _)| other.id == task.id)
    };
    let others = begun.iter().filter(|task| !is_settled(task));
    let others: Vec<_> = others.cloned().collect();
    // Their turn has ended and they have not: they lie in the inbox.
    if parts.profile.delivery == Delivery::Inbox {
        settled.extend(others.into_iter().map(|task| (task, AfterTurn::Delivered)));
    } else {
        open.extend(others);
    }
    Ok(Found { open, settled })
}

fn after(task: &WaitingTask, parts: &SupervisorParts) -> AfterTurn {
    let facts = TaskFacts {
        origin: TaskOrigin::Response,
        // Nobody waits for what is delivered as a file.
        is_background: task.is_background || parts.profile.delivery == Delivery::Inbox,
        is_streamed: false,
        attempts: task.attempts,
        max_attempts: parts.profile.max_attempts,
    };
    after_interruption(facts, parts.shared.clock.now())
}

fn interrupted(
    turn: TurnId,
    tasks: &[(WaitingTask, AfterTurn)],
    parts: &SupervisorParts,
) -> TurnEnd {
    TurnEnd {
        id: turn,
        state: TurnState::Interrupted,
        exit_code: None,
        signal: None,
        usage: None,
        usage_total: None,
        failure: Some(Failure {
            code: FailureCode::Interrupted,
            message: "the service ended while the turn ran".to_owned(),
        }),
        transcript: None,
        ended_at: parts.shared.clock.now(),
        tasks: tasks
            .iter()
            .map(|(task, after)| (task.id, after.clone()))
            .collect(),
    }
}

impl AgentSupervisor {
    fn take_over(&mut self, found: Found) {
        for task in found.open {
            self.wait_again(task);
        }
        for (task, after) in found.settled {
            match after {
                AfterTurn::Again { not_before, .. } => {
                    self.wait_again(WaitingTask { not_before, ..task });
                }
                AfterTurn::Delivered => self.hold(task.id),
                AfterTurn::Ended(outcome) => {
                    // A reader may have stayed through a restart of this actor.
                    self.hold(task.id);
                    self.tell_ended(task.id, outcome);
                }
            }
        }
    }

    fn wait_again(&mut self, task: WaitingTask) {
        if self.feeds.contains_key(&task.id) {
            return;
        }
        self.hold(task.id);
        self.queue.push(WaitingTask {
            interrupted_turn: None,
            ..task
        });
    }

    /// Keeps the log of an open task findable.
    fn hold(&mut self, task: MessageId) {
        let feed = self.parts.shared.task_feeds.open(task);
        self.feeds.insert(task, feed);
    }
}
