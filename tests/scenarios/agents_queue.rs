//! What waits for an agent, and what becomes of it where the agent does not answer.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::support::{
    agents::{AGENT, KEEP_PROMPT, Stage, output_text},
    broker::Broker,
    client::Answer,
    processes::{expect_none, until_runs},
};

/// Messages that arrive while the agent is busy.
const MESSAGES: usize = 200;

#[actix_web::test]
async fn what_arrives_while_an_agent_is_busy_is_its_next_turn_whole_and_in_order() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let mut ids = vec![broker.ask_later("the opener", "alice").await];
    stage.until_prompts(1).await;
    for number in 0..MESSAGES {
        ids.push(broker.ask_later(&letter(number), "alice").await);
    }
    assert_eq!(broker.agent().await["waiting"], MESSAGES);
    stage.open();
    for id in &ids {
        let response = broker.until_ended(id).await;
        assert_eq!(response["status"], "completed", "{response}");
    }
    let prompts = stage.until_prompts(2).await;
    assert!(prompts[0].contains("the opener"), "{prompts:?}");
    assert_eq!(letters_in(&prompts[0]), Vec::<usize>::new());
    let wanted: Vec<usize> = (0..MESSAGES).collect();
    assert_eq!(letters_in(&prompts[1]), wanted);
    assert_eq!(broker.turn_states().await, ["done", "done"]);
}

#[actix_web::test]
async fn sessions_do_not_wait_for_each_other() {
    let stage = Stage::new();
    let options = stage.agent(&stage.gated_script(), "concurrency = 2");
    let broker = Broker::start(options).await;
    let alice = broker.ask_later("from alice", "alice").await;
    let bob = broker.ask_later("from bob", "bob").await;
    let prompts = stage.until_prompts(2).await;
    for (prompt, other) in prompts.iter().zip(prompts.iter().rev()) {
        let is_alices = prompt.contains("from alice");
        assert_ne!(is_alices, prompt.contains("from bob"), "{prompt}");
        assert_ne!(is_alices, other.contains("from alice"), "{other}");
    }
    stage.open();
    for id in [alice, bob] {
        let response = broker.until_ended(&id).await;
        assert_eq!(output_text(&response).trim(), "open now", "{response}");
    }
}

#[actix_web::test]
async fn a_full_queue_refuses_and_says_when_to_come_again() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "queue = 2")).await;
    let mut ids = vec![broker.ask_later("the opener", "alice").await];
    stage.until_prompts(1).await;
    for number in 0..2 {
        ids.push(broker.ask_later(&letter(number), "alice").await);
    }
    let refused = broker.try_ask_later("one too many", "alice").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1, "{refused:?}");
    assert!(message(&refused).contains(AGENT), "{refused:?}");
    stage.open();
    for id in &ids {
        assert_eq!(broker.until_ended(id).await["status"], "completed");
    }
    let prompts = stage.prompts().concat();
    assert!(!prompts.contains("one too many"), "{prompts}");
}

#[actix_web::test]
async fn a_program_that_is_missing_is_named() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent("no-such-agent-program --fast", "")).await;
    let answer = broker.ask("Hello.", "alice").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        message(&answer).contains("no-such-agent-program"),
        "{answer:?}"
    );
}

#[actix_web::test]
async fn an_agent_that_fails_is_quoted() {
    let stage = Stage::new();
    let script = "cat > /dev/null\necho 'the printer is on fire' >&2\nexit 3\n";
    let broker = Broker::start(stage.agent(&stage.script("fails.sh", script), "")).await;
    let answer = broker.ask("Hello.", "alice").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(
        message(&answer).contains("the printer is on fire"),
        "{answer:?}"
    );
    let turn = &broker.turns().await[0];
    assert_eq!(turn["state"], "failed", "{turn}");
    assert_eq!(turn["exit_code"], 3, "{turn}");
}

#[actix_web::test]
async fn success_without_an_answer_is_no_answer() {
    let stage = Stage::new();
    let silent = stage.script("silent.sh", "cat > /dev/null\n");
    let broker = Broker::start(stage.agent(&silent, "")).await;
    let answer = broker.ask("Hello.", "alice").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "no_answer", "{answer:?}");
}

#[actix_web::test]
async fn a_turn_ends_at_its_deadline_with_all_its_processes() {
    let stage = Stage::new();
    // One child stays in the group, one leaves it, and all ignore what asks them to end.
    let script = "trap '' INT TERM\ntail -f /dev/null &\nsetsid tail -f /dev/null &\nwait\nwait\n";
    let settings = "turn_timeout = \"1s\"\ngrace = \"300ms\"";
    let toml = stage.agent_toml(&stage.script("hangs.sh", script), "");
    let toml = toml.replace("turn_timeout = \"60s\"", settings);
    let broker = Broker::start(crate::support::broker::BrokerOptions::toml(toml)).await;
    let began = Instant::now();
    let asked = broker.ask("Hello.", "alice");
    let setting = stage.setting();
    let (answer, ()) = tokio::join!(asked, until_runs(&setting, "tail"));
    assert_eq!(answer.status, 504, "{answer:?}");
    expect_none(&setting);
    assert!(began.elapsed() < Duration::from_secs(6));
    assert_eq!(broker.turn_states().await, ["timed-out"]);
}

#[actix_web::test]
async fn a_waiting_message_that_is_taken_back_is_never_begun() {
    let stage = Stage::new();
    let broker = Broker::start(stage.agent(&stage.gated_script(), "")).await;
    let opener = broker.ask_later("the opener", "alice").await;
    stage.until_prompts(1).await;
    let kept = broker.ask_later("this one stays", "alice").await;
    let taken = broker.ask_later("this one goes", "alice").await;
    let path = format!("/v1/responses/{taken}/cancel");
    let answer = broker.post(&path, "{}", &[]).await;
    assert_eq!(answer.json()["status"], "cancelled", "{answer:?}");
    stage.open();
    for id in [&opener, &kept] {
        assert_eq!(broker.until_ended(id).await["status"], "completed");
    }
    let prompts = stage.prompts().concat();
    assert!(prompts.contains("this one stays"), "{prompts}");
    assert!(!prompts.contains("this one goes"), "{prompts}");
}

#[actix_web::test]
async fn an_agents_answer_is_what_it_prints_and_its_prompt_is_what_was_asked() {
    let stage = Stage::new();
    let script = format!("{KEEP_PROMPT}echo 'Grüße vom Kai'\necho 'second line'\n");
    let broker = Broker::start(stage.agent(&stage.script("answers.sh", &script), "")).await;
    let answer = broker.ask("When does the ferry leave?", "alice").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.content().trim(), "Grüße vom Kai\nsecond line");
    assert!(stage.prompts()[0].contains("When does the ferry leave?"));
}

fn letter(number: usize) -> String {
    format!("letter-{number:03};")
}

/// The numbers of the letters in a prompt, in their order.
fn letters_in(prompt: &str) -> Vec<usize> {
    let parts = prompt.split("letter-").skip(1);
    parts
        .filter_map(|part| part.split(';').next()?.parse().ok())
        .collect()
}

fn message(answer: &Answer) -> String {
    let body: Value = answer.json();
    body["error"]["message"].as_str().unwrap().to_owned()
}
