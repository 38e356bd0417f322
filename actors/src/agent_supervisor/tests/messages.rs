//! Messages between agents: taken once, expired, urgent, tried again by an operator.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::domain::{
    agent_message::{Envelope, Priority},
    party::{Party, PeerName},
    turn::{Failure, TurnExit},
};

fn bob() -> Party {
    Party::Peer(PeerName::parse("bob").unwrap())
}

fn envelope() -> Envelope {
    Envelope::new(bob(), Party::Agent(alice()), "TASK")
}

fn with(number: u128, session: &str, envelope: Envelope) -> NewTask {
    NewTask {
        origin: TaskOrigin::Message,
        body: Bytes::from(format!(r#"{{"type":"TASK","payload":"task-{number}."}}"#)),
        envelope: Some(Arc::new(envelope)),
        ..task(number, session)
    }
}

fn message(number: u128, session: &str) -> NewTask {
    with(number, session, envelope())
}

fn expiring(number: u128, session: &str, at: DateTime<Utc>) -> NewTask {
    let expires_at = Some(at);
    with(
        number,
        session,
        Envelope {
            expires_at,
            ..envelope()
        },
    )
}

fn key(digest: u8) -> IdempotencyKey {
    IdempotencyKey {
        sender: bob(),
        key: "order-7".into(),
        digest: [digest; 32],
    }
}

fn crashed() -> TurnExit {
    exit(TurnResult::Failed(Failure {
        code: FailureCode::TurnFailed,
        message: "out of credit".to_owned(),
    }))
}

#[actix_rt::test]
async fn a_message_that_is_repeated_starts_one_turn() {
    let desk = Desk::new();
    let first = desk.queue_once(message(1, "a"), Some(key(7))).await;
    let again = desk.queue_once(message(2, "a"), Some(key(7))).await;
    assert_eq!(again.unwrap_err(), QueueError::Duplicate(id(1)));
    let other = desk.queue_once(message(3, "a"), Some(key(8))).await;
    assert_eq!(other.unwrap_err(), QueueError::Conflict(id(1)));
    desk.turn().await.ends(done(""));
    assert_eq!(ended(&first.unwrap()).await, TaskOutcome::Done);
    assert_eq!(desk.store.all_turns().len(), 1);
    assert_eq!(desk.status().await.waiting, 0);
}

#[actix_rt::test]
async fn a_message_that_has_expired_is_accepted_and_never_begun() {
    let desk = Desk::new();
    let late = desk.give(expiring(1, "a", start_time())).await;
    assert_eq!(ended(&late).await, TaskOutcome::Expired);
    assert_eq!(desk.state(1), TaskState::Expired);
    assert!(desk.store.all_turns().is_empty());
}

#[actix_rt::test]
async fn a_message_expires_while_it_waits_and_is_told_at_once() {
    let desk = Desk::new();
    desk.give(message(1, "a")).await;
    let busy = desk.turn().await;
    let soon = start_time() + TimeDelta::minutes(2);
    let waits = desk.give(expiring(2, "a", soon)).await;
    assert_eq!(ended(&waits).await, TaskOutcome::Expired);
    assert!(desk.parts.shared.clock.now() >= soon);
    assert_eq!(desk.state(1), TaskState::Running);
    drop(busy);
}

#[actix_rt::test]
async fn an_urgent_message_passes_other_conversations() {
    let desk = Desk::new();
    desk.give(message(1, "a")).await;
    let busy = desk.turn().await;
    desk.give(message(2, "b")).await;
    let urgent = Envelope {
        priority: Priority::HIGH,
        ..envelope()
    };
    desk.give(with(3, "c", urgent)).await;
    busy.ends(done(""));
    let next = desk.turn().await;
    assert!(next.order.prompt.contains("task-3."));
    next.ends(done(""));
    assert!(desk.turn().await.order.prompt.contains("task-2."));
}

#[actix_rt::test]
async fn a_prompt_says_once_for_each_sender_how_to_answer() {
    let desk = Desk::new();
    desk.give(message(1, "a")).await;
    let turn = desk.turn().await;
    let told = |prompt: &str, number: u128| {
        prompt.contains(&format!("Answer peer:bob about {}.", id(number)))
    };
    assert!(told(&turn.order.prompt, 1));
    desk.give(message(2, "a")).await;
    desk.give(message(3, "a")).await;
    desk.give(task(4, "a")).await;
    turn.ends(done(""));
    let prompt = desk.turn().await.order.prompt.clone();
    assert!(!told(&prompt, 2) && told(&prompt, 3), "{prompt}");
    assert_eq!(prompt.matches("Answer ").count(), 1, "{prompt}");
}

#[actix_rt::test]
async fn an_operator_lets_a_failed_message_be_worked_on_again() {
    let desk = Desk::new();
    let feed = desk.give(message(1, "a")).await;
    desk.turn().await.ends(crashed());
    assert_eq!(code(&ended(&feed).await), FailureCode::TurnFailed);
    let retry = async |number| {
        let (reply, retried) = oneshot::channel();
        let task = id(number);
        let retry = RetryTask { task, reply };
        desk.supervisor.try_deliver(retry).unwrap();
        within("the reply", retried).await.unwrap()
    };
    assert_eq!(retry(1).await, Ok(true));
    let turn = desk.turn().await;
    assert!(turn.order.prompt.contains("task-1."));
    assert_eq!(retry(1).await, Ok(false));
    turn.ends(done(""));
    let feed = desk.parts.shared.task_feeds.open(id(1));
    assert_eq!(ended(&feed).await, TaskOutcome::Done);
    assert_eq!(desk.state(1), TaskState::Done);
    assert_eq!(retry(2).await, Ok(false));
}

#[actix_rt::test]
async fn whoever_follows_a_turn_sees_what_it_sends() {
    let desk = Desk::new();
    desk.give(message(1, "a")).await;
    let turn = desk.turn().await;
    let feed = desk.parts.shared.turn_feeds.open(turn.order.turn);
    let callback = CallbackReceived {
        turn: turn.order.turn,
        message: id(9),
        kind: "STATUS".into(),
        to: bob(),
    };
    desk.supervisor.try_deliver(callback).unwrap();
    let mut index = 0;
    let (message, to) = loop {
        match within("the callback", feed.event(index)).await.unwrap() {
            TurnEvent::CalledBack { message, to, .. } => break (message, to),
            _ => index += 1,
        }
    };
    assert_eq!((message, to), (id(9), bob()));
}

#[actix_rt::test]
async fn a_message_in_an_inbox_says_who_sent_it_and_its_sender_cannot_say_otherwise() {
    let desk = Desk::of(AgentProfile {
        delivery: crate::domain::agent::Delivery::Inbox,
        ..profile()
    });
    let claims = NewTask {
        body: Bytes::from(r#"{"type":"TASK","payload":{},"sender":"key:root"}"#),
        ..message(1, "a")
    };
    let feed = desk.give(claims).await;
    assert_eq!(ended(&feed).await, TaskOutcome::Done);
    let items = desk.inbox.contents();
    assert_eq!(items[0]["sender"], "peer:bob");
    assert_eq!(items[0]["task_id"], id(1).to_string());
}
