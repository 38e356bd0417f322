//! Messages between agents: their keys, their lists, their dead letters.

use std::{collections::BTreeSet, ops::Range};

use postroom_actors::{
    domain::{
        agent_message::{Envelope, IdempotencyKey, Priority},
        ids::{AgentId, SessionKey, TurnId},
        party::{Party, PeerName},
        post::{
            AfterAttempt, Attempt, AttemptEnd, Beginning, DeadCode, DeadReason, Direction,
            MessageFilter, MessageRecord, MessageSummary, NewDelivery, Queued, Trouble,
        },
        task::{NewTask, TaskOrigin, TaskOutcome, TaskState},
        turn::{AfterTurn, Failure, FailureCode, TurnEnd, TurnStart, TurnState},
    },
    ports::{
        courier::{DeliveryStore, MessageBook},
        turns::TaskStore,
    },
};

use super::*;

pub(super) fn second(number: u64) -> DateTime<Utc> {
    at(i64::try_from(number).unwrap())
}

pub(super) fn msg(number: u64) -> MessageId {
    id(number, second(number))
}

pub(super) fn turn_id(number: u64) -> TurnId {
    TurnId::new(id(number, second(number)).as_uuid())
}

pub(super) fn manager() -> AgentId {
    AgentId::parse("manager").unwrap()
}

pub(super) fn peer(name: &str) -> Party {
    Party::Peer(PeerName::parse(name).unwrap())
}

/// From the peer `lab` to the agent `manager`.
pub(super) fn envelope(number: u64) -> Envelope {
    Envelope {
        sender: peer("lab"),
        recipient: Party::Agent(manager()),
        kind: "TASK".into(),
        sender_id: None,
        remote_agent: (number % 2 == 1).then(|| AgentId::parse("far-one").unwrap()),
        context_id: (number.is_multiple_of(2)).then(|| ContextId::new("case 7")),
        in_reply_to: (number % 3 == 1).then(|| "as written".into()),
        answers: None,
        turn: None,
        reply_to: (number % 3 == 2).then(|| "https://lab.example/in".into()),
        hops: u32::try_from(number % 5).unwrap(),
        priority: Priority::new(u8::try_from(number % 10).unwrap()).unwrap(),
        expires_at: (number.is_multiple_of(2)).then(|| second(number + 50)),
    }
}

pub(super) fn task_with(number: u64, envelope: Envelope) -> Arc<NewTask> {
    Arc::new(NewTask {
        id: msg(number),
        agent: manager(),
        session: SessionKey::new("msg:lab"),
        origin: TaskOrigin::Message,
        caller: None,
        received_at: second(number),
        body: Bytes::from(format!("{{\"type\":\"TASK\",\"payload\":{number}}}")),
        is_background: true,
        is_streamed: false,
        is_kept: true,
        traceparent: None,
        envelope: Some(Arc::new(envelope)),
        is_handed_over: false,
    })
}

pub(super) fn task(number: u64) -> Arc<NewTask> {
    task_with(number, envelope(number))
}

/// From the agent `manager` to the peer `lab`.
pub(super) fn outgoing(number: u64) -> Envelope {
    Envelope {
        sender: Party::Agent(manager()),
        recipient: peer("lab"),
        kind: "STATUS".into(),
        ..envelope(number)
    }
}

pub(super) fn delivery_with(number: u64, envelope: Envelope, beginning: Beginning) -> NewDelivery {
    NewDelivery {
        id: msg(number),
        envelope: Arc::new(envelope),
        conversation: format!("talk {}", number % 2).into(),
        received_at: second(number),
        body: Bytes::from(format!("{{\"type\":\"STATUS\",\"payload\":{number}}}")),
        traceparent: (number.is_multiple_of(2))
            .then(|| format!("00-{number:032x}-{number:016x}-01")),
        beginning,
    }
}

pub(super) fn delivery(number: u64) -> Arc<NewDelivery> {
    Arc::new(delivery_with(number, outgoing(number), Beginning::Due))
}

pub(super) fn reason() -> DeadReason {
    DeadReason {
        code: DeadCode::Refused,
        message: "the peer said 410".to_owned(),
    }
}

pub(super) fn attempt(number: u64, error: Option<&str>) -> Attempt {
    Attempt {
        number: 0,
        started_at: second(number),
        ended_at: second(number + 1),
        status: error.map(|_error| 503),
        error: error.map(str::to_owned),
    }
}

