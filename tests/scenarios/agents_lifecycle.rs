//! Agents that are stopped, parked, hired; turns that are cancelled, interrupted, taken up again.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use rustix::process::Signal;
use serde_json::json;

use crate::support::{
    agents::{AGENT, KEEP_PROMPT, Stage, id_of, output_text},
    broker::{Broker, BrokerOptions},
    client::chat,
    processes::expect_none,
    wait::until_async,
};

/// More failed starts than an agent may have.
const FAILED_STARTS: usize = 20;

#[actix_web::test]
async fn a_stopped_agent_takes_nothing_until_it_is_started() {
    let stage = Stage::new();
    stage.open();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    broker.order("stop").await;
    broker.until_agent("stopped").await;
    let refused = broker.ask("Hello.", "alice").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.text.contains("stopped"), "{refused:?}");
    broker.order("start").await;
    broker.until_agent("idle").await;
    let answer = broker.ask("Hello again.", "alice").await;
    assert_eq!(answer.content().trim(), "open now");
    let prompts = stage.prompts();
    assert_eq!(prompts.len(), 1, "{prompts:?}");
}

#[actix_web::test]
async fn an_agent_stays_stopped_over_a_restart() {
    let stage = Stage::new();
    stage.open();
    let options = stage.agent(&stage.gated_script(), "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
    broker.order("stop").await;
    let broker = broker.kill_and_restart().await;
    broker.until_agent("stopped").await;
    assert_eq!(broker.ask("Hello.", "alice").await.status, 503);
}

#[actix_web::test]
async fn stopping_an_agent_ends_its_turn_and_keeps_what_waits() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let runs = broker.ask_later("the opener", "alice").await;
    stage.until_prompts(1).await;
    let waits = broker.ask_later("the one that waits", "alice").await;
    broker.order("stop").await;
    broker.until_turn_states(&["interrupted"]).await;
    expect_none(&stage.setting());
    for response in [&runs, &waits] {
        assert_eq!(broker.response(response).await["status"], "queued");
    }
    stage.open();
    broker.order("start").await;
    for response in [&runs, &waits] {
        assert_eq!(broker.until_ended(response).await["status"], "completed");
    }
    let prompts = stage.prompts();
    assert_eq!(prompts.len(), 2, "{prompts:?}");
    assert!(prompts[1].contains("repeat"), "{prompts:?}");
    let (opener, other) = (
        prompts[1].find("the opener"),
        prompts[1].find("the one that"),
    );
    assert!(opener.unwrap() < other.unwrap(), "{prompts:?}");
}

#[actix_web::test]
async fn failed_starts_park_an_agent_until_it_is_resumed() {
    let stage = Stage::new();
    let program = stage.path("program");
    let write = |text: &str| {
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("#!/no/such/interpreter\n");
    let command = program.display().to_string();
    let broker = Broker::start(stage.agent(&command, "")).await;
    for number in 0..FAILED_STARTS {
        let answer = broker.ask("Hello.", "alice").await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text.contains("program"), "{answer:?}");
        if broker.agent().await["state"] == "parked" {
            break;
        }
        assert!(number + 1 < FAILED_STARTS, "it was never parked");
    }
    let parked = broker.agent().await;
    assert!(parked["problem"].is_string(), "{parked}");
    write("#!/bin/sh\ncat > /dev/null\necho mended\n");
    let refused = broker.ask("Hello.", "alice").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.text.contains("parked"), "{refused:?}");
    broker.order("resume").await;
    let answer = broker.ask("Hello.", "alice").await;
    assert_eq!(answer.content().trim(), "mended");
}

