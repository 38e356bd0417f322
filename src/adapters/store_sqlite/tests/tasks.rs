use postroom_actors::{
    domain::{
        agent_message::Envelope,
        ids::{AgentId, SessionKey, TurnId},
        post::Queued,
        task::{Answer, NewTask, TaskOrigin, TaskOutcome, TaskRecord, TaskState},
        turn::{AfterTurn, Failure, FailureCode, TurnEnd, TurnStart, TurnState, Usage},
    },
    ports::{courier::MessageBook, turns::TaskStore},
    testing::MemoryTasks,
};
use proptest::{collection::vec, prelude::*, test_runner::Config};

use super::*;

const AGENTS: [&str; 2] = ["manager", "scribe"];

pub(super) fn agent(number: u64) -> AgentId {
    AgentId::parse(AGENTS[usize::try_from(number % 2).unwrap()]).unwrap()
}

fn session(number: u64) -> SessionKey {
    SessionKey::new(format!("chat:{}", number % 3))
}

pub(super) fn task_id(number: u64) -> MessageId {
    id(number, second(number))
}

fn turn_id(number: u64) -> TurnId {
    TurnId::new(id(number, second(number)).as_uuid())
}

fn second(number: u64) -> DateTime<Utc> {
    at(i64::try_from(number).unwrap())
}

pub(super) fn task(number: u64) -> Arc<NewTask> {
    let origins = [TaskOrigin::Chat, TaskOrigin::Response, TaskOrigin::Message];
    Arc::new(NewTask {
        id: task_id(number),
        agent: agent(number),
        session: session(number),
        origin: origins[usize::try_from(number % 3).unwrap()],
        caller: (number.is_multiple_of(2)).then(|| "a key".into()),
        received_at: second(number),
        body: Bytes::from(format!("{{\"task\":{number}}}")),
        is_background: number % 2 == 1,
        is_streamed: number % 4 == 1,
        is_kept: number % 4 != 2,
        traceparent: (number % 3 == 1).then(|| format!("00-{number:032x}-{number:016x}-01")),
        envelope: None,
        is_handed_over: false,
    })
}

fn start(number: u64, tasks: &[u64]) -> TurnStart {
    TurnStart {
        id: turn_id(number),
        agent: agent(number),
        session: session(number),
        tasks: tasks.iter().copied().map(task_id).collect(),
        cli_session: (number % 2 == 1).then(|| format!("chosen {number}")),
        started_at: second(number),
    }
}

fn usage(number: u64) -> Usage {
    Usage {
        input_tokens: number,
        cached_input_tokens: 1,
        output_tokens: 2,
        reasoning_tokens: 0,
        cost_microdollars: (number.is_multiple_of(2)).then_some(number),
    }
}

fn failure(text: &str) -> Failure {
    Failure {
        code: FailureCode::OutOfAttempts,
        message: text.to_owned(),
    }
}

fn outcome(number: u64) -> TaskOutcome {
    match number % 4 {
        0 => TaskOutcome::Answered(Answer {
            text: "Grüße".into(),
            pieces: vec![2, 5],
            usage: Some(usage(number)),
        }),
        1 => TaskOutcome::Done,
        2 => TaskOutcome::Failed(failure("three times")),
        _ => TaskOutcome::Cancelled,
    }
}

fn end(number: u64, tasks: Vec<(MessageId, AfterTurn)>) -> TurnEnd {
    let states = [TurnState::Done, TurnState::Failed, TurnState::TimedOut];
    TurnEnd {
        id: turn_id(number),
        state: states[usize::try_from(number % 3).unwrap()],
        exit_code: (number.is_multiple_of(2)).then_some(-1),
        signal: (number % 2 == 1).then_some(9),
        usage: Some(usage(number)),
        usage_total: (number.is_multiple_of(2)).then(|| usage(100 + number)),
        failure: (number % 3 == 1).then(|| failure("it fell")),
        transcript: (number % 2 == 1).then(|| format!("logs/{number}.log").into()),
        ended_at: second(number + 1),
        tasks,
    }
}

pub(super) async fn queue(store: &dyn TaskStore, numbers: &[u64]) {
    for number in numbers {
        store.queue_task(task(*number), None).await.unwrap();
    }
}

