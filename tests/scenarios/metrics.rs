//! What `/metrics` shows: what the catalogue names, counted over crashes, and whoever hangs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use postroom::telemetry;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    agents::{KEEP_PROMPT, Stage},
    backend::{
        Asked, ScriptedBackend, Step, completion, delta, json_answer, stream_end, stream_head,
    },
    broker::{Broker, BrokerOptions},
    client::chat,
    messages::{Office, SHORT, key_of, message},
    peers::{Peer, PeerPort},
    tools::{ClientFailure, installed},
    wait::until_async,
};

const SECRET: &str = "secret-of-a-peer";

/// Answers as claude does, at a price; the session's total grows with each turn.
const PAID: &str = r#"echo run >> "$STAGE/runs"
total=$(wc -l < "$STAGE/runs")
echo '{"type":"system","subtype":"init","session_id":"thread-1"}'
echo '{"type":"result","subtype":"success","is_error":false,"result":"done","usage":{"input_tokens":11,"output_tokens":5},"total_cost_usd":'$total'.25}'
"#;

/// What `/metrics` said.
#[derive(Debug)]
struct Scrape {
    text: String,
    /// By name, what `# TYPE` says, as often as it says it.
    types: BTreeMap<String, Vec<String>>,
    helped: Vec<String>,
    /// By series, its value.
    series: BTreeMap<String, f64>,
}

impl Scrape {
    fn read(text: String) -> Self {
        let mut scrape = Self {
            text: String::new(),
            types: BTreeMap::new(),
            helped: Vec::new(),
            series: BTreeMap::new(),
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words.as_slice() {
                ["#", "TYPE", name, kind] => {
                    let types = scrape.types.entry((*name).to_owned()).or_default();
                    types.push((*kind).to_owned());
                }
                ["#", "HELP", name, _] => scrape.helped.push((*name).to_owned()),
                _ => {
                    let (series, value) = line.rsplit_once(' ').unwrap();
                    scrape
                        .series
                        .insert(series.to_owned(), value.parse().unwrap());
                }
            }
        }
        scrape.text = text;
        scrape
    }

    fn value(&self, series: &str) -> f64 {
        let value = self.series.get(series);
        *value.unwrap_or_else(|| panic!("no `{series}` in\n{}", self.text))
    }
}

impl Broker {
    async fn scrape(&self) -> Scrape {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Scrape::read(answer.text)
    }

    /// Waits until a series has a value.
    async fn until_counted(&self, series: &str, value: f64) -> Scrape {
        let what = format!("{series} {value}");
        let look = async || self.scrape().await;
        let is_there = |seen: &Scrape| {
            let found = seen.series.get(series);
            found.is_some_and(|found| (found - value).abs() < 1e-9)
        };
        until_async(&what, look, is_there).await
    }
}

/// The agents `coder`, at a price, and `alice`, who writes from outside of her turns.
fn office(stage: &Stage) -> Office {
    let paid = stage.script("paid.sh", &format!("{KEEP_PROMPT}{PAID}"));
    let folder = stage.folder().path().display().to_string();
    let idle = stage.script("idle.sh", "cat > /dev/null\necho done\n");
    Office::new()
        .with(&format!(
            "[agents.coder]\ncli = {paid:?}\ndialect = \"claude\"\nenv = {{ STAGE = {folder:?} }}\n"
        ))
        .agent(stage, "alice", &idle, "")
        .key_of_agent("alice")
}

fn to(recipient: &str, text: &str) -> Value {
    message("STATUS", text, json!({"to": recipient}))
}

