//! One trace from the message to the callback, as a real collector has it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener, time::Instant};

use crate::support::{
    agents::{KEEP_PROMPT, Stage},
    broker::Broker,
    collector::{CollectedSpan, Collector},
    messages::{Office, fixture, message},
    peers::{Peer, Received},
    tools::ClientResult,
    wait::{until, until_async},
};

const SECRET: &str = "canary-secret-of-the-office";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const OTHER_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "b7ad6b7169203331";

/// A message with a callback, and what of it hangs on what.
const FROM_POST_TO_PEER: [&str; 5] = [
    "POST /message",
    "task wait",
    "invoke_agent alice",
    "POST /send",
    "deliver office",
];

fn header(trace: &str, flags: &str) -> String {
    format!("00-{trace}-{CALLER}-{flags}")
}

/// Keeps what the turn is told, then does as another command.
fn traced(stage: &Stage, command: &str) -> String {
    let text = format!(
        "echo \"$TRACEPARENT\" >> \"$STAGE/told\"\necho \"$POSTROOM_TURN_TOKEN\" >> \"$STAGE/tokens\"\nexec {command}\n"
    );
    stage.script("traced.sh", &text)
}

/// Waits until a file is opened, then answers whoever asked.
fn patient(stage: &Stage) -> String {
    let send = "curl -sS -X POST \"$POSTROOM_URL/send\" -H \"Authorization: Bearer $POSTROOM_TURN_TOKEN\" \
                -H 'Content-Type: application/json' -d '{\"type\":\"STATUS\",\"payload\":{\"text\":\"canary-callback\"}}'";
    let text =
        format!("{KEEP_PROMPT}while [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\n{send}\n");
    stage.script("patient.sh", &text)
}

/// An office that answers its peer `office`.
fn office(stage: &Stage, command: &str, url: &str, telemetry: &str) -> Office {
    Office::new()
        .agent(stage, "alice", command, "")
        .peer("office", url, SECRET, "to = \"alice\"")
        .with(telemetry)
}

/// The configuration that sends traces to somebody who says the same to everything, or nothing.
async fn bad_collector(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(answer) = answer {
                // The other side may be gone.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            held.push(stream);
        }
    });
    format!("[telemetry]\notlp_endpoint = \"{url}\"\n")
}