pub(super) fn attempt_end(number: u64, at: u64, after: AfterAttempt) -> AttemptEnd {
    let error = (after != AfterAttempt::Delivered).then_some("it is busy");
    AttemptEnd {
        id: msg(number),
        attempt: Some(attempt(at, error)),
        after,
        at: second(at + 1),
    }
}

pub(super) async fn begin(store: &SqliteStore, number: u64, task: u64) {
    let start = TurnStart {
        id: turn_id(number),
        agent: manager(),
        session: SessionKey::new("msg:lab"),
        tasks: vec![msg(task)],
        cli_session: None,
        started_at: second(number),
    };
    store.begin_turn(start).await.unwrap();
}

pub(super) async fn end(store: &SqliteStore, number: u64, task: u64, outcome: TaskOutcome) {
    let end = TurnEnd {
        id: turn_id(number),
        state: TurnState::Done,
        exit_code: Some(0),
        signal: None,
        usage: None,
        usage_total: None,
        failure: None,
        transcript: None,
        ended_at: second(number + 1),
        tasks: vec![(msg(task), AfterTurn::Ended(outcome))],
    };
    store.end_turn(end).await.unwrap();
}

pub(super) fn failed() -> TaskOutcome {
    TaskOutcome::Failed(Failure {
        code: FailureCode::OutOfAttempts,
        message: "three times".to_owned(),
    })
}

pub(super) fn key(text: &str, body: u8) -> IdempotencyKey {
    IdempotencyKey {
        sender: peer("lab"),
        key: text.into(),
        digest: [body; 32],
    }
}

async fn state_of(store: &SqliteStore, number: u64) -> TaskState {
    let mut found = store.tasks(vec![msg(number)]).await.unwrap();
    found.remove(0).state
}

async fn callbacks_of_turn(store: &SqliteStore, number: u64) -> u32 {
    let turn = store.turn(turn_id(number)).await.unwrap();
    turn.unwrap().callbacks
}

#[test]
fn a_message_comes_back_with_its_envelope() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in 0..10 {
            let answer = store.queue_task(task(number), None).await.unwrap();
            assert!(matches!(answer, Queued::New(_)));
        }
        for number in 0..10 {
            let kept = store.tasks(vec![msg(number)]).await.unwrap();
            assert_eq!(kept[0].task, task(number));
            let known = store.envelope(msg(number)).await.unwrap();
            assert_eq!(known.as_deref(), Some(&envelope(number)));
        }
        let open = store.open_tasks(manager()).await.unwrap();
        let urgency: Vec<_> = open
            .iter()
            .map(|task| (task.priority, task.expires_at))
            .collect();
        let wanted: Vec<_> = (0..10)
            .map(|number| (envelope(number).priority, envelope(number).expires_at))
            .collect();
        assert_eq!(urgency, wanted);
        assert_eq!(store.envelope(msg(99)).await, Ok(None));
        assert_eq!(store.message(msg(99)).await, Ok(None));
        close(store).await;
    });
}

#[test]
fn what_a_sender_repeats_is_taken_once_across_restarts() {
    run(async {
        let folder = TempDir::new().unwrap();
        let mut store = open(&folder).unwrap();
        let first = store.queue_task(task(1), Some(key("a", 1))).await;
        assert_eq!(first, Ok(Queued::New(Sequence(1))));
        for number in [2, 3] {
            let again = store.queue_task(task(number), Some(key("a", 1))).await;
            assert_eq!(again, Ok(Queued::Duplicate(msg(1))));
            let other = store.queue_task(task(number), Some(key("a", 2))).await;
            assert_eq!(other, Ok(Queued::Conflict(msg(1))));
            // A key holds whichever way the message goes.
            let out = store.queue_delivery(delivery(number), Some(key("a", 1)));
            assert_eq!(out.await, Ok(Queued::Duplicate(msg(1))));
            close(store).await;
            store = open(&folder).unwrap();
        }
        let somebody_else = IdempotencyKey {
            sender: peer("bureau"),
            ..key("a", 2)
        };
        let theirs = store.queue_task(task(4), Some(somebody_else)).await;
        assert_eq!(theirs, Ok(Queued::New(Sequence(2))));

        let find = |sender| store.by_sender_id(sender, "a".into());
        assert_eq!(find(peer("lab")).await, Ok(Some(msg(1))));
        assert_eq!(find(peer("bureau")).await, Ok(Some(msg(4))));
        assert_eq!(find(Party::Anyone).await, Ok(None));
        let kept = store.envelope(msg(1)).await.unwrap().unwrap();
        assert_eq!(kept.sender_id.as_deref(), Some("a"));
        close(store).await;
    });
}

