//! Restarts of the broker and of the actor, and a store in trouble.

use actix::Message;

use super::*;
use crate::lifecycle;

/// Lets the courier panic.
#[derive(Message)]
#[rtype(result = "()")]
struct Panic;

impl Handler<Panic> for Courier {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        panic!("told to");
    }
}

/// How many of each message were posted.
fn counts(desk: &Desk) -> BTreeMap<MessageId, usize> {
    let mut counts = BTreeMap::new();
    for post in desk.peers.posted() {
        *counts.entry(post.id).or_default() += 1;
    }
    counts
}

#[actix_rt::test]
async fn a_restart_in_the_middle_loses_nothing_and_keeps_the_order() {
    let desk = Desk::new().await;
    desk.peers.set_delay(Duration::from_millis(20));
    for number in 1..=300 {
        desk.sent(message(
            &desk,
            number,
            peer("bob"),
            &(number % 3).to_string(),
        ))
        .await;
    }
    virtual_ms(500).await;
    let before = desk.taken_by("bob");
    assert!((10..200).contains(&before.len()), "{}", before.len());
    let next = desk.restarted();
    desk.courier.disconnect();
    next.peers.set_delay(Duration::from_millis(5));
    // New ones of the same conversations come while the old ones are read.
    for number in 301..=303 {
        next.sent(message(
            &next,
            number,
            peer("bob"),
            &(number % 3).to_string(),
        ))
        .await;
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(next.store.count(DeliveryState::Delivered), 303);
    let after = next.taken_by("bob");
    for lane in 0..3 {
        let of_lane = after.iter().filter(|number| *number % 3 == lane);
        assert!(of_lane.is_sorted(), "{lane}");
    }
    assert!(counts(&next).values().all(|posts| *posts == 1));
    let both: std::collections::BTreeSet<_> = before.iter().chain(&after).collect();
    assert_eq!(both.len(), 303);
}

#[actix_rt::test]
async fn ten_thousand_that_are_due_at_a_start_are_paced_and_new_ones_are_not() {
    let desk = Desk::new().await;
    desk.courier.ask(Drain, DEADLINE).await.unwrap();
    for number in 1..=10_000_u128 {
        let to = Party::Url(format!("https://host{}/in", number % 100).into());
        desk.sent(message(&desk, number, to, &number.to_string()))
            .await;
    }
    let next = desk.restarted();
    let began = tokio::time::Instant::now();
    assert!(next.status().await.actor == "courier" && began.elapsed() < Duration::from_secs(1));
    virtual_ms(5000).await;
    next.sent(message(&next, 20_000, peer("bob"), "new")).await;
    virtual_ms(5).await;
    assert_eq!(next.taken_by("bob"), [20_000]);
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(next.store.count(DeliveryState::Delivered), 10_001);
    let mut seconds = BTreeMap::<u64, usize>::new();
    for post in next.peers.posted() {
        *seconds.entry((post.at - began).as_secs()).or_default() += 1;
    }
    assert!(seconds.values().all(|posts| *posts <= 102), "{seconds:?}");
    assert!(seconds.values().sum::<usize>() == 10_001);
}

#[actix_rt::test]
async fn a_courier_that_panics_takes_up_what_was_under_way() {
    tokio::time::pause();
    let store = Arc::new(MemoryDeliveries::default());
    let desk = Desk::made(store, ScriptedPeers::default(), |_| {});
    let parts = desk.parts.clone();
    actix_rt::spawn(lifecycle::keep_running(
        desk.courier.clone(),
        Arc::clone(&parts.clock),
        move || Courier::new(parts.clone()),
    ));
    desk.set_mood("bob", PeerMood::Hangs);
    for number in 1..=3 {
        desk.sent(message(&desk, number, peer("bob"), "c")).await;
    }
    virtual_ms(10).await;
    assert_eq!(desk.peers.under_way(), 1);
    assert!(desk.courier.ask(Panic, DEADLINE).await.is_err());
    desk.set_mood("bob", PeerMood::Takes);
    virtual_ms(5000).await;
    assert_eq!(desk.taken_by("bob"), [1, 2, 3]);
    assert_eq!(desk.peers.under_way(), 0);
    desk.sent(message(&desk, 4, peer("bob"), "c")).await;
    virtual_ms(10).await;
    assert_eq!(desk.state(4), DeliveryState::Delivered);
}

#[actix_rt::test]
async fn an_end_that_the_store_does_not_keep_holds_its_lane_and_is_not_posted_again() {
    let desk = Desk::new().await;
    desk.peers.set_delay(Duration::from_millis(50));
    for number in 1..=2 {
        desk.sent(message(&desk, number, peer("bob"), "c")).await;
    }
    desk.store
        .set_failure(Some(StoreError::Io("broken".into())));
    virtual_ms(60_000).await;
    assert_eq!(desk.taken_by("bob"), [1]);
    assert_eq!(desk.state(1), DeliveryState::Waiting);
    desk.store.set_failure(None);
    virtual_ms(2000).await;
    assert_eq!(desk.taken_by("bob"), [1, 2]);
    assert_eq!(desk.store.count(DeliveryState::Delivered), 2);
}

#[actix_rt::test]
async fn a_store_that_cannot_be_read_is_asked_again_and_nothing_overtakes() {
    let desk = Desk::new().await;
    desk.set_mood("bob", down());
    desk.sent(message(&desk, 1, peer("bob"), "c")).await;
    virtual_ms(100).await;
    let store = Arc::new(desk.store.copy());
    store.set_read_failure(Some(StoreError::Io("broken".into())));
    let next = Desk::made(store, ScriptedPeers::default(), |_| {});
    desk.courier.disconnect();
    next.start();
    next.sent(message(&next, 2, peer("bob"), "c")).await;
    virtual_ms(30_000).await;
    assert_eq!(next.peers.posted(), []);
    let state = next.status().await.state;
    assert!(state.starts_with("cannot read what waits: "), "{state}");
    next.store.set_read_failure(None);
    virtual_ms(10_000).await;
    assert_eq!(next.taken_by("bob"), [1, 2]);
}
