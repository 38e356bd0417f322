//! The activity feed and `postroom tail`.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    agents::{AGENT, Stage},
    broker::{Broker, BrokerOptions},
    client::{Answer, chat},
    events::{Event, EventReader},
    messages::{Office, fixture, key_of, message},
    peers::{Peer, Reply},
    tails::Tail,
    wait::until,
};

const SECRET: &str = "secret-of-the-office";

fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event["kind"].as_str().unwrap());
    kinds.collect()
}

/// Whether these come in this order, whatever else comes between.
fn come_in_order(seen: &[&str], wanted: &[&str]) -> bool {
    let mut seen = seen.iter();
    wanted.iter().all(|kind| seen.any(|other| other == kind))
}

fn number(event: &Event) -> u64 {
    event.json()["number"].as_u64().unwrap()
}

/// A broker whose commands find it, with the agent `coder`.
async fn broker_with(stage: &Stage, script: &str) -> Broker {
    let command = stage.script("agent.sh", &format!("cat > /dev/null\n{script}\n"));
    Broker::start_in(Arc::clone(stage.folder()), stage.agent(&command, "")).await
}

async fn watch(broker: &Broker, query: &str, seen: Option<&str>) -> EventReader {
    let headers: Vec<_> = seen
        .map(|seen| ("last-event-id", seen))
        .into_iter()
        .collect();
    let path = format!("/events{query}");
    broker.follow("GET", &path, "", &headers).await
}

#[actix_web::test]
async fn a_message_its_turn_and_its_callback_are_told_in_their_order() {
    let stage = Stage::new();
    let peer = Peer::start(|_, _| Reply::Received);
    let command = fixture("send.sh", "STATUS - 'the ferries are counted'");
    let office = Office::new().agent(&stage, "alice", &command, "").peer(
        "office",
        peer.url(),
        SECRET,
        "to = \"alice\"",
    );
    let broker = Broker::start_in(Arc::clone(stage.folder()), office.options()).await;
    let tail = Tail::start(broker.folder(), &["--json"]);
    tail.until_line("service_started").await;
    let id = broker
        .receives(SECRET, &message("TASK", "Count the ferries.", json!({})))
        .await;
    let is_delivered = |event: &Value| event["kind"] == "delivered";
    tail.until_event("a delivery", is_delivered).await;
    let is_ended = |event: &Value| event["kind"] == "task_ended" && event["message"] == id.as_str();
    let events = tail.until_event("the end of the task", is_ended).await;
    let kinds = kinds(&events);
    let work = [
        "task_queued",
        "turn_began",
        "callback",
        "turn_ended",
        "task_ended",
    ];
    assert!(come_in_order(&kinds, &work), "{kinds:?}");
    let way = ["callback", "delivery_waiting", "delivered"];
    assert!(come_in_order(&kinds, &way), "{kinds:?}");
    let of = |kind: &str| events.iter().find(|event| event["kind"] == kind).unwrap();
    assert_eq!(of("task_queued")["from"], "peer:office", "{events:?}");
    assert_eq!(of("turn_began")["messages"], json!([id]), "{events:?}");
    assert_eq!(of("callback")["to"], "peer:office", "{events:?}");
    assert_eq!(of("callback")["type"], "STATUS", "{events:?}");
    let told = format!("{events:?}");
    assert!(!told.contains("ferries"), "no body is told: {told}");
    tail.interrupt();
    assert_eq!(tail.ended().await, Some(130));
}

#[actix_web::test]
async fn the_mailbox_is_told_to_those_who_watch_all() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let mut reader = watch(&broker, "", None).await;
    let greeting = reader.next().await.unwrap();
    assert_eq!(greeting.name.as_deref(), Some("watching"));
    assert_eq!(broker.chat(&chat("hello", json!({}))).await.status, 200);
    let events = reader.until("inbox_written").await;
    let names: Vec<_> = events
        .iter()
        .map(|event| event.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["message_accepted", "inbox_written"]);
    assert_eq!(events[0].json()["message"], events[1].json()["message"]);
    let numbers: Vec<_> = events.iter().map(number).collect();
    assert_eq!(numbers, [2, 3], "the start was the first");
}

#[actix_web::test]
async fn whoever_comes_back_goes_on_after_what_it_saw() {
    let stage = Stage::new();
    let broker = broker_with(&stage, "echo done").await;
    let mut reader = watch(&broker, "", None).await;
    let seen = reader.next().await.unwrap().id.unwrap();
    drop(reader);
    assert_eq!(broker.ask("one", "u").await.status, 200);
    let mut reader = watch(&broker, "", Some(&seen)).await;
    reader.next().await.unwrap();
    let events = reader.until("turn_began").await;
    let last = events.last().unwrap().id.clone().unwrap();
    let numbers: Vec<_> = events.iter().map(number).collect();
    assert_eq!(numbers, [2, 3]);
    drop(reader);
    let mut reader = watch(&broker, "?lines=5", Some(&last)).await;
    reader.next().await.unwrap();
    let events = reader.until("task_ended").await;
    let first = number(&events[0]);
    assert_eq!(first, 4, "{events:?}");
    let broker = broker.kill_and_restart().await;
    let mut reader = watch(&broker, "", Some(&last)).await;
    reader.next().await.unwrap();
    let events = reader.until("service_started").await;
    assert_eq!(events[0].name.as_deref(), Some("missed"));
    assert_eq!(events[0].json()["count"], Value::Null);
    assert_eq!(number(&events[1]), 1);
}

