use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix::{Addr, Handler};
use bytes::Bytes;
use chrono::TimeZone;
use uuid::Uuid;

use super::*;
use crate::{
    domain::{
        envelope::{PendingItem, RelayOutcome, Sequence, StoredMessage},
        ids::ContextId,
    },
    ports::{Credential, SendFuture, StoreError, StoreStats, UpstreamTimeouts},
};

/// A store that only takes replies, and refuses as often as it is told.
#[derive(Default)]
struct ReplyStore {
    refusals: Mutex<u32>,
    replies: Mutex<Vec<RecordedReply>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn closed<T: Send + 'static>() -> SendFuture<Result<T, StoreError>> {
    Box::pin(std::future::ready(Err(StoreError::Closed)))
}

impl MessageStore for ReplyStore {
    fn accept(&self, _: Arc<StoredMessage>) -> SendFuture<Result<Sequence, StoreError>> {
        closed()
    }
    fn accept_exchange(
        &self,
        _: MessageId,
        _: Bytes,
        _: DateTime<Utc>,
    ) -> SendFuture<Result<u32, StoreError>> {
        closed()
    }
    fn record_reply(&self, reply: RecordedReply) -> SendFuture<Result<(), StoreError>> {
        let mut refusals = lock(&self.refusals);
        let result = if *refusals > 0 {
            *refusals -= 1;
            Err(StoreError::Full)
        } else {
            lock(&self.replies).push(reply);
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }
    fn mark_projected(&self, _: Vec<Sequence>) -> SendFuture<Result<(), StoreError>> {
        closed()
    }
    fn pending_inbox(
        &self,
        _: Sequence,
        _: usize,
    ) -> SendFuture<Result<Vec<PendingItem>, StoreError>> {
        closed()
    }
    fn load(
        &self,
        _: Vec<Sequence>,
    ) -> SendFuture<Result<Vec<(Sequence, Arc<StoredMessage>)>, StoreError>> {
        closed()
    }
    fn newest_of_context(
        &self,
        _: ContextId,
    ) -> SendFuture<Result<Option<(Sequence, MessageId)>, StoreError>> {
        closed()
    }
    fn replies(&self, _: MessageId) -> SendFuture<Result<Vec<RecordedReply>, StoreError>> {
        closed()
    }
    fn probe(&self) -> SendFuture<Result<(), StoreError>> {
        closed()
    }
    fn prune(&self, _: DateTime<Utc>, _: usize) -> SendFuture<Result<usize, StoreError>> {
        closed()
    }
    fn stats(&self) -> SendFuture<Result<StoreStats, StoreError>> {
        closed()
    }
}

/// A clock that is moved by hand.
struct HandClock(Mutex<DateTime<Utc>>);

impl HandClock {
    fn pass(&self, time: Duration) {
        *lock(&self.0) += time;
    }
}

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *lock(&self.0)
    }
}

/// Stands for the inbox writer.
#[derive(Default)]
struct Inbox(Arc<Mutex<Vec<ReplyArrived>>>);

impl Actor for Inbox {
    type Context = Context<Self>;
}

impl Handler<ReplyArrived> for Inbox {
    type Result = ();
    fn handle(&mut self, arrived: ReplyArrived, _: &mut Self::Context) {
        lock(&self.0).push(arrived);
    }
}

struct Office {
    relay: Addr<BackendRelay>,
    store: Arc<ReplyStore>,
    clock: Arc<HandClock>,
    arrived: Arc<Mutex<Vec<ReplyArrived>>>,
}

fn backend(name: &str, fallback: Option<&str>) -> BackendConfig {
    let second = Duration::from_secs(1);
    BackendConfig {
        name: name.into(),
        base_url: "http://127.0.0.1:1".into(),
        credential: Credential::None,
        model: None,
        instruction: None,
        timeouts: UpstreamTimeouts {
            connect: second,
            first_byte: second,
            idle: second,
            whole: second,
        },
        on_disconnect: OnDisconnect::Finish,
        fallback: fallback.map(Into::into),
    }
}

fn open_office(backends: Vec<BackendConfig>) -> Office {
    let store = Arc::new(ReplyStore::default());
    let start = Utc.timestamp_opt(1_800_000_000, 0).unwrap();
    let clock = Arc::new(HandClock(Mutex::new(start)));
    let arrived = Arc::default();
    let inbox = Inbox(Arc::clone(&arrived)).start();
    let relay = BackendRelay::new(BackendRelayParts {
        store: Arc::clone(&store) as _,
        inbox: inbox.recipient(),
        clock: Arc::clone(&clock) as _,
        backends,
        circuits: CircuitSettings::default(),
    });
    Office {
        relay: relay.start(),
        store,
        clock,
        arrived,
    }
}

impl Office {
    async fn admit(&self) -> Result<RelayPlan, RelayRefused> {
        let message = message();
        self.relay.send(AdmitRelay { message }).await.unwrap()
    }

    async fn admitted_names(&self) -> Vec<String> {
        let plan = self.admit().await.unwrap();
        let names = plan.backends.iter().map(|backend| backend.name.to_string());
        let names = names.collect();
        self.end(Some(plan.relay), None).await;
        names
    }

    async fn end(&self, relay: Option<RelayId>, reply: Option<RecordedReply>) {
        let elapsed = Duration::from_secs(1);
        let ended = RelayProgress::Ended {
            relay,
            reply,
            elapsed,
        };
        self.relay.send(ended).await.unwrap();
    }

