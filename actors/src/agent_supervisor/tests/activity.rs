//! What operators who watch are told, and how long a turn is silent.

use super::*;
use crate::{
    activity::{Seen, Since, WatchOrder, Watcher},
    domain::activity::Step,
};

fn watch(desk: &Desk) -> Watcher {
    let order = WatchOrder {
        since: Since::Last(0),
        agent: Some(alice()),
    };
    desk.parts.shared.activity.watch(order).unwrap()
}

/// All that is told up to the first fact of this kind, and that one.
async fn until(watcher: &mut Watcher, kind: &str) -> Vec<Fact> {
    let mut facts = Vec::new();
    loop {
        let Some(Seen::Event(event)) = within(kind, watcher.next()).await else {
            panic!("no `{kind}` after {facts:?}");
        };
        facts.push(event.fact.clone());
        if event.fact.kind() == kind {
            return facts;
        }
    }
}

fn kinds(facts: &[Fact]) -> Vec<&str> {
    facts.iter().map(Fact::kind).collect()
}

#[actix_rt::test]
async fn a_task_its_turn_and_their_ends_are_told_in_their_order() {
    let desk = Desk::new();
    let mut watcher = watch(&desk);
    desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    turn.does(TurnEvent::Started { pid: 7 });
    turn.does(TurnEvent::Said("Let me ".into()));
    turn.does(TurnEvent::Said("see.".into()));
    turn.does(TurnEvent::Tool("Bash".into()));
    turn.ends(done("answer"));
    let facts = until(&mut watcher, "task_ended").await;
    let steps = ["turn_step"; 3];
    let expected = [
        &["task_queued", "turn_began"][..],
        &steps,
        &["turn_ended", "task_ended"],
    ]
    .concat();
    assert_eq!(kinds(&facts), expected, "{facts:?}");
    let said = facts.iter().any(|fact| {
        matches!(
            fact,
            Fact::TurnStep {
                step: Step::Said { characters: 11 },
                ..
            }
        )
    });
    assert!(said, "{facts:?}");
    let Some(Fact::TurnEnded { state, failure, .. }) = facts.get(5) else {
        panic!("{facts:?}");
    };
    assert_eq!((*state, failure), (TurnState::Done, &None));
}

#[actix_rt::test]
async fn an_end_is_told_only_once_it_is_kept() {
    let desk = Desk::new();
    let mut watcher = watch(&desk);
    desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    until(&mut watcher, "turn_began").await;
    desk.store.set_failure(Some(StoreError::Full));
    turn.ends(done("answer"));
    let early = tokio::time::timeout(Duration::from_secs(10), async {
        until(&mut watcher, "turn_ended").await
    });
    assert!(early.await.is_err(), "told before it was kept");
    desk.store.set_failure(None);
    until(&mut watcher, "turn_ended").await;
}

#[actix_rt::test]
async fn a_task_that_is_not_kept_is_not_told() {
    let desk = Desk::new();
    let mut watcher = watch(&desk);
    desk.status().await;
    desk.store.set_failure(Some(StoreError::Full));
    desk.queue(task(1, "a")).await.unwrap_err();
    desk.store.set_failure(None);
    desk.give(task(2, "a")).await;
    let facts = until(&mut watcher, "task_queued").await;
    assert!(
        matches!(facts[..], [Fact::TaskQueued { message, .. }] if message == id(2)),
        "{facts:?}"
    );
}

#[actix_rt::test]
async fn stopping_starting_parking_and_resuming_are_told_once_each() {
    let desk = Desk::new();
    let mut watcher = watch(&desk);
    for state in [SetRunState::Start, SetRunState::Stop, SetRunState::Start] {
        desk.supervisor.try_deliver(state).unwrap();
    }
    let facts = until(&mut watcher, "agent_started").await;
    assert_eq!(kinds(&facts), ["agent_stopped", "agent_started"]);
    for number in 1..=6 {
        desk.launcher
            .refuse_next(LaunchError::NotFound("cli".into()));
        let feed = desk.give(waited_for(number, "a")).await;
        ended(&feed).await;
    }
    let facts = until(&mut watcher, "agent_parked").await;
    let parked = facts.iter().filter(|fact| fact.kind() == "agent_parked");
    assert_eq!(parked.count(), 1);
    desk.supervisor.try_deliver(SetRunState::Start).unwrap();
    until(&mut watcher, "agent_resumed").await;
}

#[actix_rt::test]
async fn the_status_tells_how_long_a_turn_gave_no_sign_of_life() {
    let desk = Desk::new();
    desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    tokio::time::sleep(Duration::from_mins(4)).await;
    let status = desk.status().await;
    let seen = &status.turns[0];
    assert_eq!(seen.last_event_at, seen.since);
    assert!(seen.quiet_ms >= 240_000, "{seen:?}");
    turn.does(TurnEvent::Said("I am still here.".into()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = &desk.status().await.turns[0];
    assert!((1000..2000).contains(&seen.quiet_ms), "{seen:?}");
    let called_back = CallbackReceived {
        turn: turn.order.turn,
        message: id(9),
        kind: "STATUS".into(),
        to: crate::domain::party::Party::Anyone,
    };
    desk.supervisor.try_deliver(called_back).unwrap();
    let seen = &desk.status().await.turns[0];
    assert!(seen.quiet_ms < 100, "{seen:?}");
}

#[actix_rt::test]
async fn the_log_of_a_turn_can_be_found_for_a_while_after_its_end() {
    let desk = Desk::new();
    let feed = desk.give(task(1, "a")).await;
    let turn = desk.turn().await;
    let id = turn.order.turn;
    turn.ends(done("answer"));
    ended(&feed).await;
    let found = || desk.parts.shared.turn_feeds.find(&id).is_some();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(found());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!found());
}