async fn one(store: &dyn TaskStore, number: u64) -> TaskRecord {
    let mut found = store.tasks(vec![task_id(number)]).await.unwrap();
    found.remove(0)
}

#[derive(Debug, Clone)]
enum Step {
    Queue(u64),
    Begin(u64, Vec<u64>),
    Note(u64),
    EndTurn(u64, Vec<(u64, u64)>),
    EndTask(u64, u64),
    Forget(u64),
    /// A message, the name its sender gave it, and what it says.
    QueueOnce(u64, u8, u8),
    Revive(u64),
    /// Without closing, as after a kill.
    Reopen,
}

fn steps() -> impl Strategy<Value = Step> {
    let numbers = || vec(0..12u64, 1..4);
    let ends = vec((0..12u64, 0..8u64), 0..4);
    prop_oneof![
        6 => (0..12u64).prop_map(Step::Queue),
        4 => (0..8u64, numbers()).prop_map(|(turn, tasks)| Step::Begin(turn, tasks)),
        2 => (0..8u64).prop_map(Step::Note),
        4 => (0..8u64, ends).prop_map(|(turn, tasks)| Step::EndTurn(turn, tasks)),
        2 => (0..12u64, 0..4u64).prop_map(|(task, how)| Step::EndTask(task, how)),
        1 => (0..12u64).prop_map(Step::Forget),
        3 => (0..12u64, 0..4u8, 0..2u8).prop_map(|(task, key, says)| Step::QueueOnce(task, key, says)),
        2 => (0..12u64).prop_map(Step::Revive),
        1 => Just(Step::Reopen),
    ]
}

fn after(how: u64) -> AfterTurn {
    match how {
        0..4 => AfterTurn::Ended(outcome(how)),
        _ => AfterTurn::Again {
            not_before: (how.is_multiple_of(2)).then(|| second(how)),
            counts: how < 6,
        },
    }
}

/// What a change answered, so that two stores can be compared.
async fn carry_out(step: &Step, store: &dyn TaskStore) -> String {
    match step.clone() {
        Step::Queue(number) => format!("{:?}", store.queue_task(task(number), None).await),
        Step::Begin(turn, tasks) => {
            let mut tasks = tasks;
            tasks.sort_unstable();
            tasks.dedup();
            format!("{:?}", store.begin_turn(start(turn, &tasks)).await)
        }
        Step::Note(turn) => {
            let noted = store.note_cli_session(turn_id(turn), format!("told {turn}"));
            format!("{:?}", noted.await)
        }
        Step::EndTurn(turn, tasks) => {
            let tasks = tasks.into_iter().map(|(n, how)| (task_id(n), after(how)));
            format!("{:?}", store.end_turn(end(turn, tasks.collect())).await)
        }
        Step::EndTask(task, how) => {
            let ended = store.end_task(task_id(task), outcome(how), second(how));
            format!("{:?}", ended.await)
        }
        Step::Forget(task) => format!("{:?}", store.forget_task(task_id(task)).await),
        Step::QueueOnce(number, key, says) => {
            let name = format!("name {key}");
            let envelope = Envelope {
                sender_id: Some(name.as_str().into()),
                expires_at: None,
                ..messages::envelope(number)
            };
            let queued = store.queue_task(
                messages::task_with(number, envelope),
                Some(messages::key(&name, says)),
            );
            format!("{:?}", queued.await)
        }
        Step::Revive(number) => format!("{:?}", store.revive_task(task_id(number)).await),
        Step::Reopen => String::new(),
    }
}

/// All that can be read.
async fn everything(store: &dyn TaskStore) -> Vec<String> {
    let mut all = vec![
        format!(
            "{:?}",
            store.tasks((0..12).rev().map(task_id).collect()).await
        ),
        format!("{:?}", store.unfinished_turns(None).await),
    ];
    for number in 0..2 {
        let newest = store.turns_of(agent(number), None, 3).await;
        let older = store.turns_of(agent(number), Some(turn_id(4)), 9).await;
        let unfinished = store.unfinished_turns(Some(agent(number))).await;
        let open = store.open_tasks(agent(number)).await;
        all.push(format!("{newest:?} {older:?} {unfinished:?} {open:?}"));
        for key in 0..3 {
            all.push(format!(
                "{:?}",
                store.session(agent(number), session(key)).await
            ));
        }
    }
    for number in 0..8 {
        all.push(format!("{:?}", store.turn(turn_id(number)).await));
    }
    all
}

