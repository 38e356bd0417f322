//! A real `codex` that is given a message, and answers it with the command that stands in its prompt.

use serde_json::json;

use crate::support::{
    agents::AGENT,
    messages::{message, quick},
    peers::Peer,
    real_cli::{Cli::Codex, RealAgent},
    tools::ClientResult,
};

const SECRET: &str = "secret-between-boss-and-us";

#[actix_web::test]
async fn codex_answers_a_message_with_the_command_in_its_prompt() -> ClientResult {
    let boss = Peer::that_takes_all();
    let peer = format!(
        "turn_timeout = \"120s\"\n[peers.boss]\nurl = {:?}\nsecret = {SECRET:?}\nallow_private = true\n\
         schedule = {}\nanswer_types = [\"PR_READY\"]\nto = \"{AGENT}\"",
        boss.url(),
        quick()
    );
    let agent = RealAgent::start(Codex, &peer).await?;
    // The mock model has the shell run the block of the prompt that holds this word.
    let task = message("TASK", "[[run-told: curl]] [[say: sent]]", json!({}));
    let id = agent.broker.receives(SECRET, &task).await;
    let answers = boss.until_received(1).await;
    let seen = agent.broker.until_message(&id, "answered").await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].kind(), "PR_READY", "{answers:?}");
    assert_eq!(answers[0].header("x-shared-secret"), Some(SECRET));
    assert_eq!(seen["turns"][0]["callbacks"], 1, "{seen}");
    assert_eq!(seen["callbacks"][0]["type"], "PR_READY", "{seen}");
    agent.stop().await;
    Ok(())
}
