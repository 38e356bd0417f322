//! One turn, from its tasks to what becomes of them.
//!
//! The order is what the broker's promises stand on: the turn is kept, then its process starts;
//! its processes are gone, then its end is kept, then its readers hear of it.

mod deliver;
mod follow;
mod prepare;

use std::{
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::sync::oneshot;

use self::{
    follow::Followed,
    prepare::{Prepared, TurnTask},
};
use super::{
    SupervisorParts,
    heard::Heard,
    metrics,
    spans::{self, TracedTask},
};
use crate::{
    domain::{
        activity::{Fact, MOST_MESSAGES, short},
        after_turn::{StopReason, after_failed_start, after_turn, turn_state},
        agent::Delivery,
        ids::{MessageId, SessionKey, TurnId},
        narration::Narration,
        task::WaitingTask,
        trace_context::TraceContext,
        turn::{
            AfterTurn, CliSession, Failure, FailureCode, TurnEnd, TurnEvent, TurnExit, TurnResult,
        },
        turn_queue::Batch,
    },
    feed::{Feed, TaskEvent},
    log_fields::trace_id,
    ports::{StoreError, traces::Span, turns::LaunchError},
};

/// A turn that is about to begin.
pub(super) struct TurnJob {
    pub(super) turn: TurnId,
    pub(super) batch: Batch,
    /// The logs of its tasks.
    pub(super) feeds: Vec<(MessageId, Feed<TaskEvent>)>,
    /// Says that it must end; dropped when the supervisor is gone.
    pub(super) stopped: oneshot::Receiver<StopReason>,
    /// Where its process group is shown.
    pub(super) pid: Arc<AtomicU32>,
    /// Where its signs of life are noted.
    pub(super) heard: Heard,
    pub(super) parts: SupervisorParts,
}

/// What came of a turn.
pub(super) struct TurnReport {
    pub(super) turn: TurnId,
    pub(super) session: SessionKey,
    /// What became of its tasks; kept already.
    pub(super) tasks: Vec<(WaitingTask, AfterTurn)>,
    /// Tasks that it did not begin with; they wait again.
    pub(super) given_back: Vec<WaitingTask>,
    /// Why its process did not start.
    pub(super) cannot_start: Option<String>,
    /// How it failed.
    pub(super) failure: Option<Failure>,
}

/// How long to wait before asking a store again that could not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long the log of a turn that has ended can still be found.
const LINGER: Duration = Duration::from_secs(2);

/// Runs a turn to its end.
///
/// # Cancel safety
/// Dropped before its end, its processes are killed, and the next start makes good what it left.
pub(super) async fn run(job: TurnJob) -> TurnReport {
    let mut report = TurnReport {
        turn: job.turn,
        session: job.batch.session.clone(),
        tasks: Vec::new(),
        given_back: Vec::new(),
        cannot_start: None,
        failure: None,
    };
    if job.parts.profile.delivery == Delivery::Inbox {
        if let Err(refused) = deliver::deliver(&job, &mut report).await {
            give_back(job, &refused, &mut report);
        }
        return report;
    }
    match prepare::prepare(&job).await {
        Ok(prepared) => run_prepared(job, prepared, &mut report).await,
        Err(refused) => give_back(job, &refused, &mut report),
    }
    report
}

async fn run_prepared(mut job: TurnJob, prepared: Prepared, report: &mut TurnReport) {
    report.given_back = prepared.left_over;
    let Some(order) = prepared.order else {
        report.tasks = prepared.hopeless;
        return;
    };
    let shared = Arc::clone(&job.parts.shared);
    let began = shared.clock.now();
    let _gauge =
        metrics::RunningGauge::begin(&job.parts.profile.id, waited(&prepared.tasks, began));
    let span = begin_span(&job, &prepared.tasks, began);
    let trace = prepared.tasks.last().and_then(|task| task.traceparent);
    let feed = shared.turn_feeds.open(job.turn);
    let is_resumed = matches!(order.session, CliSession::Resume(_));
    tell_begun(&job, prepared.tasks.iter().map(|task| task.waiting.id));
    let (mut followed, stopped) = match shared.launcher.launch(order).await {
        Ok(running) => follow::follow(&mut job, &prepared.tasks, running, &feed).await,
        Err(error) => {
            report.cannot_start = is_the_agents_fault(&error).then(|| error.to_string());
            (Followed::not_started(cannot_start(&error)), None)
        }
    };
    if !is_resumed {
        followed.exit.result = without_lost_session(followed.exit.result);
    }
    let end = settle(&job, prepared.tasks, &followed, stopped, report);
    let took = (end.ended_at - began).to_std().unwrap_or_default();
    metrics::turn_ended(&job.parts.profile.id, took, &followed.exit);
    let ended = ended_fact(&job, &end, began);
    spans::record_end(&job.parts, span, &end);
    keep_end(&job.parts, end, trace).await;
    feed.publish(TurnEvent::Exited(Box::new(followed.exit)));
    feed.close();
    shared.activity.tell(ended);
    linger(feed);
}

/// Keeps the log of a turn that has ended findable for a while: whoever hears of a short turn comes
/// too late otherwise.
fn linger(feed: Feed<TurnEvent>) {
    actix_rt::spawn(async move {
        tokio::time::sleep(LINGER).await;
        drop(feed);
    });
}

/// Tells operators of a turn that is kept.
fn tell_begun(job: &TurnJob, messages: impl ExactSizeIterator<Item = MessageId>) {
    job.parts.shared.activity.tell(Fact::TurnBegan {
        agent: job.parts.profile.id.clone(),
        turn: job.turn,
        session: short(job.batch.session.as_str()),
        count: messages.len(),
        messages: messages.take(MOST_MESSAGES).collect(),
    });
}

/// What operators are told of an end, once it is kept.
fn ended_fact(job: &TurnJob, end: &TurnEnd, began: DateTime<Utc>) -> Fact {
    let took = (end.ended_at - began).num_milliseconds();
    Fact::TurnEnded {
        agent: job.parts.profile.id.clone(),
        turn: end.id,
        state: end.state,
        failure: end.failure.clone(),
        took_ms: u64::try_from(took).unwrap_or_default(),
    }
}

/// The turn's span; the waits of its tasks are over with its begin.
fn begin_span(job: &TurnJob, tasks: &[TurnTask], began: DateTime<Utc>) -> Option<Span> {
    if !job.parts.shared.traces.is_on() {
        return None;
    }
    let traced = |task: &TurnTask| TracedTask::new(&task.waiting, task.traceparent);
    let tasks: Vec<_> = tasks.iter().map(traced).collect();
    spans::record_waits(&job.parts, job.turn, &tasks, began);
    spans::of_turn(&job.parts, job.turn, &tasks, began)
}

/// How long the oldest task has waited.
fn waited(tasks: &[TurnTask], now: DateTime<Utc>) -> Duration {
    let oldest = tasks.first().map(|task| now - task.waiting.received_at);
    let waited = oldest.and_then(|waited| waited.to_std().ok());
    waited.unwrap_or_default()
}

/// Decides what becomes of the turn and of each of its tasks.
fn settle(
    job: &TurnJob,
    tasks: Vec<TurnTask>,
    followed: &Followed,
    stopped: Option<StopReason>,
    report: &mut TurnReport,
) -> TurnEnd {
    let now = job.parts.shared.clock.now();
    let (exit, nothing) = (&followed.exit, Narration::default());
    let decide = |task: TurnTask| {
        let after = match &exit.result {
            TurnResult::Failed(failure) if !followed.started => {
                after_failed_start(task.facts, failure.clone(), now)
            }
            _ => after_turn(
                task.facts,
                exit,
                stopped,
                followed.said_to(task.waiting.id).unwrap_or(&nothing),
                followed.signs,
                now,
            ),
        };
        (task.waiting, after)
    };
    report.tasks = tasks.into_iter().map(decide).collect();
    report.failure = match &exit.result {
        TurnResult::Failed(failure) | TurnResult::TimedOut(failure) => Some(failure.clone()),
        TurnResult::Done(_) | TurnResult::Stopped => None,
    };
    let tasks = report.tasks.iter();
    TurnEnd {
        id: job.turn,
        state: turn_state(exit, stopped),
        exit_code: exit.exit_code,
        signal: exit.signal,
        usage: exit.usage,
        usage_total: exit.usage_total,
        failure: report.failure.clone(),
        transcript: exit.transcript.clone(),
        ended_at: now,
        tasks: tasks
            .map(|(task, after)| (task.id, after.clone()))
            .collect(),
    }
}

/// What resumed nothing cannot have lost a session: trying again would never end.
fn without_lost_session(result: TurnResult) -> TurnResult {
    match result {
        TurnResult::Failed(failure) if failure.code == FailureCode::SessionLost => {
            TurnResult::Failed(Failure {
                code: FailureCode::TurnFailed,
                ..failure
            })
        }
        other => other,
    }
}

/// Nobody hears of an end that is not kept; a store in trouble is asked until it can.
async fn keep_end(parts: &SupervisorParts, end: TurnEnd, trace: Option<TraceContext>) {
    let trace_id = || trace_id(trace);
    loop {
        match parts.shared.store.end_turn(end.clone()).await {
            Ok(()) => return,
            Err(StoreError::Closed) => {
                tracing::warn!(turn = %end.id, trace_id = trace_id(), "the end of a turn is not kept: the store is closed");
                return;
            }
            Err(error) => {
                tracing::warn!(turn = %end.id, %error, trace_id = trace_id(), "the end of a turn cannot be kept yet");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

fn give_back(job: TurnJob, refused: &StoreError, report: &mut TurnReport) {
    tracing::warn!(agent = %job.parts.profile.id, %refused, "a turn waits for the store");
    report.given_back = paused(job.batch.tasks, &job.parts);
}

fn paused(tasks: Vec<WaitingTask>, parts: &SupervisorParts) -> Vec<WaitingTask> {
    let pause = chrono::TimeDelta::from_std(STORE_PAUSE).unwrap_or_default();
    let not_before = parts.shared.clock.now().checked_add_signed(pause);
    tasks
        .into_iter()
        .map(|task| WaitingTask { not_before, ..task })
        .collect()
}

/// Whether a turn that did not start says something about its agent.
const fn is_the_agents_fault(error: &LaunchError) -> bool {
    !matches!(
        error,
        LaunchError::PromptTooLong { .. } | LaunchError::NoRoom(_)
    )
}

fn cannot_start(error: &LaunchError) -> TurnExit {
    let code = match error {
        LaunchError::PromptTooLong { .. } => FailureCode::PromptTooLong,
        _ => FailureCode::CannotStart,
    };
    TurnExit::unseen(TurnResult::Failed(Failure {
        code,
        message: error.to_string(),
    }))
}