/// Opens the store again after it was dropped without being closed.
async fn reopen_after_drop(folder: &TempDir, store: SqliteStore) -> SqliteStore {
    let (writes, reads) = (store.queue.ended(), store.queries.ended());
    drop(store);
    writes.await;
    reads.await;
    open(folder).unwrap()
}

proptest! {
    #![proptest_config(Config { cases: 32, failure_persistence: None, ..Config::default() })]
    #[test]
    fn tasks_and_turns_on_disk_are_as_in_memory(steps in vec(steps(), 1..60)) {
        run(async {
            let folder = TempDir::new().unwrap();
            let mut store = open(&folder).unwrap();
            let memory = MemoryTasks::default();
            for step in &steps {
                if matches!(step, Step::Reopen) {
                    store = reopen_after_drop(&folder, store).await;
                }
                assert_eq!(carry_out(step, &store).await, carry_out(step, &memory).await);
            }
            assert_eq!(everything(&store).await, everything(&memory).await);
            close(store).await;
        });
    }
}

async fn a_task_goes_its_way(store: &dyn TaskStore) {
    queue(store, &[0, 2, 4]).await;
    store.begin_turn(start(6, &[0, 2])).await.unwrap();
    let open = store.open_tasks(agent(0)).await.unwrap();
    let turns: Vec<_> = open.iter().map(|task| task.interrupted_turn).collect();
    assert_eq!(turns, [Some(turn_id(6)), Some(turn_id(6)), None]);

    // One is answered by other means while the turn runs: the turn's end leaves it alone.
    let answered = store.end_task(task_id(0), outcome(0), at(7)).await;
    assert_eq!(answered, Ok(true));
    let again = AfterTurn::Again {
        not_before: Some(at(60)),
        counts: false,
    };
    let ends = vec![
        (task_id(0), AfterTurn::Ended(outcome(2))),
        (task_id(2), again),
    ];
    for _ in 0..2 {
        store.end_turn(end(6, ends.clone())).await.unwrap();
    }
    let first = one(store, 0).await;
    assert_eq!((first.state, first.attempts), (TaskState::Answered, 1));
    assert_eq!(first.answer.unwrap().pieces, [2, 5]);
    assert_eq!(
        (first.started_at, first.ended_at),
        (Some(at(6)), Some(at(7)))
    );
    let second = one(store, 2).await;
    assert_eq!((second.state, second.attempts), (TaskState::Queued, 0));
    let open = store.open_tasks(agent(0)).await.unwrap();
    assert_eq!(open[0].not_before, Some(at(60)));
    let kept = store.session(agent(6), session(6)).await.unwrap();
    assert_eq!(
        (kept.turns, kept.usage_total),
        (1, Some(usage(106))),
        "it ended once"
    );
    assert_eq!(store.forget_task(task_id(0)).await, Ok(true));
    assert_eq!(store.forget_task(task_id(0)).await, Ok(false));
    assert_eq!(store.tasks(vec![task_id(0)]).await, Ok(Vec::new()));
}

#[test]
fn a_task_goes_its_way_on_disk() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        a_task_goes_its_way(&store).await;
        close(store).await;
    });
}

#[test]
fn a_task_goes_its_way_in_memory() {
    run(a_task_goes_its_way(&MemoryTasks::default()));
}

#[test]
fn a_store_in_memory_fails_when_it_is_told_to() {
    run(async {
        let store = MemoryTasks::default();
        store.refuse_next(1);
        assert_eq!(store.queue_task(task(1), None).await, Err(StoreError::Full));
        queue(&store, &[1]).await;
        store.set_failure(Some(StoreError::Busy));
        assert_eq!(store.forget_task(task_id(1)).await, Err(StoreError::Busy));
        assert_eq!(store.all_tasks().len(), 1);
    });
}

