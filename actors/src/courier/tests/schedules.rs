//! Tries again: schedules, refusals, `Retry-After`, expiry, dead letters.

use super::*;

const HOUR: Duration = Duration::from_hours(1);

#[actix_rt::test]
async fn a_peer_that_was_down_for_a_day_gets_everything_in_order_and_once() {
    let desk = Desk::new().await;
    desk.set_mood("bob", down());
    let mut number = 0;
    for _ in 0..24 {
        for conversation in ["a", "b", "c", "d", "e", "f", "g"] {
            number += 1;
            desk.sent(message(&desk, number, peer("bob"), conversation))
                .await;
        }
        tokio::time::sleep(HOUR).await;
    }
    assert_eq!(desk.taken_by("bob"), [0; 0]);
    desk.set_mood("bob", PeerMood::Takes);
    // A new message finds out that it is back; or the next try that is due.
    tokio::time::sleep(11 * HOUR).await;
    let taken = desk.taken_by("bob");
    assert_eq!(desk.store.count(DeliveryState::Delivered), 168);
    assert_eq!(taken.len(), 168, "each of them once");
    for lane in 0..7 {
        let of_lane = taken.iter().filter(|number| *number % 7 == lane);
        assert!(of_lane.is_sorted(), "{lane}");
    }
    assert_eq!(desk.status().await.state, "ok");
}

#[actix_rt::test]
async fn when_a_peer_is_back_everything_for_it_goes_at_once() {
    let desk = Desk::new().await;
    desk.set_mood("bob", down());
    for number in 1..=3 {
        desk.sent(message(&desk, number, peer("bob"), &number.to_string()))
            .await;
    }
    tokio::time::sleep(Duration::from_mins(20)).await;
    assert!(desk.record(1).due.unwrap() - desk.parts.clock.now() > TimeDelta::minutes(10));
    desk.set_mood("bob", PeerMood::Takes);
    desk.sent(message(&desk, 4, peer("bob"), "4")).await;
    virtual_ms(100).await;
    assert_eq!(desk.taken_by("bob").len(), 4);
}

#[actix_rt::test]
async fn a_message_that_always_fails_beside_others_that_go_well_keeps_its_schedule() {
    let desk = Desk::new().await;
    desk.peers.set_mood_for(id(1), PeerMood::Answers(500, None));
    desk.sent(message(&desk, 1, peer("bob"), "poison")).await;
    for number in 2..=1000 {
        desk.sent(message(&desk, number, peer("bob"), "well")).await;
        virtual_ms(1000).await;
    }
    assert_eq!(desk.state(1), DeliveryState::Waiting);
    let tries = desk.record(1).history.len();
    assert!((3..=8).contains(&tries), "{tries}");
    tokio::time::sleep(27 * HOUR).await;
    assert_eq!(desk.state(1), DeliveryState::Waiting);
    tokio::time::sleep(HOUR).await;
    assert_eq!(desk.death(1), DeadCode::OutOfAttempts);
}

#[actix_rt::test]
async fn a_refused_message_is_a_dead_letter_at_once_and_the_next_goes() {
    let desk = Desk::new().await;
    desk.peers.set_mood_for(id(1), PeerMood::Answers(400, None));
    desk.sent(message(&desk, 1, peer("bob"), "c")).await;
    desk.sent(message(&desk, 2, peer("bob"), "c")).await;
    virtual_ms(10).await;
    assert_eq!(desk.death(1), DeadCode::Refused);
    assert!(desk.record(1).reason.unwrap().message.contains("400"));
    assert_eq!(desk.taken_by("bob"), [2]);
}

#[actix_rt::test]
async fn addresses_that_may_not_be_posted_to_are_dead_letters_at_once() {
    let desk = Desk::new().await;
    let moods = [
        (
            PostError::AddressRefused("10.0.0.1".into()),
            DeadCode::AddressRefused,
        ),
        (
            PostError::UnknownRecipient(peer("bob")),
            DeadCode::UnknownRecipient,
        ),
        (PostError::Unaskable("bad header".into()), DeadCode::Refused),
    ];
    for (number, (error, code)) in (1..).zip(moods) {
        desk.set_mood("bob", PeerMood::Fails(error));
        desk.sent(message(&desk, number, peer("bob"), "c")).await;
        virtual_ms(10).await;
        assert_eq!(desk.death(number), code);
    }
}