    async fn fail(&self, relay: RelayId, backend: &str, failure: AttemptFailure) {
        let backend = backend.into();
        let failed = RelayProgress::AttemptFailed {
            relay,
            backend,
            failure,
        };
        self.relay.send(failed).await.unwrap();
    }

    async fn wait_for_notice(&self) {
        let told = async {
            while lock(&self.arrived).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(8), told).await;
        waited.expect("the inbox was never told");
    }

    async fn break_down(&self, backend: &str) {
        let plan = self.admit().await.unwrap();
        for _ in 0..5 {
            self.fail(plan.relay, backend, AttemptFailure::Connect)
                .await;
        }
        self.end(Some(plan.relay), None).await;
    }
}

fn message() -> MessageId {
    MessageId::new(Uuid::from_u128(7))
}

fn reply(text: &str) -> RecordedReply {
    RecordedReply {
        message: message(),
        exchange: 0,
        backend: "main".to_owned(),
        text: Some(text.into()),
        outcome: RelayOutcome::Partial,
        ended_at: Utc.timestamp_opt(1_800_000_001, 0).unwrap(),
    }
}

#[actix_rt::test]
async fn the_main_backend_comes_first_and_a_circle_of_fallbacks_ends() {
    let office = open_office(vec![
        backend("main", Some("second")),
        backend("unused", None),
        backend("second", Some("main")),
    ]);
    assert_eq!(office.admitted_names().await, ["main", "second"]);
}

#[actix_rt::test]
async fn without_a_backend_every_relay_is_refused() {
    let office = open_office(vec![]);
    assert_eq!(office.admit().await.unwrap_err(), RelayRefused::NoBackend);
}

#[actix_rt::test]
async fn a_dead_backend_is_passed_over_until_one_probe_succeeds() {
    let office = open_office(vec![
        backend("main", Some("second")),
        backend("second", None),
    ]);
    office.break_down("main").await;
    assert_eq!(office.admitted_names().await, ["second"]);
    office.clock.pass(Duration::from_secs(30));
    let probing = office.admit().await.unwrap();
    assert_eq!(&*probing.backends[0].name, "main");
    assert_eq!(office.admitted_names().await, ["second"]);
    let begun = RelayProgress::FirstByte {
        relay: probing.relay,
        backend: "main".into(),
        elapsed: Duration::from_secs(1),
    };
    office.relay.send(begun).await.unwrap();
    assert_eq!(office.admitted_names().await, ["main", "second"]);
}

#[actix_rt::test]
async fn a_probe_that_was_never_made_is_free_again_when_its_relay_ends() {
    let office = open_office(vec![backend("main", None)]);
    office.break_down("main").await;
    assert_eq!(
        office.admit().await.unwrap_err(),
        RelayRefused::CircuitsOpen
    );
    office.clock.pass(Duration::from_secs(30));
    assert_eq!(office.admitted_names().await, ["main"]);
    assert_eq!(office.admitted_names().await, ["main"]);
}

#[actix_rt::test]
async fn retries_are_refused_to_strangers_and_to_a_dead_backend() {
    let office = open_office(vec![backend("main", None)]);
    let plan = office.admit().await.unwrap();
    let retry = |relay| {
        let backend = "main".into();
        office.relay.send(AdmitRetry { relay, backend })
    };
    assert!(retry(plan.relay).await.unwrap());
    assert!(!retry(RelayId(99)).await.unwrap());
    office.break_down("main").await;
    assert!(!retry(plan.relay).await.unwrap());
}

#[actix_rt::test]
async fn a_reply_is_kept_first_and_then_told_to_the_inbox() {
    let office = open_office(vec![backend("main", None)]);
    office.end(None, Some(reply("hello"))).await;
    office.wait_for_notice().await;
    assert_eq!(*lock(&office.store.replies), [reply("hello")]);
    let arrived = lock(&office.arrived);
    assert_eq!(arrived.len(), 1);
    assert_eq!(arrived[0].text.as_deref(), Some("hello"));
    assert_eq!(arrived[0].outcome, RelayOutcome::Partial);
}

#[actix_rt::test]
async fn a_full_store_is_asked_again_and_the_inbox_hears_in_the_end_either_way() {
    for (refusals, kept) in [(3, 1), (100, 0)] {
        let office = open_office(vec![backend("main", None)]);
        *lock(&office.store.refusals) = refusals;
        office.end(None, Some(reply("hello"))).await;
        office.wait_for_notice().await;
        assert_eq!(lock(&office.store.replies).len(), kept);
        assert_eq!(lock(&office.arrived).len(), 1);
    }
}

#[actix_rt::test]
async fn the_status_counts_running_relays_and_names_open_circuits() {
    let office = open_office(vec![backend("main", None)]);
    let plan = office.admit().await.unwrap();
    office.clock.pass(Duration::from_millis(1500));
    let status = office.relay.send(GetStatus).await.unwrap();
    assert_eq!((status.waiting, status.oldest_waiting_ms), (1, Some(1500)));
    assert_eq!(status.state, "ok");
    office.end(Some(plan.relay), None).await;
    office.break_down("main").await;
    let status = office.relay.send(GetStatus).await.unwrap();
    assert_eq!((status.waiting, status.oldest_waiting_ms), (0, None));
    assert_eq!(status.state, "circuit open: main");
}