#[test]
fn a_store_of_the_first_schema_is_brought_up_to_date() {
    run(async {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let path = folder.path().join("store/postroom.db");
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch(include_str!("../schema_1.sql")).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.execute(
            "INSERT INTO message (seq, id, received_ms, form) VALUES (41, ?1, ?2, 'whole')",
            rusqlite::params![message(3).id.as_uuid().as_bytes(), at(3).timestamp_millis()],
        )
        .unwrap();
        drop(old);

        let store = open(&folder).unwrap();
        let kept = store.load(vec![Sequence(41)]).await.unwrap();
        assert_eq!(kept[0].1.id, message(3).id);
        assert_eq!(accept(&store, 4).await, Ok(Sequence(42)));
        queue(&store, &[1]).await;
        let store = reopen_after_drop(&folder, store).await;
        assert_eq!(one(&store, 1).await.task, task(1));
        close(store).await;
        let now = rusqlite::Connection::open(&path).unwrap();
        let version = now.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        assert_eq!(version, Ok(4));
    });
}

#[test]
fn pruning_takes_what_has_ended_and_never_frees_a_sequence() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        queue(&store, &[0, 1, 2, 3]).await;
        // Turn 4 ends task 0; turn 5 leaves task 1 waiting; turn 6 runs.
        store.begin_turn(start(4, &[0])).await.unwrap();
        store.begin_turn(start(5, &[1])).await.unwrap();
        store.begin_turn(start(6, &[2])).await.unwrap();
        let again = AfterTurn::Again {
            not_before: None,
            counts: true,
        };
        let ended = vec![(task_id(0), AfterTurn::Ended(outcome(1)))];
        store.end_turn(end(4, ended)).await.unwrap();
        store
            .end_turn(end(5, vec![(task_id(1), again)]))
            .await
            .unwrap();
        store
            .end_task(task_id(3), outcome(3), at(90))
            .await
            .unwrap();

        assert_eq!(store.prune(at(50), 1).await, Ok(1), "task 0");
        assert_eq!(
            store.prune(at(50), 9).await,
            Ok(3),
            "turn 4, and both sessions"
        );
        assert_eq!(store.prune(at(50), 9).await, Ok(0));
        let left = store.tasks((0..4).map(task_id).collect()).await.unwrap();
        let left: Vec<_> = left.into_iter().map(|task| task.sequence).collect();
        assert_eq!(left, [2, 3, 4].map(Sequence), "open, or too young");
        let turns = [4, 5, 6].map(|number| store.turn(turn_id(number)));
        let turns: Vec<_> = join_all(turns)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let is_there: Vec<_> = turns.iter().map(Option::is_some).collect();
        assert_eq!(is_there, [false, true, true]);

        assert_eq!(
            store.prune(at(91), 9).await,
            Ok(1),
            "task 3, the last of all"
        );
        let store = reopen_after_drop(&folder, store).await;
        assert_eq!(
            store.queue_task(task(9), None).await,
            Ok(Queued::New(Sequence(5)))
        );
        close(store).await;
    });
}

#[test]
fn a_session_is_kept_while_a_task_of_it_is_open() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        queue(&store, &[0, 1]).await;
        for number in [0, 1] {
            store.begin_turn(start(number, &[number])).await.unwrap();
            store
                .note_cli_session(turn_id(number), "told".to_owned())
                .await
                .unwrap();
        }
        store.end_task(task_id(1), outcome(1), at(2)).await.unwrap();
        store.prune(at(50), 9).await.unwrap();
        let kept = store.session(agent(0), session(0)).await.unwrap();
        assert_eq!(kept.cli_session.as_deref(), Some("told"));
        let gone = store.session(agent(1), session(1)).await.unwrap();
        assert_eq!(gone.cli_session, None);
        close(store).await;
    });
}

