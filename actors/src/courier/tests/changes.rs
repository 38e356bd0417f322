//! Watched, taken back, tried again, drained.

use super::*;

impl Desk {
    fn watch(&self, number: u128) -> oneshot::Receiver<DeliveryEnd> {
        let (reply, end) = oneshot::channel();
        let id = id(number);
        self.courier
            .try_deliver(WatchDelivery { id, reply })
            .unwrap();
        end
    }

    async fn cancel(&self, number: u128) -> Result<bool, StoreError> {
        let (reply, cancelled) = oneshot::channel();
        let id = id(number);
        self.courier
            .try_deliver(CancelDelivery { id, reply })
            .unwrap();
        within("the reply", cancelled).await.unwrap()
    }

    async fn retry(&self, number: u128) -> Result<bool, StoreError> {
        let (reply, revived) = oneshot::channel();
        let id = id(number);
        self.courier
            .try_deliver(RetryDelivery { id, reply })
            .unwrap();
        within("the reply", revived).await.unwrap()
    }
}

#[actix_rt::test]
async fn who_watches_a_delivery_hears_its_end() {
    let desk = Desk::new().await;
    desk.peers.set_delay(Duration::from_millis(100));
    desk.peers.set_mood_for(id(2), PeerMood::Answers(410, None));
    for number in 1..=3 {
        desk.sent(message(&desk, number, peer("bob"), "c")).await;
    }
    let watched: Vec<_> = (1..=3).map(|number| desk.watch(number)).collect();
    assert_eq!(desk.cancel(3).await, Ok(true));
    let mut ends = Vec::new();
    for end in watched {
        ends.push(within("the end", end).await.unwrap());
    }
    assert_eq!(ends[0], DeliveryEnd::Delivered);
    assert!(matches!(&ends[1], DeliveryEnd::Dead(reason) if reason.code == DeadCode::Refused));
    assert_eq!(ends[2], DeliveryEnd::Cancelled);
    // What does not wait has no end to wait for.
    assert!(within("the answer", desk.watch(1)).await.is_err());
    assert!(within("the answer", desk.watch(99)).await.is_err());
}

#[actix_rt::test]
async fn what_is_taken_back_is_not_posted_and_the_next_goes() {
    let desk = Desk::new().await;
    desk.set_mood("bob", down());
    for number in 1..=2 {
        desk.sent(message(&desk, number, peer("bob"), "c")).await;
    }
    virtual_ms(60_000).await;
    desk.set_mood("bob", PeerMood::Takes);
    assert_eq!(desk.cancel(1).await, Ok(true));
    virtual_ms(10).await;
    assert_eq!(desk.taken_by("bob"), [2]);
    assert_eq!(desk.state(1), DeliveryState::Cancelled);
    assert_eq!(desk.cancel(1).await, Ok(false));
    assert_eq!(desk.cancel(2).await, Ok(false));
}

#[actix_rt::test]
async fn a_try_under_way_may_still_arrive_and_one_that_fails_is_the_last() {
    let desk = Desk::new().await;
    desk.peers.set_delay(Duration::from_millis(100));
    desk.peers.set_mood_for(id(2), PeerMood::Answers(500, None));
    for number in 1..=2 {
        let to = Party::Url(number.to_string().into());
        desk.sent(message(&desk, number, to, "c")).await;
    }
    virtual_ms(50).await;
    assert_eq!(desk.cancel(1).await, Ok(true));
    assert_eq!(desk.cancel(2).await, Ok(true));
    virtual_ms(600_000).await;
    assert_eq!(desk.state(1), DeliveryState::Delivered);
    assert_eq!(desk.state(2), DeliveryState::Cancelled);
    assert_eq!(desk.peers.posted().len(), 2);
    assert_eq!(desk.status().await.waiting, 0);
}

#[actix_rt::test]
async fn a_dead_letter_is_tried_again_with_a_new_schedule() {
    let desk = Desk::new().await;
    desk.set_mood("bob", PeerMood::Answers(404, None));
    desk.sent(message(&desk, 1, peer("bob"), "c")).await;
    virtual_ms(10).await;
    assert_eq!(desk.death(1), DeadCode::Refused);
    desk.set_mood("bob", PeerMood::Answers(503, None));
    assert_eq!(desk.retry(1).await, Ok(true));
    virtual_ms(4000).await;
    assert_eq!(desk.state(1), DeliveryState::Waiting);
    assert_eq!(desk.retry(1).await, Ok(false));
    desk.sent(message(&desk, 2, peer("bob"), "c")).await;
    desk.set_mood("bob", PeerMood::Takes);
    virtual_ms(2000).await;
    assert_eq!(desk.taken_by("bob"), [1, 2]);
    assert_eq!(desk.retry(1).await, Ok(false));
    assert_eq!(desk.retry(77).await, Ok(false));
}

#[actix_rt::test]
async fn a_refused_hop_goes_when_an_operator_says_so() {
    let desk = Desk::new().await;
    let far = changed(message(&desk, 1, peer("bob"), "c"), |envelope| {
        envelope.hops = 9;
    });
    desk.send(far).await.unwrap_err();
    assert_eq!(desk.retry(1).await, Ok(true));
    virtual_ms(10).await;
    assert_eq!(desk.taken_by("bob"), [1]);
}

#[actix_rt::test]
async fn a_drain_waits_for_tries_under_way_and_begins_none() {
    let desk = Desk::new().await;
    desk.peers.set_delay(Duration::from_millis(500));
    for number in 1..=2 {
        desk.sent(message(&desk, number, peer("bob"), "c")).await;
    }
    virtual_ms(10).await;
    let began = tokio::time::Instant::now();
    desk.courier.ask(Drain, DEADLINE).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(480));
    assert_eq!(desk.state(1), DeliveryState::Delivered);
    // What comes now is kept for the next start.
    desk.sent(message(&desk, 3, peer("carol"), "c")).await;
    virtual_ms(60_000).await;
    assert_eq!(desk.peers.posted().len(), 1);
    assert_eq!(desk.store.count(DeliveryState::Waiting), 2);
    desk.courier.ask(Drain, DEADLINE).await.unwrap();
    assert_eq!(desk.status().await.state, "draining");
}
