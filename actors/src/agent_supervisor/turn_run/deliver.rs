//! A turn without a process: puts tasks in the agent's inbox.
//!
//! A file is named by its task alone, so one that is written again after a crash is the same one.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    STORE_PAUSE, TurnJob, TurnReport, ended_fact, keep_end,
    prepare::{self, Loaded},
    tell_begun,
};
use crate::{
    agent_supervisor::spans::{self, TracedTask},
    domain::{
        inbox_item,
        request::{self, HeaderHints},
        task::{Answer, NewTask, TaskOrigin, TaskOutcome},
        turn::{AfterTurn, Failure, FailureCode, SessionRecord, TurnEnd, TurnState},
    },
    ports::{InboxError, InboxFile, RenderFile, StoreError, traces::Span},
};

/// Delivers the tasks of a batch.
///
/// # Errors
/// The store could not be read, or did not keep the delivery: nothing has begun.
pub(super) async fn deliver(job: &TurnJob, report: &mut TurnReport) -> Result<(), StoreError> {
    let loaded = prepare::load(job).await?;
    if loaded.is_empty() {
        return Ok(());
    }
    let shared = &job.parts.shared;
    let start = prepare::start(job, &loaded, &SessionRecord::default());
    let (began, messages) = (start.started_at, start.tasks.clone());
    shared.store.begin_turn(start).await?;
    tell_begun(job, messages.into_iter());
    let span = begin_span(job, &loaded, began);
    let newest = loaded.last();
    let trace = newest.and_then(|task| task.record.task.traceparent);
    let files = loaded.iter().map(|task| file(&task.record.task));
    let workspace = job.parts.profile.workspace.clone();
    let written = shared.inboxes.write(workspace, files.collect()).await;
    let failure = written.err().map(|error| failure(&error));
    report.tasks = loaded
        .into_iter()
        .map(|task| {
            let after = after(&task, failure.is_some(), job);
            (task.waiting, after)
        })
        .collect();
    report.failure.clone_from(&failure);
    let end = end(job, report, failure);
    let ended = ended_fact(job, &end, began);
    spans::record_end(&job.parts, span, &end);
    keep_end(&job.parts, end, trace).await;
    shared.activity.tell(ended);
    Ok(())
}

fn begin_span(job: &TurnJob, loaded: &[Loaded], began: DateTime<Utc>) -> Option<Span> {
    if !job.parts.shared.traces.is_on() {
        return None;
    }
    let traced = |task: &Loaded| TracedTask::new(&task.waiting, task.record.task.traceparent);
    let tasks: Vec<_> = loaded.iter().map(traced).collect();
    spans::record_waits(&job.parts, job.turn, &tasks, began);
    spans::of_inbox_write(&job.parts, job.turn, &tasks, began)
}

fn file(task: &Arc<NewTask>) -> RenderFile {
    let task = Arc::clone(task);
    RenderFile {
        render: Box::new(move || {
            // What is no chat has no words of its own to put first.
            let facts = request::read_request(&task.body, HeaderHints::default());
            let prompt = facts.ok().and_then(|facts| facts.prompt);
            InboxFile {
                name: task.id.file_name(task.received_at),
                marks: None,
                content: inbox_item::render_task(&task, prompt).to_file_text(),
            }
        }),
    }
}

/// A background response stays open until its answer comes by `/agent-reply`. All else is done with
/// delivery; a response that somebody waited for has been answered with nothing.
fn after(task: &Loaded, has_failed: bool, job: &TurnJob) -> AfterTurn {
    if has_failed {
        let pause = TimeDelta::from_std(STORE_PAUSE).unwrap_or_default();
        return AfterTurn::Again {
            not_before: job.parts.shared.clock.now().checked_add_signed(pause),
            counts: false,
        };
    }
    match (task.record.task.origin, task.record.task.is_background) {
        (TaskOrigin::Response, true) => AfterTurn::Delivered,
        (TaskOrigin::Response, false) => AfterTurn::Ended(TaskOutcome::Answered(Answer::default())),
        (TaskOrigin::Chat | TaskOrigin::Message, _) => AfterTurn::Ended(TaskOutcome::Done),
    }
}

fn failure(error: &InboxError) -> Failure {
    Failure {
        code: FailureCode::CannotStart,
        message: error.to_string(),
    }
}

fn end(job: &TurnJob, report: &TurnReport, failure: Option<Failure>) -> TurnEnd {
    let is_done = failure.is_none();
    TurnEnd {
        id: job.turn,
        state: if is_done {
            TurnState::Done
        } else {
            TurnState::Failed
        },
        exit_code: None,
        signal: None,
        usage: None,
        usage_total: None,
        failure,
        transcript: None,
        ended_at: job.parts.shared.clock.now(),
        tasks: report
            .tasks
            .iter()
            .map(|(task, after)| (task.id, after.clone()))
            .collect(),
    }
}