fn lines(stage: &Stage, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(stage.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

async fn post(broker: &Broker, text: &str, fields: Value, traceparent: &str) {
    let headers = [("traceparent", traceparent)];
    let body = message("TASK", text, fields);
    let answer = broker.message_with(SECRET, &body, &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn told_to(peer: &Received) -> String {
    let told = peer.header("traceparent");
    told.unwrap_or_else(|| panic!("no traceparent in {peer:?}"))
        .to_owned()
}

fn assert_within(inner: &CollectedSpan, outer: &CollectedSpan) {
    assert!(inner.started <= inner.ended, "{inner:?}");
    assert!(outer.started <= inner.started, "{inner:?} in {outer:?}");
}

#[actix_web::test]
async fn a_foreign_trace_goes_through_message_turn_and_callback_to_the_peer() -> ClientResult {
    let collector = Collector::start().await?;
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let command = traced(&stage, &fixture("send.sh", "STATUS - canary-callback"));
    let office = office(&stage, &command, peer.url(), &collector.telemetry());
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    post(&broker, "canary-body", json!({}), &header(TRACE, "01")).await;
    let received = peer.until_received(1).await.remove(0);

    let spans = collector.until_trace(TRACE, &FROM_POST_TO_PEER).await;
    let [message, wait, turn, send, deliver] = spans.as_slice() else {
        panic!("{spans:#?}")
    };
    assert_eq!(message.parent, CALLER);
    assert_eq!(message.kind, "SPAN_KIND_SERVER");
    assert_eq!(message.attribute("http.response.status_code"), "Int(200)");
    assert_eq!(wait.parent, message.id);
    assert_eq!(turn.parent, message.id);
    assert_eq!(turn.attribute("gen_ai.operation.name"), "Str(invoke_agent)");
    assert_eq!(turn.attribute("gen_ai.agent.name"), "Str(alice)");
    assert_eq!(turn.attribute("postroom.turn.state"), "Str(done)");
    assert_eq!(send.parent, turn.id);
    assert_eq!(deliver.parent, send.id);
    assert_eq!(deliver.kind, "SPAN_KIND_CLIENT");
    assert_eq!(deliver.attribute("postroom.outcome"), "Str(taken)");
    for (inner, outer) in [(turn, message), (send, turn), (deliver, send)] {
        assert_within(inner, outer);
    }
    // Whoever works for us is told where its own spans belong.
    assert_eq!(lines(&stage, "told"), [turn.traceparent()]);
    assert_eq!(told_to(&received), deliver.traceparent());

    let text = collector.text();
    assert!(text.contains("service.name: Str(postroom)"), "{text}");
    assert!(text.contains("service.version: Str("), "{text}");
    let token = lines(&stage, "tokens").remove(0);
    for canary in ["canary", token.as_str(), broker.key()] {
        assert!(!text.contains(canary), "{canary} in {text}");
    }
    Ok(())
}

#[actix_web::test]
async fn a_trace_goes_on_after_the_broker_was_killed_in_the_middle() -> ClientResult {
    let collector = Collector::start().await?;
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let command = traced(&stage, &patient(&stage));
    let office = office(&stage, &command, peer.url(), &collector.telemetry());
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    // The first one keeps the agent busy, so that the second has no turn before the kill.
    post(
        &broker,
        "one",
        json!({"context_id": "a"}),
        &header(TRACE, "01"),
    )
    .await;
    stage.until_prompts(1).await;
    post(
        &broker,
        "two",
        json!({"context_id": "b"}),
        &header(OTHER_TRACE, "01"),
    )
    .await;
    let first = collector
        .until_trace(TRACE, &FROM_POST_TO_PEER[..2])
        .await
        .remove(0);
    let second = collector.until_trace(OTHER_TRACE, &FROM_POST_TO_PEER[..1]);
    let second = second.await.remove(0);

    let broker = broker.kill_and_restart().await;
    stage.open();
    let received = peer.until_received(2).await;
    let spans = collector.until_trace(OTHER_TRACE, &FROM_POST_TO_PEER).await;
    assert_eq!(spans[0].id, second.id);
    assert_eq!(spans[1].parent, second.id, "the wait");
    assert_eq!(spans[2].parent, second.id, "the turn");
    assert_eq!(spans[3].parent, spans[2].id, "the callback");
    assert_eq!(spans[4].parent, spans[3].id, "its delivery");
    let told: Vec<String> = received.iter().map(told_to).collect();
    assert!(told.contains(&spans[4].traceparent()), "{told:?}");

    // The turn that was cut off has its span too, since others may hang on it.
    let names: Vec<&str> = FROM_POST_TO_PEER
        .into_iter()
        .chain(["invoke_agent alice"])
        .collect();
    let spans = collector.until_trace(TRACE, &names).await;
    let mut turns = [&spans[2], &spans[5]];
    turns.sort_by_key(|turn| turn.started);
    for turn in turns {
        assert_eq!(turn.parent, first.id);
    }
    assert_eq!(turns[0].status, "STATUS_CODE_ERROR");
    assert_eq!(turns[0].attribute("error.type"), "Str(interrupted)");
    assert_eq!(turns[1].attribute("postroom.turn.state"), "Str(done)");
    assert_eq!(spans[3].parent, turns[1].id, "the callback");
    let told = lines(&stage, "told");
    assert_eq!(told[0], turns[0].traceparent());
    assert!(told[1..].contains(&turns[1].traceparent()), "{told:?}");
    drop(broker);
    Ok(())
}

#[actix_web::test]
async fn a_turn_with_several_messages_hangs_on_the_newest_and_is_linked_to_the_others()
-> ClientResult {
    let collector = Collector::start().await?;
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let office = office(&stage, &patient(&stage), peer.url(), &collector.telemetry());
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    let same = || json!({"context_id": "a"});
    post(&broker, "busy", same(), &header(&"1".repeat(32), "01")).await;
    stage.until_prompts(1).await;
    post(&broker, "older", same(), &header(TRACE, "01")).await;
    post(&broker, "newer", same(), &header(OTHER_TRACE, "01")).await;
    stage.open();
    let newer = collector.until_trace(OTHER_TRACE, &FROM_POST_TO_PEER).await;
    let older = collector.until_trace(TRACE, &FROM_POST_TO_PEER[..2]).await;
    assert_eq!(newer[2].parent, newer[0].id);
    assert_eq!(newer[2].links, [older[0].id.as_str()]);
    assert_eq!(newer[2].attribute("postroom.turn.tasks"), "Int(2)");
    Ok(())
}

#[actix_web::test]
async fn what_its_sender_does_not_record_is_passed_on_and_not_recorded() -> ClientResult {
    let collector = Collector::start().await?;
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let command = traced(&stage, &fixture("send.sh", "STATUS"));
    let office = office(&stage, &command, peer.url(), &collector.telemetry());
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    post(&broker, "secretly", json!({}), &header(TRACE, "00")).await;
    let received = peer.until_received(1).await.remove(0);
    assert_eq!(told_to(&received), header(TRACE, "00"));
    assert_eq!(lines(&stage, "told"), [header(TRACE, "00")]);
    post(&broker, "openly", json!({}), &header(OTHER_TRACE, "01")).await;
    collector.until_trace(OTHER_TRACE, &FROM_POST_TO_PEER).await;
    assert!(!collector.text().contains(TRACE), "{}", collector.text());
    Ok(())
}

#[actix_web::test]
async fn without_a_collector_a_trace_still_goes_from_the_message_to_the_peer() {
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let command = traced(&stage, &fixture("send.sh", "STATUS"));
    let office = office(&stage, &command, peer.url(), "");
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    post(&broker, "hello", json!({}), &header(TRACE, "01")).await;
    let received = peer.until_received(1).await.remove(0);
    assert_eq!(told_to(&received), header(TRACE, "01"));
    // What is no trace is as good as none: then one begins here.
    post(&broker, "hello again", json!({}), "00-nonsense").await;
    let received = peer.until_received(2).await.remove(1);
    let told = told_to(&received);
    assert!(!told.contains(TRACE) && told.len() == 55, "{told}");
    assert_eq!(lines(&stage, "told"), [header(TRACE, "01"), told]);
}

#[actix_web::test]
async fn a_collector_that_hangs_holds_up_neither_messages_nor_the_stop() {
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let telemetry = bad_collector(None).await;
    let office = office(
        &stage,
        &fixture("send.sh", "STATUS"),
        peer.url(),
        &telemetry,
    );
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    post(&broker, "hello", json!({}), &header(TRACE, "01")).await;
    peer.until_received(1).await;
    let states = async || broker.turns_of("alice").await;
    let has_ended = |turns: &Vec<Value>| turns.iter().all(|turn| turn["state"] == "done");
    until_async("the turn's end", states, has_ended).await;
    let began = Instant::now();
    let (status, _folder) = broker.stop().await;
    assert!(status.success(), "{status}");
    assert!(
        began.elapsed() < Duration::from_secs(6),
        "{:?}",
        began.elapsed()
    );
}

#[actix_web::test]
async fn spans_that_no_collector_takes_are_counted_and_told_once() {
    let stage = Stage::new();
    let peer = Peer::that_takes_all();
    let refuses =
        "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 13\r\n\r\ncanary-answer";
    let telemetry = bad_collector(Some(refuses)).await;
    let office = office(
        &stage,
        &fixture("send.sh", "STATUS"),
        peer.url(),
        &telemetry,
    );
    let broker = Broker::start_in(std::sync::Arc::clone(stage.folder()), office.options()).await;
    post(&broker, "hello", json!({}), &header(TRACE, "01")).await;
    peer.until_received(1).await;
    let metrics = async || {
        let text = broker.get("/metrics").await.text;
        let line = text
            .lines()
            .find(|line| line.starts_with("postroom_spans_dropped_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
    };
    let is_some = |dropped: &Option<f64>| dropped.is_some_and(|dropped| dropped > 0.0);
    until_async("dropped spans", metrics, is_some).await;
    let warned = || {
        let lines = broker.log_lines();
        let about = lines
            .into_iter()
            .filter(|line| line.contains("spans are dropped"));
        about.collect::<Vec<_>>()
    };
    let warned = until("a warning", warned, |lines| !lines.is_empty()).await;
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(!warned[0].contains("canary"), "{warned:?}");
}
