//! Whole relays against the raw server: what the client gets, and what is recorded.

use std::{rc::Rc, sync::Arc, time::Duration};

use actix::Actor;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use postroom::forwarding::{Forwarder, ForwardingSettings, RelayAnswer, RelayJob};
use postroom_actors::{
    backend_relay::{BackendConfig, BackendRelay, BackendRelayParts, OnDisconnect},
    delivery::{Depth, Mailbox},
    domain::{
        circuit::CircuitSettings,
        envelope::{InboxForm, RelayOutcome, StoredMessage},
        ids::MessageId,
    },
    ports::{
        Clock, Credential, LocalFuture, MessageStore, Upstream, UpstreamError, UpstreamRequest,
        UpstreamResponse, traces::Traces,
    },
    router::Accepted,
    testing::{MemoryStore, envelope, no_activity},
};

use super::{
    server::{FOREVER, HostileServer, Step, send},
    through_port::{TIMEOUTS, upstream},
};

struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }
}

struct Rig {
    store: Arc<MemoryStore>,
    forwarder: Forwarder,
}

fn backend(name: &str, server: &HostileServer, fallback: Option<&str>) -> BackendConfig {
    BackendConfig {
        name: name.into(),
        base_url: format!("http://{}/v1", server.address).into(),
        credential: Credential::None,
        model: Some("m".to_owned()),
        instruction: None,
        timeouts: TIMEOUTS,
        on_disconnect: OnDisconnect::Finish,
        fallback: fallback.map(Into::into),
    }
}

fn rig(backends: Vec<BackendConfig>) -> Rig {
    rig_over(Rc::new(upstream()), backends)
}

fn rig_over(upstream: Rc<dyn Upstream>, backends: Vec<BackendConfig>) -> Rig {
    let store = Arc::new(MemoryStore::default());
    // The message that the replies belong to. A store in memory takes it at once.
    drop(store.accept(message()));
    let settings = ForwardingSettings {
        main: backends.first().cloned().map(Arc::new),
        agents: vec![],
        models_cache: Duration::from_mins(1),
        keep_alive: Duration::from_millis(200),
    };
    let parts = BackendRelayParts {
        store: Arc::clone(&store) as _,
        inbox_writer: Mailbox::new("inbox_writer"),
        clock: Arc::new(StoppedClock),
        backends,
        circuits: CircuitSettings::default(),
        depth: Depth::default(),
        activity: no_activity(),
    };
    let relay = Mailbox::new("backend_relay");
    relay.connect(BackendRelay::new(parts).start());
    let clock = Arc::new(StoppedClock);
    Rig {
        store,
        forwarder: Forwarder::new(upstream, relay, clock, settings, Traces::default()),
    }
}

fn message() -> Arc<StoredMessage> {
    let envelope = envelope(1, None, "hello");
    Arc::new(StoredMessage {
        traceparent: None,
        id: envelope.id,
        received_at: envelope.received_at,
        context_id: None,
        prompt: envelope.prompt,
        form: InboxForm::Whole,
        body: Some(envelope.body),
        reply_due: None,
    })
}

fn job(stream: bool) -> RelayJob<&'static str> {
    RelayJob {
        message: MessageId::new(uuid::Uuid::from_u128(1)),
        body: Bytes::from_static(br#"{"model":"local-agent","messages":[]}"#),
        model: Some("local-agent".to_owned()),
        context_id: None,
        continues_in_tool_loop: false,
        traceparent: None,
        empty_stream: stream.then(|| Box::new(|| Bytes::from_static(b"data: EMPTY\n\n")) as _),
        accepted: Box::pin(std::future::ready(Ok(Accepted {
            message: message().id,
            exchange: 0,
        }))),
    }
}

/// What the client got: `None` for the empty completion.
async fn got(answer: RelayAnswer<&'static str>) -> Option<String> {
    match answer {
        RelayAnswer::NotAccepted(error) => panic!("not accepted: {error}"),
        RelayAnswer::NoReply => None,
        RelayAnswer::Reply { body, .. } => {
            let chunks: Vec<_> = body.map(Result::unwrap).collect().await;
            Some(String::from_utf8(chunks.concat()).unwrap())
        }
    }
}

