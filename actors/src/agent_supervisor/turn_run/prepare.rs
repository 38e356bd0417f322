//! Makes a turn out of the tasks of a batch: reads them, writes its prompt, keeps it.

use std::sync::Arc;

use super::TurnJob;
use crate::{
    agent_supervisor::spans,
    domain::{
        after_turn::TaskFacts,
        ids::MessageId,
        prompt::{self, PromptFacts, ReplyFacts, TaskForPrompt},
        task::{TaskOutcome, TaskRecord, WaitingTask},
        trace_context::TraceContext,
        turn::{AfterTurn, CliSession, Failure, FailureCode, SessionRecord, TurnOrder, TurnStart},
    },
    ports::StoreError,
};

/// The longest prompt, in bytes: what every CLI takes.
const LONGEST_PROMPT: usize = 768 * 1024;

/// A turn that is kept and ready to start.
pub(super) struct Prepared {
    /// `None` where none of the tasks needs a turn any more.
    pub(super) order: Option<TurnOrder>,
    /// What it works on.
    pub(super) tasks: Vec<TurnTask>,
    /// What had no room in the prompt.
    pub(super) left_over: Vec<WaitingTask>,
    /// What can never be worked on; its end is kept already.
    pub(super) hopeless: Vec<(WaitingTask, AfterTurn)>,
}

/// A task of a turn.
pub(super) struct TurnTask {
    pub(super) waiting: WaitingTask,
    pub(super) facts: TaskFacts,
    pub(super) traceparent: Option<TraceContext>,
}

/// A task that was read back from the store.
pub(super) struct Loaded {
    pub(super) waiting: WaitingTask,
    pub(super) record: TaskRecord,
}

/// Prepares the turn of a batch.
///
/// # Errors
/// The store could not be read, or did not keep the turn: nothing has begun.
pub(super) async fn prepare(job: &TurnJob) -> Result<Prepared, StoreError> {
    let store = &job.parts.shared.store;
    let agent = job.parts.profile.id.clone();
    let session = store.session(agent, job.batch.session.clone());
    let (mut loaded, session) = tokio::try_join!(load(job), session)?;
    let (prompt, left_over) = match fit(job, &mut loaded, &session) {
        Ok(fitted) => fitted,
        Err(failure) => return give_up(job, loaded, failure).await,
    };
    if loaded.is_empty() {
        return Ok(nothing(left_over));
    }
    store.begin_turn(start(job, &loaded, &session)).await?;
    Ok(Prepared {
        order: Some(order(job, &loaded, session, prompt)),
        tasks: loaded.iter().map(|task| turn_task(job, task)).collect(),
        left_over,
        hopeless: Vec::new(),
    })
}

const fn nothing(left_over: Vec<WaitingTask>) -> Prepared {
    Prepared {
        order: None,
        tasks: Vec::new(),
        left_over,
        hopeless: Vec::new(),
    }
}

/// Tasks that ended while they waited here are left out.
pub(super) async fn load(job: &TurnJob) -> Result<Vec<Loaded>, StoreError> {
    let tasks = &job.batch.tasks;
    let ids: Vec<MessageId> = tasks.iter().map(|task| task.id).collect();
    let records = job.parts.shared.store.tasks(ids).await?;
    let open = records
        .into_iter()
        .filter(|record| !record.state.is_ended());
    let loaded = open.filter_map(|record| {
        let waiting = tasks.iter().find(|task| task.id == record.task.id)?.clone();
        Some(Loaded { waiting, record })
    });
    Ok(loaded.collect())
}

type Fitted = (Arc<str>, Vec<WaitingTask>);

/// Writes the prompt of as many tasks as have room in it, oldest first.
fn fit(
    job: &TurnJob,
    loaded: &mut Vec<Loaded>,
    session: &SessionRecord,
) -> Result<Fitted, Failure> {
    let mut left_over = Vec::new();
    loop {
        if loaded.is_empty() {
            return Ok(("".into(), left_over));
        }
        let prompt = write(job, loaded, session)?;
        if prompt.len() <= LONGEST_PROMPT {
            return Ok((prompt, left_over));
        }
        if loaded.len() == 1 {
            return Err(Failure {
                code: FailureCode::PromptTooLong,
                message: format!(
                    "the prompt has {} bytes, at most {LONGEST_PROMPT} are handed over",
                    prompt.len()
                ),
            });
        }
        let rest = loaded.split_off(loaded.len().div_ceil(2));
        left_over.extend(rest.into_iter().map(|task| task.waiting));
    }
}