#[test]
fn of_200_repeats_at_once_one_is_taken() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let calls: Vec<_> = (0..200)
            .map(|number| store.queue_task(task(number), Some(key("same", 1))))
            .collect();
        let mut answers = join_all(calls).await.into_iter().map(Result::unwrap);
        assert_eq!(answers.next(), Some(Queued::New(Sequence(1))));
        assert!(answers.all(|answer| answer == Queued::Duplicate(msg(0))));
        assert_eq!(store.open_tasks(manager()).await.unwrap().len(), 1);
        close(store).await;
    });
}

#[test]
fn a_message_that_is_handed_over_again_is_a_duplicate() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        store.queue_task(task(1), None).await.unwrap();
        let again = store.queue_task(task(1), None).await;
        assert_eq!(again, Ok(Queued::Duplicate(msg(1))));
        store.queue_delivery(delivery(2), None).await.unwrap();
        let again = store.queue_delivery(delivery(2), None).await;
        assert_eq!(again, Ok(Queued::Duplicate(msg(2))));
        close(store).await;
    });
}

#[test]
fn a_callback_counts_once_however_it_travels() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        store.queue_task(task(1), None).await.unwrap();
        begin(&store, 2, 1).await;
        let sent_in_turn = |number| Envelope {
            turn: Some(turn_id(2)),
            recipient: Party::Agent(manager()),
            ..outgoing(number)
        };
        let waits = Arc::new(delivery_with(3, sent_in_turn(3), Beginning::Due));
        for _ in 0..2 {
            let kept = store.queue_delivery(Arc::clone(&waits), Some(key("k", 1)));
            kept.await.unwrap();
        }
        assert_eq!(callbacks_of_turn(&store, 2).await, 1, "once for a repeat");
        // The agent takes it now: the same message, under the same key, becomes a task.
        let taken = store.queue_task(task_with(3, sent_in_turn(3)), Some(key("k", 1)));
        assert_eq!(taken.await, Ok(Queued::New(Sequence(2))));
        assert_eq!(callbacks_of_turn(&store, 2).await, 1, "once on its way");
        store
            .queue_task(task_with(4, sent_in_turn(4)), None)
            .await
            .unwrap();
        assert_eq!(callbacks_of_turn(&store, 2).await, 2);

        let both = store.message(msg(3)).await.unwrap().unwrap();
        assert!(matches!(both, MessageRecord::Task(_)));
        let listed = list(&store, MessageFilter::default()).await;
        assert_eq!(listed, [4, 3, 1], "it is one message");
        close(store).await;
    });
}

#[test]
fn a_failed_message_is_a_dead_letter_until_it_is_revived_or_dropped() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in [1, 2, 3] {
            store.queue_task(task(number), None).await.unwrap();
            begin(&store, 10 + number, number).await;
        }
        store.queue_task(tasks::task(4), None).await.unwrap();
        for number in [1, 2] {
            assert_eq!(
                store.revive_task(msg(number)).await,
                Ok(false),
                "it is open"
            );
            end(&store, 10 + number, number, failed()).await;
        }
        end(&store, 13, 3, TaskOutcome::Done).await;
        store
            .end_task(tasks::task_id(4), failed(), at(20))
            .await
            .unwrap();
        assert_eq!(store.dead_letters().await, Ok(2), "a chat is none");

        assert_eq!(store.revive_task(msg(2)).await, Ok(true));
        let open = store.open_tasks(manager()).await.unwrap();
        assert_eq!((open[0].id, open[0].attempts), (msg(2), 0));
        assert_eq!((open[0].expires_at, open[0].interrupted_turn), (None, None));
        let kept = store.tasks(vec![msg(2)]).await.unwrap();
        assert_eq!((&kept[0].failure, kept[0].ended_at), (&None, None));

        assert_eq!(store.drop_dead_letter(msg(1)).await, Ok(true));
        assert_eq!(store.drop_dead_letter(msg(1)).await, Ok(false));
        assert_eq!(store.revive_task(msg(1)).await, Ok(false));
        assert_eq!(state_of(&store, 1).await, TaskState::Failed);
        assert_eq!(store.drop_dead_letter(msg(3)).await, Ok(false));
        assert_eq!(store.drop_dead_letter(tasks::task_id(4)).await, Ok(false));
        assert_eq!(store.dead_letters().await, Ok(0));
        let turns = store.turns_of_message(msg(2)).await.unwrap();
        assert_eq!(
            turns.iter().map(|turn| turn.id).collect::<Vec<_>>(),
            [turn_id(12)]
        );
        close(store).await;
    });
}