#[actix_web::test]
async fn a_turn_that_a_stop_interrupted_is_taken_up_again() {
    let stage = Stage::new();
    let options = stage.agent(&stage.gated_script(), "grace = \"200ms\"");
    let broker = Broker::start_in(Arc::clone(stage.folder()), options.clone()).await;
    let id = broker.ask_later("carry the piano", "alice").await;
    stage.until_prompts(1).await;
    let (status, folder) = broker.stop().await;
    assert!(status.success(), "{status}");
    expect_none(&stage.setting());
    let broker = Broker::start_in(folder, options).await;
    let prompts = stage.until_prompts(2).await;
    assert!(prompts[1].contains("carry the piano"), "{prompts:?}");
    assert_ne!(
        prompts[0], prompts[1],
        "the second prompt does not say that it is a repeat"
    );
    stage.open();
    let response = broker.until_ended(&id).await;
    assert_eq!(response["status"], "completed", "{response}");
    assert_eq!(output_text(&response).trim(), "open now");
    assert_eq!(broker.turn_states().await, ["interrupted", "done"]);
}

#[actix_web::test]
async fn what_a_killed_broker_left_running_is_ended_by_the_next_one() {
    let stage = Stage::new();
    let script = format!(
        "{KEEP_PROMPT}[ -e \"$STAGE/again\" ] && echo 'second try' && exit\n\
         touch \"$STAGE/again\"\nsetsid tail -f /dev/null\n"
    );
    let command = stage.script("leaves.sh", &script);
    let options = stage.agent(&command, "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
    let id = broker.ask_later("carry the piano", "alice").await;
    crate::support::processes::until_runs(&stage.setting(), "tail -f /dev/null").await;
    let broker = broker.kill_and_restart().await;
    let response = broker.until_ended(&id).await;
    assert_eq!(response["status"], "completed", "{response}");
    assert_eq!(output_text(&response).trim(), "second try");
    expect_none(&stage.setting());
    assert_eq!(broker.turn_states().await, ["interrupted", "done"]);
}

#[actix_web::test]
async fn what_waits_survives_a_kill_in_its_order() {
    let stage = Stage::new();
    let options = stage.agent(&stage.gated_script(), "");
    let broker = Broker::start_in(Arc::clone(stage.folder()), options).await;
    let mut ids = vec![broker.ask_later("the opener", "alice").await];
    stage.until_prompts(1).await;
    for word in ["red;", "green;", "blue;"] {
        ids.push(broker.ask_later(word, "alice").await);
    }
    let broker = broker.kill_and_restart().await;
    stage.open();
    for id in &ids {
        assert_eq!(broker.until_ended(id).await["status"], "completed");
    }
    // What was interrupted may come alone or with what waited; nothing is lost or turned round.
    let later = stage.prompts().split_off(1).concat();
    let places: Vec<_> = ["the opener", "red;", "green;", "blue;"]
        .iter()
        .map(|word| (later.find(word), later.matches(word).count()))
        .collect();
    assert!(places.is_sorted(), "{places:?} in {later}");
    assert!(places.iter().all(|(_, count)| *count == 1), "{places:?}");
}

#[actix_web::test]
async fn a_task_is_not_begun_for_ever() {
    let stage = Stage::new();
    let script = format!("{KEEP_PROMPT}kill -9 $$\n");
    let command = stage.script("crashes.sh", &script);
    let broker = Broker::start(stage.agent(&command, "max_attempts = 2")).await;
    let id = broker.ask_later("Hello.", "alice").await;
    let response = broker.until_ended(&id).await;
    assert_eq!(response["status"], "failed", "{response}");
    assert!(response["error"]["message"].is_string(), "{response}");
    assert_eq!(stage.prompts().len(), 2);
}

#[actix_web::test]
async fn a_hired_agent_survives_a_restart() {
    let stage = Stage::new();
    stage.open();
    let command = stage.gated_script();
    let folder = stage.folder();
    let toml = format!(
        "[agents.defaults]\ncli = {command:?}\ndialect = \"command\"\nenv = {{ STAGE = {:?} }}\n",
        folder.path().display().to_string()
    );
    let broker = Broker::start_in(Arc::clone(folder), BrokerOptions::toml(toml)).await;
    let body = json!({"role": "Engineer", "name": "Alice"}).to_string();
    let hired = broker.post("/agents", body, &[]).await;
    assert!(matches!(hired.status, 200 | 201), "{hired:?}");
    assert_eq!(hired.json()["agent"]["id"], "engineer_alice", "{hired:?}");
    let workspace = folder.path().join("engineer_alice");
    assert!(workspace.join("SOUL.md").is_file());
    std::fs::write(workspace.join("SOUL.md"), "I am Alice.\n").unwrap();
    let broker = broker.kill_and_restart().await;
    let agents = broker.fetch("/agents").await["agents"].clone();
    let names: Vec<String> = agents.as_array().unwrap().iter().map(id_of).collect();
    assert!(names.contains(&"engineer_alice".to_owned()), "{names:?}");
    for model in ["engineer_alice", "openclaw/engineer_alice"] {
        let answer = broker.chat(&chat("Hello.", json!({"model": model}))).await;
        assert_eq!(answer.content().trim(), "open now");
    }
    let soul = std::fs::read_to_string(workspace.join("SOUL.md")).unwrap();
    assert_eq!(soul, "I am Alice.\n");
}

#[actix_web::test]
async fn turns_can_be_looked_at_and_cancelled() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let id = broker.ask_later("Hello.", "alice").await;
    stage.until_prompts(1).await;
    let turn = broker.until_turn_runs().await;
    let path = format!("/turns/{turn}");
    let seen = broker.fetch(&path).await;
    assert_eq!(seen["state"], "running", "{seen}");
    assert_eq!(seen["agent"], AGENT, "{seen}");
    assert_eq!(seen["tasks"].as_array().unwrap().len(), 1, "{seen}");
    assert!(seen["started_at"].is_string(), "{seen}");
    let agent = broker.agent().await;
    assert_eq!(agent["state"], "running", "{agent}");
    assert_eq!(agent["turns"][0]["turn"], turn.as_str(), "{agent}");
    let cancelled = broker.delete(&path).await;
    assert!(
        (200..300).contains(&cancelled.status),
        "{path}: {cancelled:?}"
    );
    // It is answered once its processes are gone.
    expect_none(&stage.setting());
    assert_eq!(broker.fetch(&path).await["state"], "cancelled");
    assert_eq!(broker.until_ended(&id).await["status"], "cancelled");
    let unknown = broker
        .get("/turns/01a1fe65-0000-7000-8000-000000000000")
        .await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
}

