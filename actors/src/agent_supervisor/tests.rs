use std::time::Duration;

use actix::Actor;
use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::{
    delivery::Mailbox,
    domain::{
        agent::QueueMode,
        agent_message::IdempotencyKey,
        ids::{AgentId, SessionKey},
        task::{NewTask, TaskOrigin, TaskOutcome, TaskState},
        turn::{CliSession, TurnEvent, TurnResult, TurnState},
    },
    ports::{StoreError, turns::LaunchError},
    testing::{
        MemoryInbox, MemoryTasks, ScriptedLauncher, ScriptedTurn, SharedFakes, agent_profile, done,
        exit, start_time,
    },
};

mod inbox;
mod messages;
mod panics;
mod recovery;
mod refusals;
mod streams;

/// The agent of these tests.
fn alice() -> AgentId {
    AgentId::parse("alice").unwrap()
}

fn profile() -> AgentProfile {
    agent_profile("alice")
}

/// A supervisor over a store and turns that a test plays.
struct Desk {
    store: Arc<MemoryTasks>,
    launcher: Arc<ScriptedLauncher>,
    inbox: Arc<MemoryInbox>,
    supervisor: Mailbox<AgentSupervisor>,
    parts: SupervisorParts,
}

/// What the test waits for takes no real time; more than this is a failure.
const DEADLINE: Duration = Duration::from_mins(10);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(DEADLINE, future).await;
    ended.unwrap_or_else(|_| panic!("{what} did not happen"))
}

impl Desk {
    fn new() -> Self {
        Self::of(profile())
    }

    /// The first one of a test.
    fn of(profile: AgentProfile) -> Self {
        tokio::time::pause();
        Self::with(profile, Arc::default())
    }

    fn with(profile: AgentProfile, store: Arc<MemoryTasks>) -> Self {
        let fakes = SharedFakes {
            store,
            ..SharedFakes::default()
        };
        let supervisor = Mailbox::new("agent_supervisor");
        let parts = SupervisorParts {
            profile: Arc::new(profile),
            shared: Arc::new(fakes.parts()),
            is_stopped: Arc::default(),
            depth: supervisor.depth(),
        };
        let SharedFakes {
            store,
            launcher,
            inbox,
        } = fakes;
        let desk = Self {
            store,
            launcher,
            inbox,
            supervisor,
            parts,
        };
        desk.start();
        desk
    }

    /// Starts a run of the supervisor.
    fn start(&self) {
        self.supervisor
            .connect(AgentSupervisor::new(self.parts.clone()).start());
    }

    async fn queue(&self, task: NewTask) -> Result<Feed<TaskEvent>, QueueError> {
        self.queue_once(task, None).await
    }

    async fn queue_once(
        &self,
        task: NewTask,
        once: Option<IdempotencyKey>,
    ) -> Result<Feed<TaskEvent>, QueueError> {
        let (reply, kept) = oneshot::channel();
        let task = Arc::new(task);
        self.supervisor
            .try_deliver(QueueTask { task, once, reply })
            .unwrap();
        within("the reply", kept).await.unwrap()
    }

    async fn give(&self, task: NewTask) -> Feed<TaskEvent> {
        self.queue(task).await.unwrap()
    }

    async fn turn(&self) -> ScriptedTurn {
        within("a turn", self.launcher.next()).await.unwrap()
    }

    async fn status(&self) -> AgentStatus {
        self.supervisor.ask(GetAgentStatus, DEADLINE).await.unwrap()
    }

    async fn cancel(&self, number: u128) -> Result<bool, StoreError> {
        let (reply, cancelled) = oneshot::channel();
        let task = id(number);
        self.supervisor
            .try_deliver(CancelTask { task, reply })
            .unwrap();
        within("the reply", cancelled).await.unwrap()
    }

    async fn wind_down(&self, interrupt: bool) {
        let (reply, at_rest) = oneshot::channel();
        let stop = false;
        let message = WindDown {
            interrupt,
            stop,
            reply,
        };
        self.supervisor.try_deliver(message).unwrap();
        within("rest", at_rest).await.unwrap();
    }