async fn list(store: &SqliteStore, filter: MessageFilter) -> Vec<u64> {
    let filter = MessageFilter {
        limit: if filter.limit == 0 { 50 } else { filter.limit },
        ..filter
    };
    let found = store.messages(filter).await.unwrap();
    found.iter().map(number_of).collect()
}

fn number_of(summary: &MessageSummary) -> u64 {
    let (_millis, number) = summary.id.as_uuid().as_u64_pair();
    number & 0xffff
}

/// 1: done and answered by 5. 2: waits. 3: failed. 4: done. 5: to the peer, delivered. 6: to the
/// peer, dead. 7: for a key, held. 8: a chat. 9: for an agent that does not take it now.
async fn a_full_book(store: &SqliteStore) {
    for number in [1, 2, 3, 4] {
        store.queue_task(task(number), None).await.unwrap();
    }
    for (number, outcome) in [
        (1, TaskOutcome::Done),
        (3, failed()),
        (4, TaskOutcome::Done),
    ] {
        store.end_task(msg(number), outcome, at(30)).await.unwrap();
    }
    let answer = Envelope {
        answers: Some(msg(1)),
        ..outgoing(5)
    };
    let elsewhere = Envelope {
        answers: Some(msg(4)),
        recipient: peer("bureau"),
        ..outgoing(6)
    };
    let held = Envelope {
        recipient: Party::Key("ops".into()),
        ..outgoing(7)
    };
    let later = Envelope {
        recipient: Party::Agent(manager()),
        sender: Party::Key("ops".into()),
        ..outgoing(9)
    };
    for (number, envelope, beginning) in [
        (5, answer, Beginning::Due),
        (6, elsewhere, Beginning::Dead(reason())),
        (7, held, Beginning::Held),
        (9, later, Beginning::Due),
    ] {
        let delivery = delivery_with(number, envelope, beginning);
        store
            .queue_delivery(Arc::new(delivery), None)
            .await
            .unwrap();
    }
    let delivered = attempt_end(5, 31, AfterAttempt::Delivered);
    assert_eq!(store.end_attempt(delivered).await, Ok(true));
    store.queue_task(tasks::task(8), None).await.unwrap();
}

/// A filter, and the numbers of the messages that it lets through.
type WantedList = (fn(&mut MessageFilter), &'static [u64]);

async fn lists_are(store: &SqliteStore, lists: &[WantedList]) {
    for (set, wanted) in lists {
        let mut filter = MessageFilter::default();
        set(&mut filter);
        assert_eq!(list(store, filter.clone()).await, *wanted, "{filter:?}");
    }
}

fn ops() -> Party {
    Party::Key("ops".into())
}

#[test]
fn messages_are_listed_newest_first_by_whom_and_which_way() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        a_full_book(&store).await;
        let lists: &[WantedList] = &[
            (|_| {}, &[9, 7, 6, 5, 4, 3, 2, 1]),
            (|f| f.all_origins = true, &[9, 8, 7, 6, 5, 4, 3, 2, 1]),
            (|f| f.limit = 3, &[9, 7, 6]),
            (|f| f.before = Some(msg(6)), &[5, 4, 3, 2, 1]),
            (|f| f.sender = Some(peer("lab")), &[4, 3, 2, 1]),
            (|f| f.recipient = Some(peer("lab")), &[5]),
            (|f| f.party = Some(peer("lab")), &[5, 4, 3, 2, 1]),
            (|f| f.party = Some(ops()), &[9, 7]),
            (|f| f.direction = Some(Direction::In), &[9, 4, 3, 2, 1]),
            (|f| f.direction = Some(Direction::Out), &[7, 6, 5]),
            (|f| f.context_id = Some("case 7".to_owned()), &[6, 4, 2]),
        ];
        lists_are(&store, lists).await;
        let to_manager = MessageFilter {
            recipient: Some(Party::Agent(manager())),
            all_origins: true,
            ..MessageFilter::default()
        };
        assert_eq!(list(&store, to_manager).await, [9, 8, 4, 3, 2, 1]);
        close(store).await;
    });
}