#[actix_web::test]
async fn tail_waits_for_a_service_that_is_started_anew() {
    let stage = Stage::new();
    let broker = broker_with(&stage, "echo done").await;
    let tail = Tail::start(broker.folder(), &[]);
    tail.until_line("started, version").await;
    broker.ask("one", "u").await;
    tail.until_line("done after").await;
    let broker = broker.kill_and_restart().await;
    tail.until_complaint("connected again").await;
    tail.until_line("the service was started anew").await;
    broker.ask("two", "u").await;
    let turns = || {
        let lines = tail.lines();
        lines
            .iter()
            .filter(|line| line.contains(" done after "))
            .count()
    };
    until("two turns", turns, |count| *count == 2).await;
    let lost = tail.until_complaint("connection lost").await;
    assert!(
        lost.iter().all(|line| line.starts_with("postroom tail: ")),
        "{lost:?}"
    );
    tail.interrupt();
    assert_eq!(tail.ended().await, Some(130));
}

#[actix_web::test]
async fn tail_of_an_agent_shows_what_its_turns_say_between_their_begin_and_their_end() {
    let stage = Stage::new();
    let script = "echo first words\nwhile [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\nprintf 'last words'";
    let command = stage.script("agent.sh", &format!("cat > /dev/null\n{script}\n"));
    let toml = stage.agent_toml(&command, "");
    let folder = stage.folder().path().display();
    let other = format!(
        "[agents.other]\ncli = {command:?}\ndialect = \"command\"\nenv = {{ STAGE = \"{folder}\" }}\n"
    );
    let options = BrokerOptions::toml(toml + &other);
    let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
    let early = Tail::start(broker.folder(), &[AGENT]);
    early.until_line("started, version").await;
    broker.ask_later("Speak.", "u").await;
    early.until_line("| first words").await;
    // One that comes while the turn runs hears it from its beginning.
    let late = Tail::start(broker.folder(), &[AGENT, "-n", "0", "--json"]);
    late.until_event("its first words", |event| event["text"] == "first words")
        .await;
    let body = json!({"model": "other", "input": "Speak.", "background": true});
    broker.post("/v1/responses", body.to_string(), &[]).await;
    stage.open();
    let lines = early.until_line(" done after ").await;
    let place = |part: &str| {
        lines
            .iter()
            .position(|line| line.contains(part))
            .unwrap_or_else(|| panic!("{part}: {lines:?}"))
    };
    let order = [
        " begins with ",
        "| first words",
        "| last words",
        " done after ",
    ]
    .map(place);
    assert!(order.is_sorted(), "{lines:?}");
    let ended = late
        .until_event("the end", |event| event["kind"] == "turn_ended")
        .await;
    assert!(
        come_in_order(&kinds(&ended), &["turn_said", "turn_said", "turn_ended"]),
        "{ended:?}"
    );
    broker.until_agent("idle").await;
    let all = early.until_line(" answered").await;
    assert!(all.iter().all(|line| !line.contains("other")), "{all:?}");
}

#[actix_web::test]
async fn no_words_of_an_agent_reach_the_terminal_as_commands() {
    let stage = Stage::new();
    let script = "printf 'a\\033[2Jb\\033]0;owned\\007c\\302\\2332Jd\\rback\\n'\nexit 3";
    let broker = broker_with(&stage, script).await;
    let tail = Tail::start(broker.folder(), &[AGENT]);
    let json = Tail::start(broker.folder(), &["--json", AGENT]);
    tail.until_line("started, version").await;
    json.until_line("service_started").await;
    broker.ask("x", "u").await;
    for tail in [tail, json] {
        tail.until_line("failed").await;
        let lines = tail.lines();
        let said = lines.iter().any(|line| line.contains("owned"));
        assert!(said, "{lines:?}");
        let commands = lines.iter().any(|line| line.chars().any(char::is_control));
        assert!(!commands, "{lines:?}");
    }
}

