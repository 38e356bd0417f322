//! A disk that is low refuses new work before it is full, and what was taken goes on.

use serde_json::{Value, json};

use crate::support::{
    agents::{KEEP_PROMPT, Stage},
    broker::{Broker, BrokerOptions},
    client::{Answer, chat},
    messages::{Office, message},
    small_disk::SmallDisk,
    store_files::run_beside,
    wait::until_async,
};

const SECRET: &str = "secret-of-the-office";

async fn metric(broker: &Broker, name: &str) -> Option<f64> {
    let metrics = broker.get("/metrics").await.text;
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn until_chat(broker: &Broker, status: u16) -> Answer {
    let ask = async || broker.chat(&chat("probe", json!({}))).await;
    until_async("the guard", ask, |answer| answer.status == status).await
}

/// Not by `/readyz`: asked again and again, its proof that the store can write would fill the disk.
async fn until_intake(broker: &Broker, state: &str) {
    let look = async || broker.get("/health").await.json()["intake"].clone();
    until_async("the intake", look, |intake| intake == state).await;
}

async fn readiness(broker: &Broker) -> (u16, Value) {
    let answer = broker.send("GET", "/readyz", String::new(), &[]).await;
    (answer.status, answer.json())
}

fn check<'a>(readiness: &'a Value, name: &str) -> &'a Value {
    let checks = readiness["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()
}

/// Waits until it is let on, then sends.
const WAITS_THEN_SENDS: &str = r#"while [ ! -e "$STAGE/open" ]; do sleep 0.02; done
exec curl -sS -X POST "$POSTROOM_URL/send" -H "Authorization: Bearer $POSTROOM_TURN_TOKEN" \
  -d '{"type":"STATUS","to":"bob","payload":{"text":"on its way"}}'
"#;

fn office(disk: &SmallDisk, stage: &Stage) -> Office {
    let script = stage.script("waits.sh", &format!("{KEEP_PROMPT}{WAITS_THEN_SENDS}"));
    let store = disk.path("store");
    Office::new()
        .agent(stage, "alice", &script, "")
        .agent(stage, "bob", "cat", "")
        .peer_without_url("office", SECRET, "to = \"alice\"")
        .with(&format!(
            "[mailbox]\ninbox = \"{{inbox}}\"\n[store]\npath = {store:?}\nmin_free = \"8MiB\""
        ))
}

#[actix_web::test]
async fn new_work_is_refused_while_a_disk_is_low_and_what_was_taken_goes_on() {
    let (disk, stage) = (SmallDisk::new(), Stage::new());
    let broker = office(&disk, &stage).start().await;
    assert_eq!(broker.chat(&chat("room", json!({}))).await.status, 200);
    assert_eq!(metric(&broker, "postroom_intake_open").await, Some(1.0));
    let task = message("TASK", "work", json!({"id": "first"}));
    let id = broker.receives(SECRET, &task).await;
    stage.until_prompts(1).await;

    disk.fill_up_to(4 << 20);
    until_intake(&broker, "disk_low").await;
    let (status, told) = readiness(&broker).await;
    assert_eq!(status, 503, "{told}");
    assert_eq!(check(&told, "disk")["ok"], false, "{told}");
    assert_eq!(check(&told, "store")["ok"], true, "{told}");
    expect_refusals(&broker).await;
    let repeat = broker.message_with(SECRET, &task, &[]).await;
    assert_eq!(repeat.json()["duplicate"], true, "a repeat is no new work");
    assert_eq!(broker.get("/agents").await.status, 200, "reads go on");
    stage.open();
    broker.until_message(&id, "done").await;
    let all = broker.messages("").await;
    let is_sent = all.iter().any(|message| message["type"] == "STATUS");
    assert!(is_sent, "what the turn sent was taken: {all:?}");

    disk.free();
    until_chat(&broker, 200).await;
    assert_eq!(metric(&broker, "postroom_intake_open").await, Some(1.0));
    let log = broker.log_lines().join("\n");
    assert!(log.contains("no new work is taken"), "{log}");
    assert!(log.contains("the disks have room again"), "{log}");
}