#[actix_web::test]
async fn an_agent_whose_program_appears_later_answers_then() {
    let stage = Stage::new();
    let program = stage.path("late-program");
    let broker = Broker::start(stage.agent(&program.display().to_string(), "")).await;
    assert_eq!(broker.ask("Hello.", "alice").await.status, 503);
    std::fs::write(&program, "#!/bin/sh\ncat > /dev/null\necho here\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let look = async || broker.ask("Hello.", "alice").await;
    let answer = until_async("an answer", look, |answer| answer.status == 200).await;
    assert_eq!(answer.content().trim(), "here");
}

#[actix_web::test]
async fn a_second_signal_during_a_turn_ends_the_broker_and_its_turn_at_once() {
    let stage = Stage::new();
    let settings = "grace = \"20s\"";
    let script = format!("trap '' INT TERM\n{KEEP_PROMPT}while :; do sleep 0.02; done\n");
    let command = stage.script("stubborn.sh", &script);
    let mut broker = Broker::start(stage.agent(&command, settings)).await;
    broker.ask_later("Hello.", "alice").await;
    stage.until_prompts(1).await;
    broker.signal(Signal::TERM);
    let log = || broker.log_lines().join("\n");
    crate::support::wait::until("the beginning of the end", log, |log| {
        log.contains("second signal ends it")
    })
    .await;
    broker.signal(Signal::TERM);
    let _ = broker.ended().await;
    let left = || crate::support::processes::with_setting(&stage.setting());
    crate::support::wait::until("the end of its turn", left, Vec::is_empty).await;
}
