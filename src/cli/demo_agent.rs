//! `demo-agent`: the agent of `demo`. It reads a prompt, works a little, calls back, answers.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use anyhow::Context;
use serde_json::json;

use super::{
    World,
    client::{Client, block_on},
    exit,
};

/// How long each of its steps takes.
const STEP: Duration = Duration::from_millis(500);

/// The longest prompt that is read, in bytes.
const LONGEST_PROMPT: u64 = 1024 * 1024;

/// Works through a prompt on standard input.
pub(super) fn run(world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let mut prompt = Vec::new();
    io::stdin().take(LONGEST_PROMPT).read_to_end(&mut prompt)?;
    let prompt = String::from_utf8_lossy(&prompt);
    let variable = |name| {
        world
            .variable(name)
            .with_context(|| format!("{name} is not set; this is the agent of `postroom demo`"))
    };
    let service = Client::at(variable("POSTROOM_URL")?, variable("POSTROOM_TURN_TOKEN")?)?;
    let agent = variable("POSTROOM_AGENT")?;
    block_on(work(&service, agent, &prompt, STEP, output))
}

async fn work(
    service: &Client,
    agent: &str,
    prompt: &str,
    step: Duration,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut say = |text: &str| {
        writeln!(output, "{text}")?;
        // It is to be read while the work goes on.
        output.flush()
    };
    let words = prompt.split_whitespace().count();
    for text in [
        format!("I read a prompt of {words} words."),
        "I think about it.".to_owned(),
    ] {
        say(&text)?;
        tokio::time::sleep(step).await;
    }
    say("I call back to tell how far I am.")?;
    let report = json!({
        // A label, not the id of what waits: that one is answered below.
        "task_id": "demo-progress",
        "agent": agent,
        "event": "final",
        "data": {"text": "half way through"},
        "metadata": {"from": "postroom demo"},
    });
    service.post("/agent-reply", Some(&report)).await?;
    tokio::time::sleep(step).await;
    say("Hello! I am a script that stands in for an agent.")?;
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::cli::client::tests::{json_answer, server};

    #[test]
    fn it_works_calls_back_with_its_token_and_answers() {
        let (endpoint, requests) =
            server(Box::new(|_| json_answer("200 OK", &json!({"ok": true}))));
        let service = Client::at(&endpoint, "turn-token").unwrap();
        let mut output = Vec::new();
        let worked = work(&service, "demo", "do it now", Duration::ZERO, &mut output);
        assert_eq!(block_on(worked).unwrap(), exit::OK);
        let seen = requests.recv().unwrap();
        assert_eq!(seen.line, "POST /agent-reply HTTP/1.1");
        assert!(
            seen.headers
                .contains(&"authorization: Bearer turn-token".to_owned())
        );
        let body: Value = serde_json::from_str(&seen.body).unwrap();
        assert_eq!(
            (&body["event"], &body["agent"]),
            (&json!("final"), &json!("demo"))
        );
        let output = String::from_utf8(output).unwrap();
        assert!(
            output.starts_with("I read a prompt of 3 words.\n"),
            "{output}"
        );
        assert!(
            output.lines().count() == 4 && output.contains("\nHello!"),
            "{output}"
        );
    }
}