#[actix_web::test]
async fn a_reader_that_lags_behind_slows_nobody_and_is_told_all_or_how_much_it_missed() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let mut reader = watch(&broker, "", None).await;
    reader.next().await.unwrap();
    // Of names that are as long as bodies only the beginning is told.
    let filler = "x".repeat(20_000);
    let (all, at_once) = (300, 60);
    for part in 0..all / at_once {
        let messages = (0..at_once).map(|place| {
            let fields = json!({"thread": format!("{part}-{place}-{filler}")});
            let body = chat("hello", fields);
            let broker = &broker;
            async move { broker.chat(&body).await.status }
        });
        let answers = join_all(messages).await;
        assert!(answers.iter().all(|status| *status == 200));
    }
    broker.until_items(all).await;
    let (mut seen, mut missed, mut last) = (0, 0, 1);
    // One message and one file each.
    let everything = 1 + 2 * u64::try_from(all).unwrap();
    while last < everything {
        let event = reader.next().await.unwrap();
        if event.name.as_deref() == Some("missed") {
            let count = event.json()["count"].as_u64().unwrap();
            (missed, last) = (missed + count, last + count);
        } else {
            assert!(event.data.len() < 1000, "{event:?}");
            assert_eq!(number(&event), last + 1);
            (seen, last) = (seen + 1, last + 1);
        }
    }
    assert_eq!(seen + missed + 1, everything);
}

#[actix_web::test]
async fn tail_ends_by_itself_when_nobody_reads_it_any_more() {
    let stage = Stage::new();
    let broker = broker_with(&stage, "echo done").await;
    let mut tail = Tail::unread(broker.folder(), &[]);
    tail.close();
    assert_eq!(tail.ended().await, Some(0));
    let mut late = Tail::unread(broker.folder(), &["-n", "0"]);
    // It has something to write just when nobody reads it any more.
    late.close();
    broker.ask("one", "u").await;
    assert_eq!(late.ended().await, Some(0));
}

#[actix_web::test]
async fn what_cannot_be_followed_is_told_in_words() {
    let stage = Stage::new();
    let broker = broker_with(&stage, "echo done").await;
    let tail = Tail::start(broker.folder(), &["nobody"]);
    tail.until_complaint("there is no agent `nobody`; there are: coder")
        .await;
    assert_eq!(tail.ended().await, Some(1));
    let tail = Tail::start(broker.folder(), &["-n", "1001"]);
    assert_eq!(tail.ended().await, Some(64));
    let path = broker.folder().join("runtime.json");
    let mut runtime: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    runtime["key"] = "wrong".into();
    std::fs::write(&path, runtime.to_string()).unwrap();
    let tail = Tail::start(broker.folder(), &[]);
    tail.until_complaint("unauthorized").await;
    assert_eq!(tail.ended().await, Some(77));
    drop(broker.kill());
    let tail = Tail::start(stage.folder().path(), &[]);
    tail.until_complaint("postroom is not running").await;
    assert_eq!(tail.ended().await, Some(69));
}

#[actix_web::test]
async fn only_operators_watch_and_only_so_many() {
    let stage = Stage::new();
    let office = Office::new()
        .agent(&stage, "alice", "true", "")
        .key_of_agent("alice");
    let broker = office.start().await;
    let key = format!("Bearer {}", key_of("alice"));
    let ask = async |key: Option<&str>, path: &str| -> Answer {
        let headers: Vec<_> = key.map(|key| ("authorization", key)).into_iter().collect();
        broker.send("GET", path, String::new(), &headers).await
    };
    assert_eq!(ask(Some(&key), "/events").await.status, 403);
    assert_eq!(ask(None, "/events").await.status, 401);
    assert_eq!(broker.get("/events?agent=nobody").await.status, 404);
    assert_eq!(broker.get("/events?lines=1001").await.status, 400);
    let mut readers = Vec::new();
    for _ in 0..64 {
        let mut reader = watch(&broker, "", None).await;
        reader.next().await.unwrap();
        readers.push(reader);
    }
    let refused = broker.get("/events").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let has_pause = refused
        .headers
        .iter()
        .any(|(name, _)| name == "retry-after");
    assert!(has_pause, "{refused:?}");
    broker.post("/agents/alice/stop", "{}", &[]).await;
    for mut reader in readers {
        let event = reader.next().await.unwrap();
        assert_eq!(event.name.as_deref(), Some("agent_stopped"));
    }
}

#[actix_web::test]
async fn the_feed_ends_with_the_service_and_does_not_hold_it_up() {
    let broker = Broker::start(BrokerOptions::default()).await;
    let mut reader = watch(&broker, "", None).await;
    reader.next().await.unwrap();
    let began = Instant::now();
    let (status, _) = broker.stop().await;
    assert!(status.success(), "{status}");
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    let rest = reader.rest().await;
    let names: Vec<_> = rest
        .iter()
        .map(|event| event.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["service_stopping"]);
}

#[actix_web::test]
async fn an_agents_state_tells_when_its_turn_was_last_heard_of() {
    let stage = Stage::new();
    let script = "while [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\necho done";
    let broker = broker_with(&stage, script).await;
    broker.ask_later("Wait.", "u").await;
    let agent = broker.until_agent("running").await;
    let turn = &agent["turns"][0];
    assert!(turn["last_event_at"].is_string(), "{agent}");
    assert!(turn["quiet_ms"].is_u64(), "{agent}");
    stage.open();
    broker.until_agent("idle").await;
}
