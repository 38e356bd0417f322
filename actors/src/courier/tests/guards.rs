//! Loops between agents come to an end.

use super::*;

/// A message of an agent.
fn of_agent(desk: &Desk, number: u128) -> OutgoingMessage {
    changed(message(desk, number, peer("bob"), "c"), |envelope| {
        envelope.sender = agent("alice");
    })
}

#[actix_rt::test]
async fn one_hop_too_many_is_a_dead_letter_and_its_sender_hears_so() {
    let desk = Desk::new().await;
    let far = |number| {
        let far = changed(message(&desk, number, peer("bob"), "c"), |envelope| {
            envelope.hops = 9;
        });
        once(
            OutgoingMessage {
                said: [7; 32],
                ..far
            },
            "k",
        )
    };
    let refused = desk.send(far(1)).await.unwrap_err();
    let SendError::Refused { id: kept, reason } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!((*kept, reason.code), (id(1), DeadCode::HopLimit));
    assert_eq!(desk.death(1), DeadCode::HopLimit);
    // The same again is that same dead letter.
    assert_eq!(desk.send(far(2)).await.unwrap_err(), refused);
    let near = changed(message(&desk, 3, peer("bob"), "c"), |envelope| {
        envelope.hops = 8;
    });
    desk.sent(near).await;
    virtual_ms(10).await;
    assert_eq!(desk.taken_by("bob"), [3]);
}

#[actix_rt::test]
async fn more_than_the_rate_of_a_pair_is_refused_and_nothing_of_it_is_kept() {
    let desk = Desk::new().await;
    for number in 1..=60 {
        desk.sent(of_agent(&desk, number)).await;
    }
    let refused = desk.send(of_agent(&desk, 61)).await.unwrap_err();
    let SendError::TooMany {
        from,
        to,
        retry_after,
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!((from.as_str(), to.as_str()), ("agent:alice", "peer:bob"));
    assert!(desk.store.record(id(61)).is_none());
    // Operators are not meant by it.
    desk.sent(message(&desk, 62, peer("bob"), "c")).await;
    tokio::time::sleep(retry_after).await;
    desk.sent(of_agent(&desk, 63)).await;
}

#[actix_rt::test]
async fn the_same_said_too_often_is_a_dead_letter() {
    let desk = Desk::new().await;
    let same = |number| OutgoingMessage {
        said: [7; 32],
        ..of_agent(&desk, number)
    };
    for number in 1..=5 {
        desk.sent(same(number)).await;
    }
    let refused = desk.send(same(6)).await.unwrap_err();
    assert!(matches!(refused, SendError::Refused { .. }), "{refused:?}");
    assert_eq!(desk.death(6), DeadCode::Repeated);
    virtual_ms(10).await;
    assert_eq!(desk.taken_by("bob").len(), 5);
    tokio::time::sleep(Duration::from_mins(11)).await;
    desk.sent(same(7)).await;
}

#[actix_rt::test]
async fn repeats_of_one_message_by_its_id_count_as_one() {
    let desk = Desk::new().await;
    for number in 1..=100 {
        let repeat = once(of_agent(&desk, number), "k");
        let digest = [1; 32];
        let repeat = OutgoingMessage {
            said: [7; 32],
            once: repeat.once.map(|once| IdempotencyKey { digest, ..once }),
            ..repeat
        };
        let sent = desk.send(repeat).await.unwrap();
        assert_eq!((sent.id, sent.is_duplicate), (id(1), number > 1));
    }
    for number in 101..=104 {
        let same = OutgoingMessage {
            said: [7; 32],
            ..of_agent(&desk, number)
        };
        desk.sent(same).await;
    }
}
