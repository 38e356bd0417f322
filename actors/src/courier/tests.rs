use std::{collections::BTreeMap, time::Duration};

use actix::Actor;
use bytes::Bytes;
use chrono::TimeDelta;
use uuid::Uuid;

use super::*;
use crate::{
    delivery::Mailbox,
    domain::{
        agent_message::{Envelope, IdempotencyKey},
        ids::{AgentId, MessageId},
        party::{Party, PeerName},
        peer::{DEFAULT_SCHEDULE, PeerProfile},
        post::{DeadCode, DeliveryRecord, DeliveryState},
    },
    ports::{StoreError, courier::PostError},
    testing::{MemoryDeliveries, PeerMood, ScriptedPeers, TokioClock, no_activity},
};

mod activity;
mod agents;
mod changes;
mod guards;
mod restarts;
mod schedules;

/// A courier over a store and peers that a test plays.
struct Desk {
    store: Arc<MemoryDeliveries>,
    peers: ScriptedPeers,
    courier: Mailbox<Courier>,
    parts: CourierParts,
}

/// What the test waits for takes no real time; more than this is a failure.
const DEADLINE: Duration = Duration::from_mins(10);

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(DEADLINE, future).await;
    ended.unwrap_or_else(|_| panic!("{what} did not happen"))
}

async fn virtual_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn profile(name: &str) -> PeerProfile {
    PeerProfile::new(PeerName::parse(name).unwrap())
}

impl Desk {
    /// The first one of a test.
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut CourierParts)) -> Self {
        tokio::time::pause();
        let store = Arc::new(MemoryDeliveries::default());
        let desk = Self::made(store, ScriptedPeers::default(), change);
        desk.start();
        desk.status().await;
        desk
    }

    fn made(
        store: Arc<MemoryDeliveries>,
        peers: ScriptedPeers,
        change: impl FnOnce(&mut CourierParts),
    ) -> Self {
        let courier = Mailbox::new("courier");
        let mut parts = CourierParts {
            traces: Traces::default(),
            store: store.clone(),
            agents: Agents::default(),
            peers: Peers::new(["bob", "carol", "dave"].map(profile)),
            transport: Rc::new(peers.clone()),
            clock: Arc::new(TokioClock::start()),
            jitter: Rc::new(|| 0.5),
            guard: GuardSettings {
                hops: 8,
                pair_rate: 60,
                repeats: 5,
            },
            schedule: DEFAULT_SCHEDULE.into(),
            most_waiting: 100_000,
            depth: courier.depth(),
            activity: no_activity(),
        };
        change(&mut parts);
        Self {
            store,
            peers,
            courier,
            parts,
        }
    }

    /// Starts a run of the courier.
    fn start(&self) {
        self.courier
            .connect(Courier::new(self.parts.clone()).start());
    }

    /// What another process would be that opens the same disk.
    fn restarted(&self) -> Self {
        let store = Arc::new(self.store.copy());
        let (clock, schedule) = (self.parts.clock.clone(), self.parts.schedule.clone());
        let desk = Self::made(store, ScriptedPeers::default(), |parts| {
            parts.clock = clock;
            parts.schedule = schedule;
        });
        desk.start();
        desk
    }

    async fn send(&self, message: OutgoingMessage) -> Result<Sent, SendError> {
        let (reply, kept) = oneshot::channel();
        self.courier
            .try_deliver(SendMessage { message, reply })
            .unwrap();
        within("the reply", kept).await.unwrap()
    }

    async fn sent(&self, message: OutgoingMessage) {
        let id = message.id;
        let sent = self.send(message).await.unwrap();
        assert_eq!((sent.id, sent.is_duplicate), (id, false));
    }

    async fn status(&self) -> ActorStatus {
        self.courier.ask(GetStatus, DEADLINE).await.unwrap()
    }

    fn state(&self, number: u128) -> DeliveryState {
        self.record(number).state
    }

    fn record(&self, number: u128) -> DeliveryRecord {
        self.store.record(id(number)).unwrap()
    }

    fn death(&self, number: u128) -> DeadCode {
        self.record(number).reason.unwrap().code
    }

    fn taken_by(&self, name: &str) -> Vec<u128> {
        let taken = self.peers.taken_by(&peer(name));
        taken.iter().map(|id| id.as_uuid().as_u128()).collect()
    }

    fn set_mood(&self, name: &str, mood: PeerMood) {
        self.peers.set_mood(peer(name), mood);
    }
}