    fn state(&self, number: u128) -> TaskState {
        self.store.task(id(number)).unwrap().state
    }
}

fn id(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

/// A background response that asks for its own number.
fn task(number: u128, session: &str) -> NewTask {
    NewTask {
        id: id(number),
        agent: alice(),
        session: SessionKey::new(session),
        origin: TaskOrigin::Response,
        caller: None,
        received_at: start_time(),
        body: Bytes::from(format!(r#"{{"model":"alice","input":"task-{number}."}}"#)),
        is_background: true,
        is_streamed: false,
        is_kept: true,
        traceparent: None,
        envelope: None,
        is_handed_over: false,
    }
}

/// The same, with somebody waiting on an open connection.
fn waited_for(number: u128, session: &str) -> NewTask {
    NewTask {
        is_background: false,
        ..task(number, session)
    }
}

async fn ended(feed: &Feed<TaskEvent>) -> TaskOutcome {
    let mut index = 0;
    loop {
        match within("the end of a task", feed.event(index)).await {
            Some(TaskEvent::Ended(outcome)) => return outcome,
            Some(_) => index += 1,
            None => panic!("the log was closed without an end"),
        }
    }
}

fn text(outcome: &TaskOutcome) -> &str {
    match outcome {
        TaskOutcome::Answered(answer) => &answer.text,
        other => panic!("{other:?}"),
    }
}

fn code(outcome: &TaskOutcome) -> FailureCode {
    match outcome {
        TaskOutcome::Failed(failure) => failure.code,
        other => panic!("{other:?}"),
    }
}

fn variable<'a>(turn: &'a ScriptedTurn, name: &str) -> &'a str {
    let found = turn
        .order
        .variables
        .iter()
        .find(|(known, _)| *known == name);
    &found.unwrap().1
}

#[actix_rt::test]
async fn a_task_is_kept_before_its_turn_begins_and_its_end_before_anyone_hears() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    assert!(matches!(
        desk.state(1),
        TaskState::Queued | TaskState::Running
    ));
    let turn = desk.turn().await;
    assert_eq!(desk.state(1), TaskState::Running);
    assert!(turn.order.prompt.contains("task-1"));
    assert_eq!(variable(&turn, "POSTROOM_MESSAGE_ID"), id(1).to_string());
    assert!(variable(&turn, "POSTROOM_TURN_TOKEN").starts_with("turn_"));
    let turn_id = turn.order.turn;
    turn.ends(done("answer"));
    assert_eq!(text(&ended(&feed).await), "answer");
    assert_eq!(desk.state(1), TaskState::Answered);
    assert_eq!(
        desk.store.kept_turn(turn_id).unwrap().state,
        TurnState::Done
    );
}

#[actix_rt::test]
async fn what_the_store_does_not_keep_is_refused() {
    let desk = Desk::new();
    desk.status().await;
    desk.store.set_failure(Some(StoreError::Full));
    let refused = desk.queue(task(1, "a")).await;
    assert_eq!(refused.unwrap_err(), QueueError::Store(StoreError::Full));
    desk.store.set_failure(None);
    assert_eq!(desk.status().await.waiting, 0);
}

