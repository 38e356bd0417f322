//! What holds for every real agent CLI behind the broker.
//!
//! The model is a mock whose answer, where it is not told one, counts the user messages of the
//! conversation: `users=N`.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{
    agents::{AGENT, output_text},
    client::{Answer, chat},
    mock_llm::{most_at_once, says},
    processes::{expect_none, until_runs},
    real_cli::{Cli, RealAgent},
    tools::{Client, ClientResult},
    wait::until_async,
};

/// Runs sections of the program that uses the SDK of `OpenAI`.
pub async fn sdk_sections_pass(cli: Cli, sections: &[&str]) -> ClientResult {
    let client = Client::with_openai_python("openai_agents.py")?;
    let agent = RealAgent::start(cli, "").await?;
    client
        .option("--url", agent.broker.url())
        .option("--key", agent.broker.key())
        .option("--model", AGENT)
        .option("--mock", agent.model.url())
        .arguments(sections)
        .passes()?;
    agent.stop().await;
    Ok(())
}

/// A second turn of a user resumes the session, another user's does not, a tool can be called.
pub async fn sessions_are_resumed(cli: Cli) -> ClientResult {
    let agent = RealAgent::start(cli, "").await?;
    let first = agent.broker.ask("Hello.", "alice").await;
    let second = agent.broker.ask("And again.", "alice").await;
    let other = agent.broker.ask("Hello.", "bob").await;
    // No `$(`: some CLIs refuse it.
    let tool = agent.broker.ask("[[run: expr 1900 + 2345]]", "bob").await;
    assert_eq!(users(&first) + 1, users(&second), "{second:?}");
    assert_eq!(users(&first), users(&other), "{other:?}");
    assert!(tool.content().contains("4245"), "{tool:?}");
    agent.stop().await;
    Ok(())
}

/// Two requests of one session at once are two turns, one after the other.
pub async fn one_session_runs_one_turn_at_a_time(cli: Cli) -> ClientResult {
    let agent = RealAgent::start(cli, "concurrency = 4").await?;
    let broker = &agent.broker;
    let second = async {
        agent.model.until_under_way("[[hold: gate]]", 1).await;
        broker.ask("[[hold: gate]] two", "alice").await
    };
    let (first, second, ()) = tokio::join!(
        broker.ask("[[hold: gate]] one", "alice"),
        second,
        open_once_one_waits(&agent)
    );
    assert_eq!(users(&first) + 1, users(&second), "{first:?} {second:?}");
    assert_eq!(most_at_once(&asked(&agent, "[[hold: gate]]").await), 1);
    agent.stop().await;
    Ok(())
}

/// Lets the model go on as soon as one task waits for the agent.
async fn open_once_one_waits(agent: &RealAgent) {
    let waits = async || agent.broker.agent().await["waiting"].clone();
    until_async("one task that waits", waits, |waiting| *waiting == 1).await;
    agent.model.release("gate").await;
}

/// Sessions run side by side, as many as `concurrency` says.
pub async fn sessions_run_side_by_side_up_to_the_limit(cli: Cli) -> ClientResult {
    let agent = RealAgent::start(cli, "concurrency = 2").await?;
    let broker = &agent.broker;
    let opened = async {
        agent.model.until_under_way("[[hold: gate]]", 2).await;
        let seen = broker.agent().await;
        assert_eq!(seen["turns"].as_array().unwrap().len(), 2, "{seen}");
        open_once_one_waits(&agent).await;
    };
    let (first, second, third, ()) = tokio::join!(
        broker.ask("[[hold: gate]] [[say: done]]", "alice"),
        broker.ask("[[hold: gate]] [[say: done]]", "bob"),
        broker.ask("[[hold: gate]] [[say: done]]", "carol"),
        opened
    );
    for answer in [&first, &second, &third] {
        assert_eq!(answer.content(), "done");
    }
    assert_eq!(most_at_once(&asked(&agent, "[[hold: gate]]").await), 2);
    agent.stop().await;
    Ok(())
}

/// A cancelled background response leaves no process, also none that a tool started.
pub async fn cancelling_a_turn_inside_a_tool_leaves_no_process(cli: Cli) -> ClientResult {
    let agent = RealAgent::start(cli, "").await?;
    let broker = &agent.broker;
    let id = broker
        .ask_later("[[run: tail -f /dev/null]]", "alice")
        .await;
    until_runs(&agent.setting, "tail -f /dev/null").await;
    let path = format!("/v1/responses/{id}/cancel");
    let cancelled = broker.post(&path, "{}", &[]).await.json();
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    expect_none(&agent.setting);
    assert_eq!(broker.turn_states().await, ["cancelled"]);
    // The session goes on after it.
    let next = broker.ask("[[say: still here]]", "alice").await;
    assert_eq!(next.content(), "still here");
    agent.stop().await;
    Ok(())
}