#[actix_web::test]
async fn what_is_added_up_over_days_goes_on_after_a_kill() {
    let stage = Stage::new();
    let lab = Peer::that_takes_all();
    let nobody = PeerPort::reserve();
    let broker = office(&stage)
        .peer("lab", lab.url(), SECRET, "")
        .peer(
            "gone",
            &nobody.url(),
            "secret-of-the-gone",
            &format!("schedule = {SHORT}"),
        )
        .start()
        .await;
    let fresh = broker.scrape().await;
    assert!(
        !fresh.text.contains("postroom_turns_total{"),
        "{}",
        fresh.text
    );
    assert!((fresh.value("postroom_dead_letters")).abs() < 1e-9);

    let asked = chat("work", json!({"model": "coder", "user": "u"}));
    assert_eq!(broker.chat(&asked).await.content(), "done");
    let delivered = broker.sends("alice", &to("lab", "hello")).await;
    broker.until_message(&delivered, "delivered").await;
    let to_coder = broker.sends("alice", &to("coder", "hello")).await;
    broker.until_message(&to_coder, "done").await;
    let dead = broker.sends("alice", &to("gone", "hello")).await;
    broker.until_message(&dead, "dead").await;
    let wanted = [
        (r#"postroom_turns_total{agent="coder",state="done"}"#, 2.0),
        (
            r#"postroom_turn_tokens_total{agent="coder",kind="input"}"#,
            22.0,
        ),
        (
            r#"postroom_turn_tokens_total{agent="coder",kind="output"}"#,
            10.0,
        ),
        (
            r#"postroom_deliveries_total{recipient="lab",outcome="delivered"}"#,
            1.0,
        ),
        (
            r#"postroom_deliveries_total{recipient="coder",outcome="delivered"}"#,
            1.0,
        ),
        (
            r#"postroom_deliveries_total{recipient="gone",outcome="dead"}"#,
            1.0,
        ),
        (
            r#"postroom_dead_letters_total{recipient="gone",reason="out_of_attempts"}"#,
            1.0,
        ),
    ];
    let seen = broker.scrape().await;
    for (series, value) in wanted {
        assert!(
            (seen.value(series) - value).abs() < 1e-9,
            "{series}\n{}",
            seen.text
        );
    }
    // Two sessions: each begins to count its price anew.
    let price = r#"postroom_turn_cost_usd_total{agent="coder"}"#;
    assert!((seen.value(price) - 3.5).abs() < 1e-9, "{}", seen.text);

    let broker = broker.kill_and_restart().await;
    let seen = broker.scrape().await;
    for (series, value) in wanted {
        assert!(
            (seen.value(series) - value).abs() < 1e-9,
            "{series}\n{}",
            seen.text
        );
    }
    assert!((seen.value(price) - 3.5).abs() < 1e-9, "{}", seen.text);
    assert!((seen.value("postroom_dead_letters") - 1.0).abs() < 1e-9);
    let again = broker.sends("alice", &to("lab", "again")).await;
    broker.until_message(&again, "delivered").await;
    let lab = r#"postroom_deliveries_total{recipient="lab",outcome="delivered"}"#;
    broker.until_counted(lab, 2.0).await;
}

fn with_usage(number: usize, asked: &Asked) -> Vec<Step> {
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
    if asked.head.contains("/embeddings") {
        let item = json!({"object": "embedding", "index": 0, "embedding": [0.5]});
        let answer = json!({"object": "list", "data": [item], "model": "m", "usage": usage});
        return json_answer("200 OK", &answer);
    }
    if asked.body["stream"] != true {
        return json_answer("200 OK", &completion(&format!("answer {number}")));
    }
    let told = json!({"object": "chat.completion.chunk", "choices": [], "usage": usage});
    vec![
        stream_head(),
        delta("a"),
        Step::Wait(Duration::from_millis(20)),
        delta("b"),
        Step::Send(format!("data: {told}\n\n").into_bytes()),
        stream_end(),
    ]
}

/// A broker that everything has happened to.
async fn busy(stage: &Stage, backend: &ScriptedBackend, lab: &Peer) -> Broker {
    let nobody = PeerPort::reserve();
    let broker = office(stage)
        .with(&format!("[backend]\nurl = \"{}/v1\"\n", backend.url()))
        .peer("lab", lab.url(), SECRET, "")
        .peer(
            "gone",
            &nobody.url(),
            "secret-of-the-gone",
            &format!("schedule = {SHORT}"),
        )
        .start()
        .await;
    assert_eq!(broker.chat(&chat("hello", json!({}))).await.status, 200);
    let streamed = chat("hello", json!({"stream": true}));
    assert_eq!(broker.chat(&streamed).await.status, 200);
    assert_eq!(
        broker
            .post("/v1/chat/completions", "no JSON", &[])
            .await
            .status,
        400
    );
    let vectors = json!({"model": "m", "input": "a"}).to_string();
    assert_eq!(
        broker.post("/v1/embeddings", vectors, &[]).await.status,
        200
    );
    let asked = chat("work", json!({"model": "coder"}));
    assert_eq!(broker.chat(&asked).await.content(), "done");
    let told = broker
        .receives(
            SECRET,
            &message("TASK", "from the lab", json!({"to": "coder"})),
        )
        .await;
    broker.until_message(&told, "done").await;
    let delivered = broker.sends("alice", &to("lab", "hello")).await;
    broker.until_message(&delivered, "delivered").await;
    let dead = broker.sends("alice", &to("gone", "hello")).await;
    broker.until_message(&dead, "dead").await;
    let stop = broker.post("/agents/alice/stop", "{}", &[]).await;
    assert_eq!(stop.status, 200, "{stop:?}");
    let refused = chat("work", json!({"model": "alice"}));
    assert_eq!(broker.chat(&refused).await.status, 503);
    broker
}

/// What a label says, without the bounds of histograms.
fn labels_of(series: &str) -> BTreeSet<&str> {
    let Some((_, labels)) = series.split_once('{') else {
        return BTreeSet::new();
    };
    let labels = labels.trim_end_matches('}').split("\",");
    let names = labels.filter_map(|label| Some(label.split_once('=')?.0));
    names.filter(|name| *name != "le").collect()
}

#[actix_web::test]
async fn a_busy_broker_shows_what_the_catalogue_names_and_nothing_else() {
    let stage = Stage::new();
    let lab = Peer::that_takes_all();
    let backend = ScriptedBackend::start_with(with_usage).await;
    let broker = busy(&stage, &backend, &lab).await;
    let relayed = r#"postroom_relay_outcomes_total{backend="main",outcome="complete"}"#;
    let seen = broker.until_counted(relayed, 2.0).await;
    for name in &seen.helped {
        let times = seen.helped.iter().filter(|other| *other == name).count();
        assert_eq!(times, 1, "HELP of {name}");
    }
    for (name, types) in &seen.types {
        let metric = telemetry::catalogue().find(|metric| metric.name == name);
        let metric = metric.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        assert_eq!(types, &[metric.kind.as_str()], "{name}");
        assert!(seen.helped.contains(name), "{name} has no help");
    }
    for series in seen.series.keys() {
        let name = series.split('{').next().unwrap();
        let metric = telemetry::catalogue()
            .find(|metric| metric.series().iter().any(|one| one == name))
            .unwrap_or_else(|| panic!("{series} is not in the catalogue"));
        let labels = labels_of(series);
        let always: BTreeSet<&str> = metric.labels.iter().copied().collect();
        let maybe: BTreeSet<&str> = metric.other_labels.iter().copied().collect();
        assert!(labels.is_superset(&always), "{series}");
        assert!(
            labels
                .difference(&always)
                .all(|label| maybe.contains(label)),
            "{series}"
        );
    }
    let bytes = seen.value(r#"postroom_relay_bytes_total{backend="main"}"#);
    assert!(bytes > 200.0, "{bytes}");
    for (series, at_least) in [
        (
            r#"postroom_relay_chunk_gap_seconds_sum{backend="main"}"#,
            0.015,
        ),
        (
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_token_type="input",backend="main"}"#,
            8.0,
        ),
        (
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_token_type="output",backend="main"}"#,
            5.0,
        ),
        (
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="embeddings",gen_ai_token_type="input",backend="embeddings"}"#,
            7.0,
        ),
        (
            r#"gen_ai_client_token_usage_sum{gen_ai_operation_name="invoke_agent",gen_ai_token_type="output",agent="coder"}"#,
            10.0,
        ),
        (
            r#"postroom_requests_total{route="agent",outcome="refused"}"#,
            1.0,
        ),
        (
            r#"postroom_agent_state{agent="alice",state="stopped"}"#,
            1.0,
        ),
        (r#"postroom_callbacks_per_turn_count{agent="coder"}"#, 2.0),
        (r#"postroom_actor_messages_total{actor="router"}"#, 2.0),
        (
            r#"postroom_actor_messages_total{actor="agent_supervisor",agent="coder"}"#,
            2.0,
        ),
        (
            r#"postroom_actor_handler_seconds_count{actor="courier"}"#,
            2.0,
        ),
        (r#"postroom_actor_up{actor="agent_directory"}"#, 1.0),
        (r#"postroom_actor_up{actor="agent_supervisor"}"#, 1.0),
        (r#"postroom_agent_state{agent="coder",state="idle"}"#, 1.0),
        ("postroom_store_sync_seconds_count", 2.0),
        ("postroom_inbox_sync_seconds_count", 1.0),
        ("process_resident_memory_bytes", 1e6),
        (r#"postroom_disk_free_bytes{disk="store"}"#, 1.0),
        (r#"postroom_disk_free_bytes{disk="inbox"}"#, 1.0),
        (r#"postroom_disk_free_bytes{disk="home"}"#, 1.0),
    ] {
        let value = seen.value(series);
        assert!(value >= at_least, "{series} {value}");
    }
}

#[actix_web::test]
async fn promtool_has_nothing_to_say_against_the_metrics() -> Result<(), ClientFailure> {
    let promtool = installed("prometheus/usr/bin/promtool")?;
    let stage = Stage::new();
    let lab = Peer::that_takes_all();
    let backend = ScriptedBackend::start_with(with_usage).await;
    let broker = busy(&stage, &backend, &lab).await;
    let text = broker.scrape().await.text;
    #[expect(clippy::disallowed_methods, reason = "it ends when its input does")]
    let mut checking = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    checking
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let checked = checking.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}");
    Ok(())
}

/// Says a name wherever a request may say one.
async fn says_everywhere(broker: &Broker, name: &str) {
    let fields = json!({"model": name, "user": name, "metadata": {"agent": name}});
    let headers = [
        ("x-openclaw-agent-id", name),
        ("x-openclaw-session-key", name),
    ];
    let body = chat("hi", fields).to_string();
    broker.post("/v1/chat/completions", body, &headers).await;
    let asked = json!({"model": name, "input": "hi", "user": name}).to_string();
    broker.post("/v1/responses", asked.clone(), &[]).await;
    broker.post("/v1/embeddings", asked, &[]).await;
    let fields = json!({"to": "coder", "from": name, "context_id": name, "id": name});
    let told = broker.receives(SECRET, &message(name, "hi", fields)).await;
    broker.until_message(&told, "done").await;
    let unknown = message("TASK", "hi", json!({"to": name}));
    broker.message_with(SECRET, &unknown, &[]).await;
    broker
        .send_with(&key_of("alice"), "", &to(name, "hi"))
        .await;
    broker.get(&format!("/{name}")).await;
    broker.get(&format!("/agents/{name}")).await;
}

#[actix_web::test]
async fn nothing_that_a_request_says_becomes_a_label() {
    let stage = Stage::new();
    let lab = Peer::that_takes_all();
    let backend = ScriptedBackend::start_with(with_usage).await;
    let broker = busy(&stage, &backend, &lab).await;
    says_everywhere(&broker, "evil").await;
    let relayed = |count| {
        let series = r#"postroom_relay_outcomes_total{backend="main",outcome="complete"}"#;
        broker.until_counted(series, count)
    };
    let first = relayed(3.0).await;
    for number in 0..3 {
        says_everywhere(&broker, &format!("evil-{number}")).await;
    }
    let last = relayed(6.0).await;
    assert!(!last.text.contains("evil"), "{}", last.text);
    let names = |scrape: &Scrape| -> BTreeSet<String> { scrape.series.keys().cloned().collect() };
    let (first, last) = (names(&first), names(&last));
    let new: Vec<&String> = last.difference(&first).collect();
    assert_eq!(new, Vec::<&String>::new());
}

#[actix_web::test]
async fn an_agent_that_is_gone_is_shown_as_nothing() {
    let stage = Stage::new();
    let broker = office(&stage).start().await;
    let states = |seen: &Scrape, agent: &str| -> f64 {
        let of_agent = format!("postroom_agent_state{{agent={agent:?}");
        let states = seen.series.iter();
        states
            .filter(|(series, _)| series.starts_with(&of_agent))
            .map(|(_, value)| value)
            .sum()
    };
    let seen = broker.scrape().await;
    assert!(states(&seen, "alice") > 0.5 && states(&seen, "coder") > 0.5);
    assert_eq!(broker.delete("/agents/alice").await.status, 200);
    let seen = broker.scrape().await;
    assert!(states(&seen, "alice") < 0.5 && states(&seen, "coder") > 0.5);
}

/// A broker with a failpoint, and how long it takes to show its metrics.
async fn shows_within_a_second(broker: &Broker) -> Scrape {
    let began = Instant::now();
    let seen = broker.scrape().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    seen
}

#[actix_web::test]
async fn a_hung_actor_is_shown_as_not_answering() {
    let options =
        BrokerOptions::default().env("POSTROOM_FAILPOINTS", "inbox::is_context_seen=sleep(60000)");
    let broker = Broker::start(options).await;
    let up = |seen: &Scrape| seen.value(r#"postroom_actor_up{actor="router"}"#);
    assert!(up(&broker.scrape().await) > 0.5);
    let body = chat(
        "hello",
        json!({"context_id": "telegram:7", "latest-user-prompt": "hello"}),
    );
    let hangs = broker.chat(&body);
    // Whether its context is marked is asked on the thread of all actors.
    let seen = async {
        let look = async || shows_within_a_second(&broker).await;
        until_async("a router that hangs", look, |seen| up(seen) < 0.5).await
    };
    let seen = tokio::select! {
        answer = hangs => panic!("{answer:?}"),
        seen = seen => seen,
    };
    assert!(seen.value(r#"postroom_actor_up{actor="courier"}"#) < 0.5);
    assert!(seen.value("process_open_fds") > 0.0);
}

#[actix_web::test]
async fn a_store_that_does_not_answer_holds_nothing_up() {
    let hangs = "store::tally_sheet=sleep(60000);store::before_commit=sleep(60000)";
    let options = BrokerOptions::default().env("POSTROOM_FAILPOINTS", hangs);
    let broker = Broker::start(options).await;
    for _look in 0..3 {
        let seen = shows_within_a_second(&broker).await;
        assert!(seen.value(r#"postroom_actor_up{actor="router"}"#) > 0.5);
    }
}
