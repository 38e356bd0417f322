use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix::Addr;
use chrono::TimeZone;
use uuid::Uuid;

use super::*;
use crate::{
    domain::envelope::{InboxForm, PendingItem, RelayOutcome, StoredMessage},
    inbox_writer::{AppendToInbox, InboxWriterParts},
    ports::{Credential, UpstreamTimeouts, traces::Traces},
    testing::{MemoryInbox, MemoryStore, envelope, no_activity},
};

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

struct Office {
    relay: Addr<BackendRelay>,
    store: Arc<MemoryStore>,
    inbox: Arc<MemoryInbox>,
    clock: Arc<HandClock>,
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

/// An office whose inbox holds a message that waits for a reply.
async fn open_office(backends: Vec<BackendConfig>) -> Office {
    let (store, inbox) = (
        Arc::new(MemoryStore::default()),
        Arc::new(MemoryInbox::default()),
    );
    let start = Utc.timestamp_opt(1_800_000_000, 0).unwrap();
    let clock = Arc::new(HandClock(Mutex::new(start)));
    let inbox_writer = Mailbox::new("inbox_writer");
    let writer = InboxWriter::new(InboxWriterParts {
        batch_window: Duration::ZERO,
        extras: Arc::default(),
        store: store.clone(),
        inbox: inbox.clone(),
        router: Mailbox::new("router"),
        clock: clock.clone(),
        depth: inbox_writer.depth(),
        is_behind: tokio::sync::watch::Sender::new(false),
        activity: no_activity(),
        traces: Traces::default(),
    });
    inbox_writer.connect(writer.start());
    inbox_writer
        .ask(GetStatus, Duration::from_secs(5))
        .await
        .unwrap();
    append_awaiting_message(&store, &inbox_writer, start).await;
    let relay = BackendRelay::new(BackendRelayParts {
        store: store.clone(),
        inbox_writer,
        clock: clock.clone(),
        backends,
        circuits: CircuitSettings::default(),
        depth: Depth::default(),
        activity: no_activity(),
    });
    Office {
        relay: relay.start(),
        store,
        inbox,
        clock,
    }
}

async fn append_awaiting_message(
    store: &MemoryStore,
    inbox_writer: &Mailbox<InboxWriter>,
    now: DateTime<Utc>,
) {
    let envelope = envelope(7, None, "a question");
    let message = Arc::new(StoredMessage {
        traceparent: None,
        id: envelope.id,
        received_at: now,
        context_id: None,
        prompt: envelope.prompt,
        form: InboxForm::Whole,
        body: Some(envelope.body),
        reply_due: Some(now + chrono::TimeDelta::hours(1)),
    });
    let sequence = store.accept(Arc::clone(&message)).await.unwrap();
    let item = PendingItem::of(sequence, &message);
    inbox_writer
        .try_deliver(AppendToInbox { item, message })
        .unwrap();
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
            while self.inbox.names().is_empty() {
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
    ])
    .await;
    assert_eq!(office.admitted_names().await, ["main", "second"]);
}

#[actix_rt::test]
async fn without_a_backend_every_relay_is_refused() {
    let office = open_office(vec![]).await;
    assert_eq!(office.admit().await.unwrap_err(), RelayRefused::NoBackend);
}

#[actix_rt::test]
async fn a_dead_backend_is_passed_over_until_one_probe_succeeds() {
    let office = open_office(vec![
        backend("main", Some("second")),
        backend("second", None),
    ])
    .await;
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
    let office = open_office(vec![backend("main", None)]).await;
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
    let office = open_office(vec![backend("main", None)]).await;
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
    let office = open_office(vec![backend("main", None)]).await;
    office.end(None, Some(reply("hello"))).await;
    office.wait_for_notice().await;
    assert_eq!(office.store.all_replies(), [reply("hello")]);
    assert_eq!(office.inbox.contents()[0]["backend-llm-reply"], "hello");
}

#[actix_rt::test]
async fn a_full_store_is_asked_again_and_the_inbox_hears_in_the_end_either_way() {
    for (refusals, kept) in [(3, 1), (100, 0)] {
        let office = open_office(vec![backend("main", None)]).await;
        office.store.refuse_next_replies(refusals);
        office.end(None, Some(reply("hello"))).await;
        office.wait_for_notice().await;
        assert_eq!(office.store.all_replies().len(), kept);
        assert_eq!(office.inbox.contents()[0]["backend-llm-reply"], "hello");
    }
}

#[actix_rt::test]
async fn the_status_counts_running_relays_and_names_open_circuits() {
    let office = open_office(vec![backend("main", None)]).await;
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
