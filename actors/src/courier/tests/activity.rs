//! What operators who watch are told of messages on their way.

use super::*;
use crate::{
    activity::{Seen, Since, WatchOrder, Watcher},
    domain::activity::Fact,
};

fn watch(desk: &Desk) -> Watcher {
    let order = WatchOrder {
        since: Since::Last(0),
        agent: None,
    };
    desk.parts.activity.watch(order).unwrap()
}

/// The next so many facts.
async fn next(watcher: &mut Watcher, count: usize) -> Vec<Fact> {
    let mut facts = Vec::new();
    while facts.len() < count {
        match within("a fact", watcher.next()).await {
            Some(Seen::Event(event)) => facts.push(event.fact.clone()),
            other => panic!("{other:?} after {facts:?}"),
        }
    }
    facts
}

fn kinds(facts: &[Fact]) -> Vec<&str> {
    facts.iter().map(Fact::kind).collect()
}

#[actix_rt::test]
async fn waiting_failing_and_arriving_are_told_with_who_sent_it() {
    let desk = Desk::new().await;
    let mut watcher = watch(&desk);
    desk.set_mood("bob", down());
    desk.sent(message(&desk, 1, peer("bob"), "c")).await;
    let facts = next(&mut watcher, 2).await;
    assert_eq!(kinds(&facts), ["delivery_waiting", "delivery_failed"]);
    let Some(Fact::DeliveryFailed { from, error, .. }) = facts.last() else {
        panic!("{facts:?}");
    };
    assert_eq!(from, &Some(Party::Key("ops".into())));
    assert!(error.as_ref().unwrap().contains("refused"), "{error:?}");
    desk.set_mood("bob", PeerMood::Takes);
    loop {
        let facts = next(&mut watcher, 1).await;
        match kinds(&facts)[..] {
            ["delivery_failed"] => {}
            ["delivered"] => break,
            _ => panic!("{facts:?}"),
        }
    }
    assert_eq!(desk.state(1), DeliveryState::Delivered);
}

#[actix_rt::test]
async fn dead_letters_and_what_is_taken_back_are_told() {
    let desk = Desk::new().await;
    let mut watcher = watch(&desk);
    desk.set_mood("bob", PeerMood::Answers(404, None));
    desk.sent(message(&desk, 1, peer("bob"), "c")).await;
    let facts = next(&mut watcher, 2).await;
    assert_eq!(kinds(&facts), ["delivery_waiting", "delivery_dead"]);
    desk.set_mood("carol", down());
    desk.sent(message(&desk, 2, peer("carol"), "c")).await;
    next(&mut watcher, 2).await;
    let (reply, cancelled) = oneshot::channel();
    let cancel = CancelDelivery { id: id(2), reply };
    desk.courier.try_deliver(cancel).unwrap();
    assert_eq!(within("the reply", cancelled).await.unwrap(), Ok(true));
    let facts = next(&mut watcher, 1).await;
    assert_eq!(kinds(&facts), ["delivery_cancelled"]);
}

#[actix_rt::test]
async fn what_a_turn_sends_is_told_as_its_callback() {
    let desk = Desk::new().await;
    let mut watcher = watch(&desk);
    let turn = crate::domain::ids::TurnId::new(Uuid::from_u128(77));
    let sent = changed(message(&desk, 1, peer("bob"), "c"), |envelope| {
        envelope.sender = agent("alice");
        envelope.turn = Some(turn);
    });
    desk.sent(sent).await;
    let facts = next(&mut watcher, 3).await;
    assert_eq!(kinds(&facts), ["callback", "delivery_waiting", "delivered"]);
    let Some(Fact::Callback { turn: of, to, .. }) = facts.first() else {
        panic!("{facts:?}");
    };
    assert_eq!((*of, to), (turn, &peer("bob")));
}