#[test]
fn tasks_and_turns_that_were_never_acknowledged_do_not_come_to_life() {
    let folder = TempDir::new().unwrap();
    let _guard = alone();
    let everything_before = run_unguarded(async {
        let store = open(&folder).unwrap();
        queue(&store, &[0, 1, 2]).await;
        store.begin_turn(start(3, &[0])).await.unwrap();
        let again = AfterTurn::Again {
            not_before: None,
            counts: true,
        };
        store
            .end_turn(end(3, vec![(task_id(0), again)]))
            .await
            .unwrap();
        let before = everything(&store).await;
        close(store).await;
        before
    });
    let path = folder.path().join("store/postroom.db");
    let ledger = super::super::changes::Ledger::read(&rusqlite::Connection::open(&path).unwrap());
    run_unguarded(async {
        let store = open(&folder).unwrap();
        queue(&store, &[3, 4]).await;
        store.begin_turn(start(4, &[0, 1, 4])).await.unwrap();
        store.begin_turn(start(5, &[2])).await.unwrap();
        store.end_task(task_id(2), outcome(0), at(6)).await.unwrap();
        assert_ne!(everything(&store).await, everything_before);
        close(store).await;
    });
    let connection = rusqlite::Connection::open(&path).unwrap();
    super::super::changes::undo_unacknowledged(&connection, &ledger.unwrap()).unwrap();
    drop(connection);
    run_unguarded(async {
        let store = open(&folder).unwrap();
        assert_eq!(everything(&store).await, everything_before);
        queue(&store, &[4]).await;
        assert_eq!(one(&store, 4).await.sequence, Sequence(4));
        close(store).await;
    });
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    run(async {
        let (folder, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let store = open(&folder).unwrap();
        queue(&store, &[0, 2]).await;
        store.begin_turn(start(4, &[0, 2])).await.unwrap();
        store
            .note_cli_session(turn_id(4), "told".to_owned())
            .await
            .unwrap();
        store.end_task(task_id(0), outcome(0), at(5)).await.unwrap();
        // The files as a process leaves them that is killed now: the database first, because what
        // the log says may move there at any time, and stays in the log.
        std::fs::create_dir(copy.path().join("store")).unwrap();
        for file in ["store/postroom.db", "store/postroom.db-wal"] {
            std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
        }
        let before = everything(&store).await;
        close(store).await;

        let store = open(&copy).unwrap();
        assert_eq!(everything(&store).await, before);
        let unfinished = store.unfinished_turns(None).await.unwrap();
        assert_eq!(unfinished[0].cli_session.as_deref(), Some("told"));
        let open = store.open_tasks(agent(0)).await.unwrap();
        assert_eq!(open[0].interrupted_turn, Some(turn_id(4)));
        close(store).await;
    });
}

#[test]
fn background_responses_of_keys_are_found_in_the_order_of_their_ends() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let asked = |number: u64, is_background: bool, caller: Option<&str>| {
            Arc::new(NewTask {
                origin: TaskOrigin::Response,
                is_background,
                caller: caller.map(Arc::from),
                ..(*task(number)).clone()
            })
        };
        for (number, is_background, caller) in [
            (1, true, Some("app")),
            (2, false, Some("app")),
            (3, true, None),
            (4, true, Some("app")),
            (5, true, Some("ops")),
            (6, true, Some("app")),
        ] {
            let task = asked(number, is_background, caller);
            store.queue_task(task, None).await.unwrap();
        }
        // The last one goes on.
        for (number, second) in [(1, 30), (2, 31), (3, 32), (4, 20), (5, 30)] {
            let ended = store.end_task(task_id(number), TaskOutcome::Done, at(second));
            assert_eq!(ended.await, Ok(true));
        }
        let found = async |second, after, limit| {
            let found = store
                .ended_responses(at(second), after, limit)
                .await
                .unwrap();
            found
                .into_iter()
                .map(|response| response.id)
                .collect::<Vec<_>>()
        };
        let (one, four, five) = (task_id(1), task_id(4), task_id(5));
        assert_eq!(found(0, None, 9).await, [four, one, five]);
        assert_eq!(found(0, None, 1).await, [four]);
        assert_eq!(found(20, Some(four), 9).await, [one, five]);
        assert_eq!(
            found(30, Some(one), 9).await,
            [five],
            "of one moment, by id"
        );
        assert_eq!(found(31, None, 9).await, []);
        close(store).await;
    });
}