#[actix_rt::test]
async fn two_hundred_messages_to_a_busy_agent_are_one_turn_in_order() {
    let desk = Desk::new();
    let first = desk.give(task(1, "a")).await;
    let busy = desk.turn().await;
    let mut feeds = Vec::new();
    for number in 2..=201 {
        feeds.push(desk.give(task(number, "a")).await);
    }
    assert_eq!(desk.status().await.waiting, 200);
    busy.ends(done("first"));
    ended(&first).await;
    let next = desk.turn().await;
    let places: Vec<_> = (2..=201)
        .map(|number| {
            next.order
                .prompt
                .match_indices(&format!("task-{number}."))
                .map(|at| at.0)
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(
        places.iter().all(|found| found.len() == 1),
        "each of them once"
    );
    assert!(places.is_sorted());
    next.ends(done("all of them"));
    for feed in feeds {
        assert_eq!(text(&ended(&feed).await), "all of them");
    }
}

#[actix_rt::test]
async fn a_session_goes_on_in_the_clis_own_session() {
    let desk = Desk::new();
    desk.give(task(1, "a")).await;
    let first = desk.turn().await;
    assert!(matches!(first.order.session, CliSession::New(_)));
    first.does(TurnEvent::Session("thread-7".to_owned()));
    first.ends(done("one"));
    desk.give(task(2, "a")).await;
    let second = desk.turn().await;
    assert_eq!(
        second.order.session,
        CliSession::Resume("thread-7".to_owned())
    );
    second.ends(done("two"));
    desk.give(task(3, "b")).await;
    assert!(matches!(
        desk.turn().await.order.session,
        CliSession::New(_)
    ));
}

#[actix_rt::test]
async fn a_session_that_its_cli_has_lost_begins_anew_and_costs_nobody_an_answer() {
    let desk = Desk::new();
    desk.give(task(1, "a")).await;
    let first = desk.turn().await;
    first.does(TurnEvent::Session("thread-7".to_owned()));
    first.ends(done("one"));
    let feed = desk.give(waited_for(2, "a")).await;
    let lost = || {
        exit(TurnResult::Failed(Failure {
            code: FailureCode::SessionLost,
            message: "no such thread".to_owned(),
        }))
    };
    let second = desk.turn().await;
    assert!(matches!(second.order.session, CliSession::Resume(_)));
    second.ends(lost());
    let third = desk.turn().await;
    assert!(matches!(third.order.session, CliSession::New(_)));
    // One that resumed nothing cannot have lost anything: that is a failure like any other.
    third.ends(lost());
    assert_eq!(code(&ended(&feed).await), FailureCode::TurnFailed);
}

#[actix_rt::test]
async fn sessions_run_side_by_side_up_to_the_limit_of_the_agent() {
    let two_at_once = AgentProfile {
        concurrency: 2,
        ..profile()
    };
    let desk = Desk::of(two_at_once);
    for (number, session) in [(1, "a"), (2, "b"), (3, "c"), (4, "a")] {
        desk.give(task(number, session)).await;
    }
    let (one, two) = (desk.turn().await, desk.turn().await);
    let status = desk.status().await;
    assert_eq!((status.turns.len(), status.waiting), (2, 2));
    one.ends(done("1"));
    let three = desk.turn().await;
    assert!(three.order.prompt.contains("task-3"), "sessions take turns");
    two.ends(done("2"));
    assert!(desk.turn().await.order.prompt.contains("task-4"));
}

#[actix_rt::test]
async fn all_agents_share_the_places_for_turns() {
    let four_at_once = AgentProfile {
        concurrency: 4,
        ..profile()
    };
    let desk = Desk::of(four_at_once);
    for number in 1..=3 {
        desk.give(task(number, &number.to_string())).await;
    }
    let (one, _two) = (desk.turn().await, desk.turn().await);
    let status = desk.status().await;
    assert_eq!(status.turns.len(), 2);
    assert!(status.waits_for.unwrap().contains("max_turns"));
    one.ends(done("1"));
    desk.turn().await;
}

#[actix_rt::test]
async fn a_queue_has_an_end() {
    let desk = Desk::of(AgentProfile {
        queue: 2,
        ..profile()
    });
    desk.give(task(1, "a")).await;
    let _busy = desk.turn().await;
    desk.give(task(2, "a")).await;
    desk.give(task(3, "a")).await;
    let refused = desk.queue(task(4, "a")).await.unwrap_err();
    assert!(
        matches!(refused, QueueError::Full { waiting: 2, .. }),
        "{refused}"
    );
}

#[actix_rt::test]
async fn a_waiting_task_that_is_cancelled_is_never_begun() {
    let desk = Desk::new();
    desk.give(task(1, "a")).await;
    let busy = desk.turn().await;
    let feed = desk.give(task(2, "a")).await;
    assert_eq!(desk.cancel(2).await, Ok(true));
    assert_eq!(ended(&feed).await, TaskOutcome::Cancelled);
    assert_eq!(desk.cancel(2).await, Ok(false));
    busy.ends(done("1"));
    desk.give(task(3, "a")).await;
    let next = desk.turn().await;
    assert!(!next.order.prompt.contains("task-2") && next.order.prompt.contains("task-3"));
}

#[actix_rt::test]
async fn cancelling_a_running_task_ends_its_turn() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    assert_eq!(desk.cancel(1).await, Ok(true));
    assert_eq!(ended(&feed).await, TaskOutcome::Cancelled);
    assert_eq!(desk.launcher.running(), 0);
    assert_eq!(
        desk.store.kept_turn(turn.order.turn).unwrap().state,
        TurnState::Cancelled
    );
}

#[actix_rt::test]
async fn cancelling_one_task_of_a_batch_leaves_the_others_their_turn() {
    let desk = Desk::new();
    desk.give(task(1, "a")).await;
    let busy = desk.turn().await;
    let (cancelled, kept) = (desk.give(task(2, "a")).await, desk.give(task(3, "a")).await);
    busy.ends(done("1"));
    let both = desk.turn().await;
    assert_eq!(desk.cancel(2).await, Ok(true));
    both.ends(done("both"));
    assert_eq!(ended(&cancelled).await, TaskOutcome::Cancelled);
    assert_eq!(text(&ended(&kept).await), "both");
    assert_eq!(desk.state(2), TaskState::Cancelled);
}

#[actix_rt::test]
async fn an_answer_from_elsewhere_ends_a_task_and_its_turn_cannot_change_it() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    let (reply, answered) = oneshot::channel();
    let outcome = TaskOutcome::Answered(crate::domain::task::Answer {
        text: "from the inbox".into(),
        ..Default::default()
    });
    let (task, answer) = (id(1), outcome.clone());
    let message = AnswerTask {
        task,
        outcome: answer,
        reply,
    };
    desk.supervisor.try_deliver(message).unwrap();
    assert_eq!(within("the reply", answered).await.unwrap(), Ok(true));
    assert_eq!(ended(&feed).await, outcome);
    turn.ends(done("too late"));
    desk.wind_down(false).await;
    assert_eq!(desk.state(1), TaskState::Answered);
    assert_eq!(
        &*desk.store.task(id(1)).unwrap().answer.unwrap().text,
        "from the inbox"
    );
}