fn id(number: u128) -> MessageId {
    MessageId::new(Uuid::from_u128(number))
}

fn peer(name: &str) -> Party {
    Party::Peer(PeerName::parse(name).unwrap())
}

fn agent(name: &str) -> Party {
    Party::Agent(AgentId::parse(name).unwrap())
}

fn down() -> PeerMood {
    PeerMood::Fails(PostError::Connect("refused".into()))
}

fn body(number: u128) -> Bytes {
    Bytes::from(format!(
        r#"{{"type":"STATUS","payload":{{"number":{number}}}}}"#
    ))
}

/// A message of an operator, which says its own number.
fn message(desk: &Desk, number: u128, to: Party, conversation: &str) -> OutgoingMessage {
    let envelope = Envelope::new(Party::Key("ops".into()), to, "STATUS");
    let mut said = [0; 32];
    said[..16].copy_from_slice(&number.to_be_bytes());
    OutgoingMessage {
        id: id(number),
        envelope: Arc::new(envelope),
        conversation: conversation.into(),
        received_at: desk.parts.clock.now(),
        body: body(number),
        said,
        traceparent: None,
        once: None,
    }
}

fn changed(message: OutgoingMessage, change: impl FnOnce(&mut Envelope)) -> OutgoingMessage {
    let mut envelope = (*message.envelope).clone();
    change(&mut envelope);
    OutgoingMessage {
        envelope: Arc::new(envelope),
        ..message
    }
}

fn once(message: OutgoingMessage, key: &str) -> OutgoingMessage {
    let once = IdempotencyKey {
        sender: message.envelope.sender.clone(),
        key: key.into(),
        digest: message.said,
    };
    OutgoingMessage {
        once: Some(once),
        ..message
    }
}

#[actix_rt::test]
async fn a_message_is_kept_before_its_sender_hears_and_posted_at_once() {
    let desk = Desk::new().await;
    desk.sent(message(&desk, 1, peer("bob"), "c")).await;
    assert!(desk.store.record(id(1)).is_some());
    virtual_ms(5).await;
    assert_eq!(desk.state(1), DeliveryState::Delivered);
    assert_eq!(desk.peers.posted()[0].body, body(1));
    assert_eq!(desk.store.bodies_read(), 0);
    let history = desk.record(1).history;
    assert_eq!((history.len(), history[0].status), (1, Some(200)));
    assert_eq!(desk.status().await.waiting, 0);
}

#[actix_rt::test]
async fn what_the_store_does_not_keep_is_refused() {
    let desk = Desk::new().await;
    desk.store.set_failure(Some(StoreError::Full));
    let refused = desk.send(message(&desk, 1, peer("bob"), "c")).await;
    assert_eq!(refused, Err(SendError::Store(StoreError::Full)));
    desk.store.set_failure(None);
    virtual_ms(5).await;
    assert_eq!(desk.peers.posted(), []);
    assert_eq!(desk.status().await.waiting, 0);
}

#[actix_rt::test]
async fn a_repeat_is_the_first_one_and_another_body_under_its_id_is_refused() {
    let desk = Desk::new().await;
    desk.sent(once(message(&desk, 1, peer("bob"), "c"), "k"))
        .await;
    let mut repeat = message(&desk, 2, peer("bob"), "c");
    repeat.said = message(&desk, 1, peer("bob"), "c").said;
    let sent = desk.send(once(repeat, "k")).await.unwrap();
    assert_eq!((sent.id, sent.is_duplicate), (id(1), true));
    let other = once(message(&desk, 3, peer("bob"), "c"), "k");
    assert_eq!(desk.send(other).await, Err(SendError::Conflict(id(1))));
    virtual_ms(5).await;
    assert_eq!(desk.taken_by("bob"), [1]);
}

