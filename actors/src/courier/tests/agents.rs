//! Messages to agents of ours.

use std::sync::atomic::AtomicBool;

use super::*;
use crate::{
    agent_directory::Agent,
    agent_supervisor::{AgentSupervisor, SetRunState, SharedParts, SupervisorParts},
    domain::{
        agent::AgentProfile,
        ids::{SessionKey, TurnId},
        task::TaskOrigin,
        turn::TurnEvent,
    },
    testing::{SharedFakes, agent_profile, done},
};

/// A courier and the agents that it hands messages to.
struct House {
    desk: Desk,
    fakes: SharedFakes,
    shared: Arc<SharedParts>,
}

impl House {
    async fn new() -> Self {
        let desk = Desk::new().await;
        let fakes = SharedFakes::default();
        let shared = Arc::new(fakes.parts());
        Self {
            desk,
            fakes,
            shared,
        }
    }

    fn hire(&self, profile: AgentProfile) -> Agent {
        let supervisor = Mailbox::new("agent_supervisor");
        let agent = Agent {
            profile: Arc::new(profile),
            supervisor: supervisor.clone(),
            is_stopped: Arc::new(AtomicBool::new(false)),
        };
        let parts = SupervisorParts {
            profile: Arc::clone(&agent.profile),
            shared: Arc::clone(&self.shared),
            is_stopped: Arc::clone(&agent.is_stopped),
            depth: supervisor.depth(),
        };
        supervisor.connect(AgentSupervisor::new(parts).start());
        self.desk.parts.agents.insert(agent.clone());
        agent
    }

    async fn send(&self, number: u128, conversation: &str) {
        let message = message(&self.desk, number, agent("alice"), conversation);
        self.desk.sent(message).await;
    }

    fn tasks(&self) -> Vec<u128> {
        let tasks = self.fakes.store.all_tasks();
        let ids = tasks.iter().map(|record| record.task.id);
        ids.map(|id| id.as_uuid().as_u128()).collect()
    }

    /// Lets turns end as they begin.
    fn work(&self) {
        let launcher = Arc::clone(&self.fakes.launcher);
        actix_rt::spawn(async move {
            while let Some(turn) = launcher.next().await {
                turn.ends(done("read"));
            }
        });
    }
}

#[actix_rt::test]
async fn a_message_to_an_agent_is_its_task_with_the_same_id() {
    let house = House::new().await;
    house.hire(agent_profile("alice"));
    house.send(1, "room").await;
    let task = house.fakes.store.task(id(1)).unwrap().task;
    assert_eq!(task.session, SessionKey::new("room"));
    assert_eq!(task.origin, TaskOrigin::Message);
    assert_eq!(task.caller.as_deref(), Some("key:ops"));
    assert!(task.is_background && task.is_kept && !task.is_streamed);
    assert_eq!(task.body, body(1));
    assert!(task.envelope.is_some());
    assert_eq!(house.desk.store.all(), []);
    assert_eq!(house.desk.status().await.waiting, 0);
}

#[actix_rt::test]
async fn repeats_to_an_agent_are_the_first_one() {
    let house = House::new().await;
    house.hire(agent_profile("alice"));
    let of_alice = |number| {
        let message = message(&house.desk, number, agent("alice"), "c");
        once(
            OutgoingMessage {
                said: [1; 32],
                ..message
            },
            "k",
        )
    };
    house.desk.sent(of_alice(1)).await;
    let repeat = house.desk.send(of_alice(2)).await.unwrap();
    assert_eq!((repeat.id, repeat.is_duplicate), (id(1), true));
    let mut other = of_alice(3);
    other.once = other.once.map(|once| IdempotencyKey {
        digest: [9; 32],
        ..once
    });
    assert_eq!(
        house.desk.send(other).await,
        Err(SendError::Conflict(id(1)))
    );
    assert_eq!(house.tasks(), [1]);
}

#[actix_rt::test]
async fn what_a_full_agent_does_not_take_is_kept_and_follows_in_order() {
    let house = House::new().await;
    house.hire(AgentProfile {
        queue: 3,
        ..agent_profile("alice")
    });
    let mut replies = Vec::new();
    for number in 1..=40 {
        let (reply, kept) = oneshot::channel();
        let conversation = ["a", "b"][usize::try_from(number % 2).unwrap()];
        let message = message(&house.desk, number, agent("alice"), conversation);
        let courier = &house.desk.courier;
        courier.try_deliver(SendMessage { message, reply }).unwrap();
        replies.push(kept);
    }
    for kept in replies {
        within("the reply", kept).await.unwrap().unwrap();
    }
    let waiting = house.desk.store.count(DeliveryState::Waiting);
    assert!(waiting >= 30, "{waiting}");
    house.work();
    tokio::time::sleep(Duration::from_hours(2)).await;
    let tasks = house.tasks();
    assert_eq!(tasks.len(), 40, "{:?}", house.desk.status().await);
    for lane in [0, 1] {
        assert!(
            tasks
                .iter()
                .filter(|number| *number % 2 == lane)
                .is_sorted()
        );
    }
    assert_eq!(house.desk.store.count(DeliveryState::Waiting), 0);
}