/// Every door that takes new work says that a disk is low.
async fn expect_refusals(broker: &Broker) {
    let refused = broker.chat(&chat("no room", json!({}))).await;
    assert_eq!(refused.json()["error"]["code"], "disk_low", "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("30"));
    assert!(refused.text.contains("disk of the store"), "{refused:?}");
    for (path, body) in [
        ("/v1/responses", r#"{"model":"alice","input":"hi"}"#),
        ("/agents", r#"{"role":"engineer","name":"new","cli":"cat"}"#),
        ("/send", r#"{"type":"STATUS","payload":{},"to":"alice"}"#),
    ] {
        let refused = broker.post(path, body, &[]).await;
        assert_eq!(refused.status, 503, "{path}: {refused:?}");
        assert_eq!(refused.json()["error"]["code"], "disk_low", "{path}");
    }
    let new = message("TASK", "more", json!({}));
    let refused = broker.message_with(SECRET, &new, &[]).await;
    assert_eq!(refused.json()["error"]["code"], "disk_low");
    let health = broker.get("/health").await.json();
    assert_eq!(
        (&health["intake"], &health["ok"]),
        (&json!("disk_low"), &json!(false))
    );
    assert_eq!(metric(broker, "postroom_intake_open").await, Some(0.0));
}

#[actix_web::test]
async fn a_service_that_starts_on_a_low_disk_takes_nothing_from_the_first_request_on() {
    let disk = SmallDisk::new();
    disk.fill_up_to(6 << 20);
    let options = BrokerOptions {
        args: vec!["--store".to_owned(), disk.path("store")],
        ..BrokerOptions::default()
    };
    let options = options.env("POSTROOM__STORE__MIN_FREE", "8MiB");
    let broker = Broker::start(options).await;
    let refused = broker.chat(&chat("first", json!({}))).await;
    assert_eq!(refused.json()["error"]["code"], "disk_low");
    assert_eq!(broker.get("/healthz").await.status, 200);
    disk.free();
    until_chat(&broker, 200).await;
}

#[actix_web::test]
async fn the_inboxs_disk_counts_too() {
    let disk = SmallDisk::new();
    let toml = format!(
        "[mailbox]\ninbox = {:?}\n[store]\nmin_free = \"100MiB\"\n",
        disk.path("inbox")
    );
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let refused = broker.chat(&chat("first", json!({}))).await;
    assert_eq!(refused.status, 503);
    assert!(
        refused.text.contains("disk of the inbox"),
        "{}",
        refused.text
    );
}

#[actix_web::test]
async fn a_store_over_its_size_gives_up_what_is_done_and_keeps_what_waits() {
    let toml = "[mailbox]\ninbox = \"{inbox}\"\n[store]\nmax_size = \"2MB\"\n";
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let small = chat(&"x".repeat(10_000), json!({}));
    for _ in 0..10 {
        assert_eq!(broker.chat(&small).await.status, 200);
    }
    broker.until_items(10).await;
    // A link in the inbox's place is not followed: what comes now waits.
    let (inbox, hidden) = (broker.inbox(), broker.folder().join("hidden"));
    std::fs::rename(&inbox, &hidden).unwrap();
    std::os::unix::fs::symlink(&hidden, &inbox).unwrap();
    let big = chat(&"x".repeat(200_000), json!({}));
    for _ in 0..20 {
        assert_eq!(broker.chat(&big).await.status, 200);
    }
    let pruned = async || {
        let name = "postroom_store_pruned_total{reason=\"size\"}";
        metric(&broker, name).await.unwrap_or_default()
    };
    until_async("all that was done pruned", pruned, |pruned| *pruned >= 10.0).await;
    let log = broker.log_lines().join("\n");
    assert!(log.contains("\"reason\":\"size\""), "{log}");
    let left = run_beside(broker.folder(), &["store", "check", "--json"]).await;
    let facts = left.json()["facts"].clone();
    assert_eq!(
        (&facts["messages"], &facts["pending_inbox"]),
        (&json!(20), &json!(20))
    );
}