#[actix_rt::test]
async fn no_more_wait_than_may() {
    let desk = Desk::with(|parts| parts.most_waiting = 2).await;
    desk.set_mood("bob", PeerMood::Hangs);
    for number in 1..=2 {
        desk.sent(message(&desk, number, peer("bob"), "c")).await;
    }
    let full = desk.send(message(&desk, 3, peer("bob"), "c")).await;
    assert_eq!(full, Err(SendError::Full { waiting: 2 }));
    assert!(desk.store.record(id(3)).is_none());
    // What is collected waits for nobody.
    desk.sent(message(&desk, 4, Party::Key("ops".into()), "c"))
        .await;
    assert_eq!(desk.state(4), DeliveryState::Held);
}

#[actix_rt::test]
async fn messages_of_one_burst_arrive_in_their_order() {
    let desk = Desk::new().await;
    // Some commits are heard of before others that were made earlier.
    desk.store
        .set_latencies([7, 1, 4, 2].map(Duration::from_millis).to_vec());
    desk.peers.set_delay(Duration::from_millis(3));
    let mut replies = Vec::new();
    for number in 1..=200 {
        let conversation = ["a", "b"][usize::try_from(number % 2).unwrap()];
        let (reply, kept) = oneshot::channel();
        let message = message(&desk, number, peer("bob"), conversation);
        desk.courier
            .try_deliver(SendMessage { message, reply })
            .unwrap();
        replies.push(kept);
    }
    for kept in replies {
        within("the reply", kept).await.unwrap().unwrap();
    }
    virtual_ms(3000).await;
    let taken = desk.taken_by("bob");
    assert_eq!(taken.len(), 200);
    for lane in [0, 1] {
        assert!(
            taken
                .iter()
                .filter(|number| *number % 2 == lane)
                .is_sorted()
        );
    }
    assert_eq!(desk.peers.most_at_once(&peer("bob")), 2);
}

#[actix_rt::test]
async fn one_peer_that_hangs_slows_nobody_else_and_holds_four_posts() {
    let desk = Desk::new().await;
    desk.set_mood("bob", PeerMood::Hangs);
    for number in 1..=100 {
        desk.sent(message(&desk, number, peer("bob"), &number.to_string()))
            .await;
    }
    let began = tokio::time::Instant::now();
    for number in 101..=200 {
        desk.sent(message(&desk, number, peer("carol"), &number.to_string()))
            .await;
    }
    virtual_ms(10).await;
    assert_eq!(desk.taken_by("carol").len(), 100);
    assert!(began.elapsed() < Duration::from_millis(50));
    assert_eq!(desk.peers.under_way(), 4);
}

#[actix_rt::test]
async fn a_peer_gets_no_more_at_once_than_it_takes() {
    let desk = Desk::with(|parts| {
        parts.peers = Peers::new([PeerProfile {
            concurrency: 2,
            ..profile("bob")
        }]);
    })
    .await;
    desk.peers.set_delay(Duration::from_millis(100));
    let url = Party::Url("https://example.com/in".into());
    for number in 1..=20 {
        let to = if number <= 10 {
            peer("bob")
        } else {
            url.clone()
        };
        desk.sent(message(&desk, number, to, &number.to_string()))
            .await;
    }
    virtual_ms(2000).await;
    assert_eq!(desk.store.count(DeliveryState::Delivered), 20);
    assert_eq!(desk.peers.most_at_once(&peer("bob")), 2);
    assert_eq!(desk.peers.most_at_once(&url), 4);
}

#[actix_rt::test]
async fn the_status_says_what_waits_and_who_is_down() {
    let desk = Desk::new().await;
    assert_eq!(desk.status().await.state, "ok");
    desk.set_mood("bob", down());
    for number in 1..=6 {
        desk.sent(message(&desk, number, peer("bob"), &number.to_string()))
            .await;
    }
    virtual_ms(3000).await;
    let status = desk.status().await;
    assert_eq!(
        (status.actor, status.state.as_str(), status.waiting),
        ("courier", "1 peer down: bob", 6)
    );
    assert_eq!(status.oldest_waiting_ms.map(|age| age / 1000), Some(3));
    desk.set_mood("bob", PeerMood::Takes);
    virtual_ms(60_000).await;
    let status = desk.status().await;
    assert_eq!((status.state.as_str(), status.waiting), ("ok", 0));
    assert_eq!(status.oldest_waiting_ms, None);
}