/// A background response that was under way when the broker was killed is taken up again.
pub async fn a_kill_of_the_broker_loses_no_background_response(cli: Cli) -> ClientResult {
    let agent = RealAgent::start(cli, "").await?;
    let prompt = "[[hold: gate]] [[say: after the crash]]";
    let id = agent.broker.ask_later(prompt, "alice").await;
    agent.model.until_under_way("[[hold: gate]]", 1).await;
    let agent = agent.kill_and_restart().await;
    // What the first broker left is ended, so that its call is no longer there.
    let again = async || asked(&agent, "[[hold: gate]]").await;
    let is_taken_up = |calls: &Vec<Value>| {
        calls.len() > 1 && calls.iter().filter(|call| call["ended"].is_null()).count() == 1
    };
    until_async("the turn that is begun again", again, is_taken_up).await;
    agent.model.release("gate").await;
    let response = agent.broker.until_ended(&id).await;
    assert_eq!(response["status"], "completed", "{response}");
    assert_eq!(output_text(&response), "after the crash");
    assert_eq!(agent.broker.turn_states().await, ["interrupted", "done"]);
    agent.stop().await;
    Ok(())
}

/// A session that the CLI does not know any more is begun anew, and its caller is answered.
pub async fn a_lost_session_is_begun_anew(cli: Cli, sessions: &str) -> ClientResult {
    let agent = RealAgent::start(cli, "").await?;
    let broker = &agent.broker;
    let first = broker.ask("Hello.", "alice").await;
    std::fs::remove_dir_all(broker.folder().join(sessions)).unwrap();
    let anew = broker.ask("And again.", "alice").await;
    let next = broker.ask("Once more.", "alice").await;
    assert_eq!(users(&first), users(&anew), "{anew:?}");
    assert_eq!(users(&anew) + 1, users(&next), "{next:?}");
    let states = broker.turn_states().await;
    assert_eq!(states, ["done", "failed", "done", "done"]);
    agent.stop().await;
    Ok(())
}

/// With nobody behind it, a turn ends at its deadline or before, and says so.
pub async fn a_backend_that_is_down_is_an_error_in_time(cli: Cli) -> ClientResult {
    let mut agent = RealAgent::start(cli, "turn_timeout = \"6s\"\ngrace = \"1s\"").await?;
    agent.model.end();
    let began = Instant::now();
    let answer = agent.broker.ask("Anyone there?", "alice").await;
    let took = began.elapsed();
    assert!(matches!(answer.status, 502 | 504), "{answer:?}");
    let message = answer.json()["error"]["message"].clone();
    assert!(message.as_str().unwrap().len() > 10, "{answer:?}");
    assert!(took < Duration::from_secs(12), "{took:?}");
    expect_none(&agent.setting);
    agent.stop().await;
    Ok(())
}

/// A vendor's refusal reaches the caller in the CLI's own words.
pub async fn a_refusal_of_the_vendor_is_told(cli: Cli, words: &str) -> ClientResult {
    let agent = RealAgent::start(cli, "").await?;
    let answer = agent.broker.ask("[[fail: 401]]", "alice").await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.text.contains(words), "{answer:?}");
    agent.stop().await;
    Ok(())
}

/// A tool calls back with the token and the addresses in its environment.
pub async fn a_tool_can_call_back(cli: Cli) -> ClientResult {
    let agent = RealAgent::start(cli, "").await?;
    let prompt = r#"[[run: curl -sS -o /dev/null -w "status %{http_code}" -X POST "$POSTROOM_URL/agent-reply" -H "Authorization: Bearer $POSTROOM_TURN_TOKEN" -H "Content-Type: application/json" -d "{\"task_id\":\"$POSTROOM_MESSAGE_ID\",\"agent\":\"coder\",\"event\":\"note\",\"data\":{\"at\":\"work\"}}"]]"#;
    let answer = agent.broker.ask(prompt, "alice").await;
    assert!(answer.content().contains("status 200"), "{answer:?}");
    let turns = agent.broker.turns().await;
    assert_eq!(turns[0]["callbacks"], 1, "{turns:?}");
    agent.stop().await;
    Ok(())
}

/// A streamed answer comes whole, and ends as it should.
pub async fn an_answer_is_streamed(cli: Cli) -> ClientResult {
    let agent = RealAgent::start(cli, "").await?;
    let fields = json!({"model": AGENT, "stream": true, "user": "alice"});
    let answer = agent
        .broker
        .chat(&chat("[[say: one two three]]", fields))
        .await;
    let events = answer.events();
    assert_eq!(events.last(), Some(&"[DONE]"), "{answer:?}");
    assert_eq!(streamed_text(&events), "one two three", "{answer:?}");
    agent.stop().await;
    Ok(())
}

fn streamed_text(events: &[&str]) -> String {
    let chunks = events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok());
    chunks
        .filter_map(|chunk| {
            let text = chunk["choices"][0]["delta"]["content"].as_str()?;
            Some(text.to_owned())
        })
        .collect()
}

/// How many user messages the model saw, as it says.
fn users(answer: &Answer) -> u32 {
    let text = answer.content();
    let number = text.split("users=").nth(1).and_then(|rest| {
        rest.split(|character: char| !character.is_ascii_digit())
            .next()
    });
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("no count in {answer:?}"))
}

/// The model's calls whose last user message holds these words.
async fn asked(agent: &RealAgent, words: &str) -> Vec<Value> {
    let calls = agent.model.calls().await;
    calls.into_iter().filter(|call| says(call, words)).collect()
}