impl Rig {
    async fn relay(&self, stream: bool) -> Option<String> {
        let relayed = async { got(self.forwarder.relay(job(stream)).await).await };
        let relayed = tokio::time::timeout(Duration::from_secs(6), relayed).await;
        relayed.expect("the relay hangs")
    }

    /// The first reply that is recorded: its outcome and text.
    async fn recorded(&self) -> (RelayOutcome, Option<String>) {
        let recorded = async {
            loop {
                if let Some(reply) = self.store.all_replies().first() {
                    return (reply.outcome, reply.text.as_deref().map(str::to_owned));
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let recorded = tokio::time::timeout(Duration::from_secs(6), recorded).await;
        recorded.expect("no reply was recorded")
    }
}

const SSE: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
const A: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn json(body: &str) -> Step {
    let length = body.len();
    send(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

async fn alone(script: Vec<Step>) -> Rig {
    let server = HostileServer::start(vec![script]).await;
    rig(vec![backend("main", &server, None)])
}

const COMPLETION: &str = r#"{"choices":[{"message":{"content":"hi"}}]}"#;

#[actix_rt::test]
async fn a_sound_answer_arrives_byte_for_byte_and_is_recorded() {
    let rig = alone(vec![json(COMPLETION)]).await;
    assert_eq!(rig.relay(false).await.as_deref(), Some(COMPLETION));
    assert_eq!(
        rig.recorded().await,
        (RelayOutcome::Complete, Some("hi".to_owned()))
    );
    let rig = alone(vec![send(SSE), send(A), send(DONE)]).await;
    assert_eq!(rig.relay(true).await, Some(format!("{A}{DONE}")));
    assert_eq!(
        rig.recorded().await,
        (RelayOutcome::Complete, Some("a".to_owned()))
    );
}

#[actix_rt::test]
async fn what_is_no_usable_answer_gives_the_empty_completion() {
    for script in [
        vec![send("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")],
        vec![send(
            "HTTP/1.1 302 No\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        )],
        vec![send("garbage\r\n\r\n")],
        vec![send(
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"choices\":",
        )],
        vec![json(r#"{"choices":[{"#)],
        vec![json(r#"{"error":{"message":"x"}}"#)],
        vec![Step::Wait(FOREVER)],
    ] {
        let name = format!("{script:?}");
        let rig = alone(script).await;
        assert_eq!(rig.relay(false).await, None, "{name}");
        assert_eq!(rig.recorded().await, (RelayOutcome::Failed, None), "{name}");
    }
}

#[actix_rt::test]
async fn a_stream_that_breaks_ends_in_an_error_event_and_is_kept_as_partial() {
    for (sent, gap) in [(A.to_owned(), ""), (format!("{A}data: {{\"ch"), "\n\n")] {
        let rig = alone(vec![
            send(SSE),
            send(&sent),
            Step::Wait(Duration::from_millis(50)),
            Step::Reset,
        ])
        .await;
        let got = rig.relay(true).await.unwrap();
        let told = got.strip_prefix(&format!("{sent}{gap}data: {{\"error\":"));
        assert!(told.is_some_and(|rest| rest.ends_with(DONE)), "{got}");
        assert_eq!(
            rig.recorded().await,
            (RelayOutcome::Partial, Some("a".to_owned()))
        );
    }
}

#[actix_rt::test]
async fn silence_is_filled_with_comments_before_and_after_the_first_byte() {
    let pause = || Step::Wait(Duration::from_millis(300));
    let rig = alone(vec![pause(), send(SSE), send(A), pause(), send(DONE)]).await;
    let beat = ": keep-alive\n\n";
    assert_eq!(
        rig.relay(true).await,
        Some(format!("{beat}{A}{beat}{DONE}"))
    );
}

#[actix_rt::test]
async fn a_promised_stream_ends_in_the_empty_completion_or_the_converted_answer() {
    let rig = alone(vec![Step::Wait(FOREVER)]).await;
    let got = rig.relay(true).await.unwrap();
    assert!(
        got.ends_with("data: EMPTY\n\n") && got.starts_with(": keep-alive"),
        "{got}"
    );
    let rig = alone(vec![
        Step::Wait(Duration::from_millis(300)),
        json(COMPLETION),
    ])
    .await;
    let got = rig.relay(true).await.unwrap();
    assert!(
        got.contains(r#""delta":{"content":"hi"}"#) && got.ends_with(DONE),
        "{got}"
    );
}

#[actix_rt::test]
async fn busy_backends_are_tried_again_and_dead_ones_replaced() {
    let busy = vec![send(
        "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    )];
    let server = HostileServer::start(vec![busy.clone(), vec![json(COMPLETION)]]).await;
    let rig_once = rig(vec![backend("main", &server, None)]);
    assert_eq!(rig_once.relay(false).await.as_deref(), Some(COMPLETION));
    assert_eq!(server.connections(), 2);
    let dead = HostileServer::start(vec![busy]).await;
    let second = HostileServer::start(vec![vec![json(COMPLETION)]]).await;
    let rig_two = rig(vec![
        backend("main", &dead, Some("second")),
        backend("second", &second, None),
    ]);
    assert_eq!(rig_two.relay(false).await.as_deref(), Some(COMPLETION));
    assert_eq!(dead.connections(), 3);
}

#[actix_rt::test]
async fn nothing_reaches_the_client_of_a_request_that_was_not_accepted() {
    let rig = alone(vec![json(COMPLETION)]).await;
    let mut refused = job(false);
    refused.accepted = Box::pin(async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err("full")
    });
    let answer = rig.forwarder.relay(refused).await;
    assert!(
        matches!(answer, RelayAnswer::NotAccepted("full")),
        "{answer:?}"
    );
    assert!(rig.store.all_replies().is_empty());
}

#[actix_rt::test]
async fn a_client_that_goes_away_leaves_the_relay_to_finish_or_cancels_it() {
    let script = || {
        vec![
            send(SSE),
            send(A),
            Step::Wait(Duration::from_millis(200)),
            send(A),
            send(DONE),
        ]
    };
    for (policy, outcome, text) in [
        (OnDisconnect::Finish, RelayOutcome::Complete, "aa"),
        (OnDisconnect::Cancel, RelayOutcome::Cancelled, "a"),
    ] {
        let server = HostileServer::start(vec![script()]).await;
        let mut config = backend("main", &server, None);
        config.on_disconnect = policy;
        let rig = rig(vec![config]);
        drop(rig.forwarder.relay(job(true)).await);
        assert_eq!(rig.recorded().await, (outcome, Some(text.to_owned())));
    }
}

#[actix_rt::test]
async fn model_lists_are_fetched_once_and_kept() {
    let list = r#"{"object":"list","data":[{"id":"p/m"}]}"#;
    let server = HostileServer::start(vec![vec![json(list)]]).await;
    let rig = rig(vec![backend("main", &server, None)]);
    for _ in 0..3 {
        let models = rig.forwarder.backend_models().await.unwrap();
        assert_eq!(models.ids, ["p/m"]);
        assert_eq!(models.body, list);
    }
    assert_eq!(server.connections(), 1);
}

struct PanickingUpstream;

impl Upstream for PanickingUpstream {
    fn send(&self, _: UpstreamRequest) -> LocalFuture<Result<UpstreamResponse, UpstreamError>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            panic!("on purpose")
        })
    }
}

#[actix_rt::test]
async fn a_relay_task_that_panics_still_reports_its_end() {
    let server = HostileServer::start(vec![vec![]]).await;
    let backends = vec![backend("main", &server, None)];
    let rig = rig_over(Rc::new(PanickingUpstream), backends);
    assert_eq!(rig.relay(false).await, None);
    assert_eq!(rig.recorded().await, (RelayOutcome::Failed, None));
}