#[actix_rt::test]
async fn a_crash_is_made_good_after_a_pause_and_told_to_the_agent() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    let mut crashed = exit(TurnResult::Failed(Failure {
        code: FailureCode::TurnFailed,
        message: "segmentation fault".to_owned(),
    }));
    crashed.signal = Some(11);
    desk.turn().await.ends(crashed);
    let again = desk.turn().await;
    assert!(again.order.prompt.contains("repeat"));
    assert_eq!(desk.store.task(id(1)).unwrap().attempts, 2);
    again.ends(done("at last"));
    assert_eq!(text(&ended(&feed).await), "at last");
}

#[actix_rt::test]
async fn who_waits_on_a_connection_is_told_of_a_failed_start_at_once() {
    let desk = Desk::new();
    desk.launcher
        .refuse_next(LaunchError::NotFound("cli".to_owned()));
    let feed = desk.give(waited_for(1, "a")).await;
    assert_eq!(code(&ended(&feed).await), FailureCode::CannotStart);
}

#[actix_rt::test]
async fn an_agent_that_cannot_start_turns_is_parked_until_it_is_resumed() {
    let desk = Desk::new();
    for _ in 0..6 {
        desk.launcher
            .refuse_next(LaunchError::NotFound("cli".to_owned()));
    }
    for number in 1..=6 {
        let feed = desk.give(waited_for(number, "a")).await;
        assert_eq!(code(&ended(&feed).await), FailureCode::CannotStart);
    }
    let refused = desk.queue(task(7, "a")).await.unwrap_err();
    assert!(matches!(refused, QueueError::Parked { .. }), "{refused}");
    assert!(
        desk.status()
            .await
            .problem
            .unwrap()
            .contains("`cli` was not found")
    );
    desk.supervisor.try_deliver(SetRunState::Start).unwrap();
    desk.give(task(8, "a")).await;
    desk.turn().await;
}

