//! Agents that hang or crowd, and a disk that is full: what one meets costs no other.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    agents::{KEEP_PROMPT, Stage, id_of, output_text},
    broker::{Broker, BrokerOptions},
    client::chat,
    small_disk::SmallDisk,
    wait::until_async,
};

/// Agents that all want to run at once.
const CROWD: usize = 20;

/// Tasks of each of them.
const EACH: usize = 3;

/// Bytes of a task that is to fill a disk.
const LARGE: usize = 60_000;

#[actix_web::test]
async fn what_a_full_disk_refuses_is_never_begun_and_what_it_took_is_done() {
    let disk = SmallDisk::new();
    let stage = Stage::new();
    let script = stage.script("answers.sh", &format!("{KEEP_PROMPT}echo done\n"));
    let mut options = stage.agent(&script, "");
    options.args = vec!["--store".to_owned(), disk.path("store")];
    // The disk itself is to refuse.
    let options = options.env("POSTROOM__STORE__MIN_FREE", "0");
    let broker = Broker::start(options).await;
    let first = broker.ask_later("task-before;", "alice").await;
    broker.until_ended(&first).await;
    disk.fill();
    let mut kept = vec![first];
    let refused = loop {
        let prompt = format!("task-{}; {}", kept.len(), "x".repeat(LARGE));
        let began = Instant::now();
        let answer = broker.try_ask_later(&prompt, "alice").await;
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
        if answer.status != 200 {
            break answer;
        }
        kept.push(id_of(&answer.json()));
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(refused.text.contains("disk"), "{refused:?}");
    // Who waits on an open connection is refused as well, and as quickly.
    let large = "task-never; ".to_owned() + &"x".repeat(LARGE);
    assert_eq!(broker.ask(&large, "alice").await.status, 503);
    disk.free();
    for id in &kept {
        let response = broker.until_ended(id).await;
        assert_eq!(response["status"], "completed", "{response}");
    }
    let again = async || broker.try_ask_later("task-after;", "alice").await;
    let after = until_async("room", again, |answer| answer.status == 200);
    broker.until_ended(&id_of(&after.await.json())).await;
    let prompts = stage.prompts().concat();
    let refused = format!("task-{};", kept.len());
    for never in [refused.as_str(), "task-never;"] {
        assert!(!prompts.contains(never), "{never} was begun");
    }
    for number in 1..kept.len() {
        assert!(
            prompts.contains(&format!("task-{number};")),
            "task {number}"
        );
    }
}

#[actix_web::test]
async fn an_agent_that_hangs_does_not_slow_another() {
    let stage = Stage::new();
    let quick = stage.script("quick.sh", "cat > /dev/null\necho quick\n");
    let toml = stage.agent_toml(
        &stage.gated_script(),
        &format!("[agents.quick]\ncli = {quick:?}\ndialect = \"command\"\n"),
    );
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let hangs = broker.ask_later("Hello.", "alice").await;
    stage.until_prompts(1).await;
    for number in 0..20 {
        broker.ask_later(&format!("waits {number}"), "alice").await;
    }
    let began = Instant::now();
    for _ in 0..10 {
        let answer = broker
            .chat(&chat("Hello.", json!({"model": "quick"})))
            .await;
        assert_eq!(answer.content(), "quick");
    }
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(broker.response(&hangs).await["status"], "in_progress");
    assert_eq!(broker.agent().await["waiting"], 20);
}

#[actix_web::test]
async fn many_agents_share_two_places_fairly_and_all_are_served() {
    let stage = Stage::new();
    let folder = stage.folder().path().display().to_string();
    std::fs::create_dir(stage.path("running")).unwrap();
    let script = "cat > /dev/null\necho \"$POSTROOM_AGENT\" >> \"$STAGE/order\"\n\
                  touch \"$STAGE/running/$POSTROOM_TURN_ID\"\nls \"$STAGE/running\" | wc -l >> \"$STAGE/counts\"\n\
                  while [ ! -e \"$STAGE/open\" ]; do sleep 0.02; done\n\
                  rm \"$STAGE/running/$POSTROOM_TURN_ID\"\necho \"I am $POSTROOM_AGENT\"\n";
    let command = stage.script("counts.sh", script);
    let mut toml = format!(
        "[agents]\nmax_turns = 2\n[agents.defaults]\ncli = {command:?}\ndialect = \"command\"\nenv = {{ STAGE = {folder:?} }}\n"
    );
    let tables = (0..CROWD).map(|number| format!("[agents.one-{number:02}]\n"));
    toml.extend(tables);
    let broker = Broker::start(BrokerOptions::toml(toml)).await;
    let mut asked = Vec::new();
    for number in (0..CROWD * EACH).map(|task| task % CROWD) {
        let agent = format!("one-{number:02}");
        let body = json!({"model": agent, "input": "Who are you?", "background": true});
        let answer = broker.post("/v1/responses", body.to_string(), &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        asked.push((agent, id_of(&answer.json())));
    }
    stage.open();
    for (agent, id) in &asked {
        let response = broker.until_ended(id).await;
        let text = output_text(&response);
        assert_eq!(text, format!("I am {agent}"), "{response}");
    }
    let read = |name: &str| std::fs::read_to_string(stage.path(name)).unwrap();
    let counts: Vec<usize> = read("counts")
        .lines()
        .map(|line| line.trim().parse().unwrap())
        .collect();
    assert_eq!(counts.len(), CROWD * EACH);
    assert_eq!(counts.iter().max(), Some(&2), "{counts:?}");
    let mut begun: BTreeMap<String, usize> =
        asked.iter().map(|(agent, _)| (agent.clone(), 0)).collect();
    for agent in read("order").lines() {
        *begun.get_mut(agent).unwrap() += 1;
        let (least, most) = (begun.values().min().unwrap(), begun.values().max().unwrap());
        assert!(most - least <= 2, "{agent} came before its time: {begun:?}");
    }
}