#[actix_rt::test]
async fn a_stopped_agent_gets_its_messages_once_it_is_started() {
    let house = House::new().await;
    let alice = house.hire(agent_profile("alice"));
    alice.supervisor.try_deliver(SetRunState::Stop).unwrap();
    for number in 1..=8 {
        house.send(number, &(number % 4).to_string()).await;
    }
    assert_eq!(house.tasks(), [0; 0]);
    tokio::time::sleep(Duration::from_mins(1)).await;
    let record = house.desk.record(4);
    assert!(
        record.history[0]
            .error
            .as_ref()
            .unwrap()
            .contains("stopped")
    );
    assert_eq!(house.desk.status().await.state, "1 agent down: alice");
    alice.supervisor.try_deliver(SetRunState::Start).unwrap();
    // One in a free conversation finds out, and the others follow.
    house.send(9, "free").await;
    virtual_ms(1000).await;
    let mut tasks = house.tasks();
    assert_eq!(tasks[0], 9);
    tasks.sort_unstable();
    assert_eq!(tasks, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(house.desk.store.count(DeliveryState::Delivered), 8);
}

#[actix_rt::test]
async fn nothing_new_overtakes_what_is_kept_of_its_conversation() {
    let house = House::new().await;
    let alice = house.hire(agent_profile("alice"));
    alice.supervisor.try_deliver(SetRunState::Stop).unwrap();
    house.send(1, "c").await;
    alice.supervisor.try_deliver(SetRunState::Start).unwrap();
    house.send(2, "c").await;
    assert_eq!(house.tasks(), [0; 0]);
    virtual_ms(6000).await;
    assert_eq!(house.tasks(), [1, 2]);
    house.send(3, "c").await;
    assert_eq!(house.tasks(), [1, 2, 3]);
}

#[actix_rt::test]
async fn an_agent_that_has_room_again_is_soon_given_what_waits() {
    let house = House::new().await;
    let alice = house.hire(agent_profile("alice"));
    alice.supervisor.try_deliver(SetRunState::Stop).unwrap();
    for number in 1..=4 {
        house.send(number, &number.to_string()).await;
    }
    tokio::time::sleep(Duration::from_hours(9)).await;
    // Being asked now and then uses up nothing of their schedules, and leaves no trace.
    assert!(house.desk.record(1).history.len() <= 7);
    alice.supervisor.try_deliver(SetRunState::Start).unwrap();
    tokio::time::sleep(Duration::from_secs(62)).await;
    assert_eq!(house.tasks().len(), 4);
}

#[actix_rt::test]
async fn an_agent_that_does_not_run_or_answer_gets_its_message_later() {
    let house = House::new().await;
    let alice = house.hire(agent_profile("alice"));
    alice.supervisor.disconnect();
    house.send(1, "c").await;
    virtual_ms(1000).await;
    assert_eq!(house.desk.state(1), DeliveryState::Waiting);
    house.hire(agent_profile("alice"));
    virtual_ms(10_000).await;
    assert_eq!(house.desk.state(1), DeliveryState::Delivered);
    assert_eq!(house.tasks(), [1]);
}

#[actix_rt::test]
async fn a_kept_message_for_an_agent_that_was_removed_is_a_dead_letter() {
    let house = House::new().await;
    let alice = house.hire(agent_profile("alice"));
    alice.supervisor.disconnect();
    house.send(1, "c").await;
    house.desk.parts.agents.remove(&alice.profile.id);
    virtual_ms(10_000).await;
    assert_eq!(house.desk.death(1), DeadCode::UnknownRecipient);
}

#[actix_rt::test]
async fn a_task_that_the_store_does_not_keep_is_not_sent() {
    let house = House::new().await;
    house.hire(agent_profile("alice"));
    virtual_ms(10).await;
    house.fakes.store.set_failure(Some(StoreError::Full));
    let refused = house
        .desk
        .send(message(&house.desk, 1, agent("alice"), "c"))
        .await;
    assert_eq!(refused, Err(SendError::Store(StoreError::Full)));
    house.fakes.store.set_failure(None);
    house.send(2, "c").await;
    assert_eq!(house.tasks(), [2]);
}

#[actix_rt::test]
async fn who_follows_a_turn_sees_what_it_sends() {
    let house = House::new().await;
    house.hire(agent_profile("alice"));
    let turn = TurnId::new(Uuid::from_u128(500));
    let feed = house.shared.turn_feeds.open(turn);
    let of_turn = |number, to| {
        changed(message(&house.desk, number, to, "c"), |envelope| {
            envelope.sender = agent("alice");
            envelope.turn = Some(turn);
        })
    };
    house.desk.sent(once(of_turn(1, peer("bob")), "k")).await;
    house.desk.sent(of_turn(2, agent("alice"))).await;
    let mut repeat = of_turn(3, peer("bob"));
    repeat.said = of_turn(1, peer("bob")).said;
    assert!(
        house
            .desk
            .send(once(repeat, "k"))
            .await
            .unwrap()
            .is_duplicate
    );
    virtual_ms(10).await;
    let mut seen = Vec::new();
    for index in 0..2 {
        match within("a callback", feed.event(index)).await {
            Some(TurnEvent::CalledBack { message, .. }) => seen.push(message),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [id(1), id(2)]);
    let third = tokio::time::timeout(Duration::from_secs(1), feed.event(2)).await;
    assert!(third.is_err());
}