#[actix_rt::test]
async fn a_stopped_agent_keeps_what_waits_and_goes_on_when_it_is_started() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    desk.turn().await;
    desk.supervisor.try_deliver(SetRunState::Stop).unwrap();
    assert_eq!(desk.status().await.state, AgentState::Stopped);
    let refused = desk.queue(task(2, "a")).await.unwrap_err();
    assert_eq!(refused, QueueError::Stopped(alice()));
    desk.supervisor.try_deliver(SetRunState::Start).unwrap();
    desk.turn().await.ends(done("after all"));
    assert_eq!(text(&ended(&feed).await), "after all");
}

#[actix_rt::test]
async fn what_arrives_ends_the_turn_of_its_session_where_that_is_asked_for() {
    let interrupting = AgentProfile {
        queue_mode: QueueMode::Interrupt,
        ..profile()
    };
    let desk = Desk::of(interrupting);
    let old = desk.give(task(1, "a")).await;
    desk.turn().await;
    desk.give(task(2, "a")).await;
    assert_eq!(ended(&old).await, TaskOutcome::Cancelled);
    let next = desk.turn().await;
    assert!(next.order.prompt.contains("task-2") && !next.order.prompt.contains("task-1"));
}

#[actix_rt::test]
async fn winding_down_waits_for_turns_or_interrupts_them() {
    let desk = Desk::new();
    let feed = desk.give(waited_for(1, "a")).await;
    let background = desk.give(task(2, "b")).await;
    desk.turn().await;
    desk.wind_down(true).await;
    assert_eq!(code(&ended(&feed).await), FailureCode::Interrupted);
    assert_eq!(desk.launcher.running(), 0);
    assert_eq!(
        (background.is_empty(), desk.state(2)),
        (true, TaskState::Queued)
    );
    let refused = desk.queue(task(3, "a")).await.unwrap_err();
    assert_eq!(refused, QueueError::Stopping);
}

#[actix_rt::test]
async fn who_waits_for_a_turn_that_will_not_begin_before_the_end_is_told() {
    let desk = Desk::new();
    desk.give(task(1, "a")).await;
    let running = desk.turn().await;
    let waiting = desk.give(waited_for(2, "a")).await;
    desk.give(task(3, "a")).await;
    let (reply, _at_rest) = oneshot::channel();
    let wind_down = WindDown {
        interrupt: false,
        stop: false,
        reply,
    };
    desk.supervisor.try_deliver(wind_down).unwrap();
    assert_eq!(code(&ended(&waiting).await), FailureCode::Interrupted);
    assert_eq!(desk.state(3), TaskState::Queued);
    running.ends(done("in time"));
    desk.wind_down(false).await;
    assert_eq!(desk.state(1), TaskState::Answered);
}

#[actix_rt::test]
async fn a_removed_agent_tells_everyone_who_waits() {
    let desk = Desk::new();
    let running = desk.give(task(1, "a")).await;
    desk.turn().await;
    let waiting = desk.give(task(2, "a")).await;
    let (reply, retired) = oneshot::channel();
    desk.supervisor.try_deliver(Retire { reply }).unwrap();
    within("its end", retired).await.unwrap();
    assert_eq!(ended(&running).await, TaskOutcome::Cancelled);
    assert_eq!(code(&ended(&waiting).await), FailureCode::AgentRemoved);
}

#[actix_rt::test]
async fn an_end_that_cannot_be_kept_is_told_once_it_is() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    desk.store.set_failure(Some(StoreError::Full));
    turn.ends(done("answer"));
    let heard = tokio::time::timeout(Duration::from_secs(5), feed.event(1)).await;
    assert!(heard.is_err(), "nobody hears of what is not kept");
    desk.store.set_failure(None);
    assert_eq!(text(&ended(&feed).await), "answer");
}