fn write(job: &TurnJob, loaded: &[Loaded], session: &SessionRecord) -> Result<Arc<str>, Failure> {
    let shared = &job.parts.shared;
    let agent = &job.parts.profile.id;
    let instructions = how_to_answer(job, loaded);
    let tasks: Vec<_> = loaded
        .iter()
        .zip(&instructions)
        .map(|(task, instructions)| TaskForPrompt {
            reply_instructions: instructions.as_deref(),
            ..TaskForPrompt::from(&*task.record.task)
        })
        .collect();
    let facts = PromptFacts {
        agent,
        manager_template: (*agent == shared.manager).then_some(&*shared.manager_template),
        is_resumed: session.cli_session.is_some(),
        is_repeat: loaded.iter().any(|task| task.waiting.attempts > 0),
        today: shared.clock.now().date_naive(),
    };
    prompt::render(&tasks, &facts).map_err(|error| Failure {
        code: FailureCode::TurnFailed,
        message: error.to_string(),
    })
}

/// How to answer each of the messages. Of several from one sender the last one says it.
fn how_to_answer(job: &TurnJob, loaded: &[Loaded]) -> Vec<Option<String>> {
    let shared = &job.parts.shared;
    let envelopes: Vec<_> = loaded
        .iter()
        .map(|task| task.record.task.envelope.as_deref())
        .collect();
    let tell = |(at, task): (usize, &Loaded)| {
        let envelope = (*envelopes.get(at)?)?;
        let later = envelopes.iter().skip(at.saturating_add(1)).flatten();
        let is_last = !later
            .into_iter()
            .any(|later| later.sender == envelope.sender);
        if !is_last || shared.reply_template.is_empty() {
            return None;
        }
        let answered = envelope.answers_go_to();
        let peer = answered.peer().and_then(|peer| shared.peers.find(peer));
        let facts = ReplyFacts {
            message: task.record.task.id,
            envelope,
            peer: peer.map(AsRef::as_ref),
            url: &shared.url,
        };
        Some(prompt::reply_instructions(&shared.reply_template, &facts))
    };
    loaded.iter().enumerate().map(tell).collect()
}

/// Ends tasks that no turn can work on.
async fn give_up(
    job: &TurnJob,
    loaded: Vec<Loaded>,
    failure: Failure,
) -> Result<Prepared, StoreError> {
    let now = job.parts.shared.clock.now();
    let mut hopeless = Vec::new();
    for task in loaded {
        let outcome = TaskOutcome::Failed(failure.clone());
        let ended = job
            .parts
            .shared
            .store
            .end_task(task.waiting.id, outcome.clone(), now);
        ended.await?;
        hopeless.push((task.waiting, AfterTurn::Ended(outcome)));
    }
    Ok(Prepared {
        hopeless,
        ..nothing(Vec::new())
    })
}

pub(super) fn start(job: &TurnJob, loaded: &[Loaded], session: &SessionRecord) -> TurnStart {
    TurnStart {
        id: job.turn,
        agent: job.parts.profile.id.clone(),
        session: job.batch.session.clone(),
        tasks: loaded.iter().map(|task| task.waiting.id).collect(),
        cli_session: session.cli_session.clone(),
        started_at: job.parts.shared.clock.now(),
    }
}

fn order(job: &TurnJob, loaded: &[Loaded], session: SessionRecord, prompt: Arc<str>) -> TurnOrder {
    let chosen = || CliSession::New(job.turn.to_string());
    TurnOrder {
        turn: job.turn,
        profile: Arc::clone(&job.parts.profile),
        session: session.cli_session.map_or_else(chosen, CliSession::Resume),
        usage_before: session.usage_total,
        prompt,
        variables: variables(job, loaded),
    }
}

/// What a turn is told of us, so that it can call back.
fn variables(job: &TurnJob, loaded: &[Loaded]) -> Vec<(&'static str, String)> {
    let shared = &job.parts.shared;
    let mut variables = vec![
        ("POSTROOM_URL", shared.url.to_string()),
        ("POSTROOM_TURN_TOKEN", shared.tokens.token(job.turn)),
        ("POSTROOM_AGENT", job.parts.profile.id.to_string()),
        ("POSTROOM_TURN_ID", job.turn.to_string()),
    ];
    let newest = loaded.last().map(|task| &task.record.task);
    variables.extend(newest.map(|task| ("POSTROOM_MESSAGE_ID", task.id.to_string())));
    let told = spans::told(shared, job.turn, newest.and_then(|task| task.traceparent));
    variables.extend(told.map(|context| ("TRACEPARENT", context.to_string())));
    variables
}

fn turn_task(job: &TurnJob, task: &Loaded) -> TurnTask {
    TurnTask {
        waiting: task.waiting.clone(),
        traceparent: task.record.task.traceparent,
        facts: TaskFacts {
            origin: task.record.task.origin,
            is_background: task.waiting.is_background,
            is_streamed: task.record.task.is_streamed,
            attempts: task.waiting.attempts.saturating_add(1),
            max_attempts: job.parts.profile.max_attempts,
        },
    }
}