#[test]
fn messages_are_listed_newest_first_by_where_they_stand() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        a_full_book(&store).await;
        let states: [(&str, &[u64]); 9] = [
            ("waiting", &[9]),
            ("held", &[7]),
            ("dead", &[6]),
            ("queued", &[2]),
            ("failed", &[3]),
            ("delivered", &[5]),
            ("done", &[4]),
            ("answered", &[1]),
            ("unheard-of", &[]),
        ];
        for (state, wanted) in states {
            let filter = MessageFilter {
                state: Some(state.to_owned()),
                ..MessageFilter::default()
            };
            assert_eq!(list(&store, filter.clone()).await, wanted, "{state}");
            let sender = Some(peer("bureau"));
            let of_nobody = MessageFilter { sender, ..filter };
            assert!(list(&store, of_nobody).await.is_empty(), "{state}");
        }
        let dead = MessageFilter {
            dead: true,
            all_origins: true,
            ..MessageFilter::default()
        };
        assert_eq!(list(&store, dead.clone()).await, [6, 3]);
        let recipient = Some(peer("bureau"));
        assert_eq!(list(&store, MessageFilter { recipient, ..dead }).await, [6]);
        let done = MessageFilter {
            state: Some("done".to_owned()),
            party: Some(peer("lab")),
            ..MessageFilter::default()
        };
        assert_eq!(list(&store, done).await, [4]);
        close(store).await;
    });
}

#[test]
fn a_line_of_the_list_says_what_became_of_a_message() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        a_full_book(&store).await;
        let filter = MessageFilter {
            limit: 50,
            all_origins: true,
            ..MessageFilter::default()
        };
        let lines = store.messages(filter).await.unwrap();
        let line = |number| lines.iter().find(|line| number_of(line) == number).unwrap();
        assert_eq!((line(1).state, line(1).callbacks), ("answered", 1));
        assert_eq!(
            (line(4).state, line(4).callbacks),
            ("done", 1),
            "sent elsewhere"
        );
        assert_eq!(line(1).agent, Some(manager()));
        assert_eq!(line(1).envelope.as_deref(), Some(&envelope(1)));
        assert!(matches!(line(3).trouble, Some(Trouble::Turn(_))));
        assert_eq!(line(6).trouble, Some(Trouble::Delivery(reason())));
        assert_eq!(line(6).ended_at, Some(at(6)));
        assert_eq!(line(8).envelope, None);
        assert_eq!(line(9).due, Some(at(9)));
        assert_eq!(
            (line(5).state, line(5).direction),
            ("delivered", Direction::Out)
        );

        let back = store.callbacks(msg(1)).await.unwrap();
        assert_eq!(back, [line(5).clone()]);
        assert_eq!(store.callbacks(msg(2)).await, Ok(Vec::new()));
        let kept = store.message(msg(1)).await.unwrap();
        let Some(MessageRecord::Task(kept)) = kept else {
            panic!("{kept:?}");
        };
        assert_eq!(kept.state, TaskState::Done, "the record is as it was kept");
        close(store).await;
    });
}

/// All numbers, page by page.
async fn paged(store: &SqliteStore, numbers: Range<u64>, filter: MessageFilter) {
    let mut seen = BTreeSet::new();
    let mut before = None;
    loop {
        let page = MessageFilter {
            before,
            limit: 7,
            ..filter.clone()
        };
        let page = store.messages(page).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        for line in &page {
            assert!(seen.insert(number_of(line)), "seen twice");
        }
    }
    assert_eq!(seen, numbers.collect());
}

#[test]
fn pages_hold_each_message_once() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        let calls: Vec<_> = (0..60)
            .map(|number| match number % 2 {
                0 => store.queue_task(task(number), None),
                _ => store.queue_delivery(delivery(number), None),
            })
            .collect();
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        paged(&store, 0..60, MessageFilter::default()).await;
        let filter = MessageFilter {
            party: Some(peer("lab")),
            ..MessageFilter::default()
        };
        paged(&store, 0..60, filter).await;
        close(store).await;
    });
}

#[test]
fn what_the_turns_of_a_message_sent_elsewhere_is_found_with_it() {
    run(async {
        let folder = TempDir::new().unwrap();
        let store = open(&folder).unwrap();
        for number in [1, 2] {
            store.queue_task(task(number), None).await.unwrap();
        }
        begin(&store, 3, 1).await;
        let asks = Envelope {
            turn: Some(turn_id(3)),
            answers: None,
            ..outgoing(4)
        };
        let answers_another = Envelope {
            answers: Some(msg(2)),
            ..asks.clone()
        };
        for (number, envelope) in [(4, asks), (5, answers_another)] {
            let sent = Arc::new(delivery_with(number, envelope, Beginning::Due));
            store.queue_delivery(sent, None).await.unwrap();
        }
        let found = async |number| {
            let callbacks = store.callbacks(msg(number)).await.unwrap();
            callbacks.iter().map(number_of).collect::<Vec<_>>()
        };
        assert_eq!((found(1).await, found(2).await), (vec![4], vec![5]));
        close(store).await;
    });
}