#[actix_rt::test]
async fn tries_follow_the_schedule_and_its_end_is_a_dead_letter() {
    let desk = Desk::new().await;
    desk.set_mood("bob", PeerMood::Answers(503, None));
    desk.sent(message(&desk, 1, peer("bob"), "c")).await;
    tokio::time::sleep(28 * HOUR).await;
    let posted = desk.peers.posted();
    let pauses: Vec<u64> = posted
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).as_secs())
        .collect();
    assert_eq!(pauses, [5, 300, 1800, 7200, 18_000, 36_000, 36_000]);
    assert_eq!(desk.death(1), DeadCode::OutOfAttempts);
    let reason = desk.record(1).reason.unwrap().message;
    assert!(reason.contains("503"), "{reason}");
    assert_eq!(desk.record(1).history.len(), 8);
}

#[actix_rt::test]
async fn a_peer_that_asks_for_time_gets_it_also_when_others_go_well() {
    let desk = Desk::new().await;
    let asked = Some(Duration::from_mins(2));
    desk.peers
        .set_mood_for(id(1), PeerMood::Answers(429, asked));
    desk.sent(message(&desk, 1, peer("bob"), "a")).await;
    desk.sent(message(&desk, 2, peer("bob"), "a")).await;
    desk.sent(message(&desk, 3, peer("bob"), "b")).await;
    virtual_ms(119_000).await;
    assert_eq!(desk.peers.posted().len(), 2);
    desk.peers.set_mood_for(id(1), PeerMood::Takes);
    virtual_ms(2000).await;
    assert_eq!(desk.taken_by("bob"), [3, 1, 2]);
}

#[actix_rt::test]
async fn what_expired_is_not_posted_and_does_not_hold_up_what_is_behind_it() {
    let desk = Desk::new().await;
    let in_a_minute = desk.parts.clock.now() + TimeDelta::minutes(1);
    desk.set_mood("bob", down());
    let short = changed(message(&desk, 1, peer("bob"), "c"), |envelope| {
        envelope.expires_at = Some(in_a_minute);
    });
    desk.sent(short).await;
    desk.sent(message(&desk, 2, peer("bob"), "c")).await;
    virtual_ms(30_000).await;
    desk.set_mood("bob", PeerMood::Takes);
    virtual_ms(31_000).await;
    assert_eq!(desk.death(1), DeadCode::Expired);
    assert_eq!(desk.taken_by("bob"), [2]);
    let late = changed(message(&desk, 3, peer("bob"), "c"), |envelope| {
        envelope.expires_at = Some(in_a_minute);
    });
    desk.sent(late).await;
    virtual_ms(10).await;
    assert_eq!(desk.death(3), DeadCode::Expired);
    assert_eq!(desk.record(3).history, []);
}

#[actix_rt::test]
async fn dead_letters_come_in_time_also_for_thousands_of_conversations() {
    let desk = Desk::new().await;
    desk.set_mood("bob", down());
    for number in 1..=3000 {
        desk.sent(message(&desk, number, peer("bob"), &number.to_string()))
            .await;
    }
    let tries = desk.peers.posted().len();
    assert!(tries <= 10, "{tries}");
    // Its whole schedule takes 27.6 h, with its jitter 33.1 h.
    tokio::time::sleep(27 * HOUR).await;
    assert_eq!(desk.store.count(DeliveryState::Dead), 0);
    tokio::time::sleep(7 * HOUR).await;
    assert_eq!(desk.store.count(DeliveryState::Dead), 3000);
    assert_eq!(desk.death(2999), DeadCode::OutOfAttempts);
    let reason = desk.record(2999).reason.unwrap().message;
    assert!(reason.contains("refused"), "{reason}");
    // Two a minute, not more.
    assert!(desk.peers.posted().len() < 34 * 120 + 10);
    assert_eq!(desk.status().await.waiting, 0);
}
