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
    block_on(work(&service, &prompt, STEP, output))
}

async fn work(
    service: &Client,
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
    say("I tell by /send how far I am.")?;
    send(service, "STATUS", "half way through").await?;
    tokio::time::sleep(step).await;
    send(
        service,
        "DONE",
        "Hello! I am a script that stands in for an agent.",
    )
    .await?;
    say("That was all.")?;
    Ok(exit::OK)
}

/// Without `to` it goes to whoever sent the message that this turn works on.
async fn send(service: &Client, kind: &str, text: &str) -> anyhow::Result<()> {
    let message = json!({"type": kind, "payload": {"text": text}});
    service.post("/send", Some(&message)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::cli::client::tests::{json_answer, server};

    #[test]
    fn it_tells_how_far_it_is_and_answers_with_its_token() {
        let (endpoint, requests) = server(Box::new(|_| {
            json_answer("200 OK", &json!({"status": "sent"}))
        }));
        let service = Client::at(&endpoint, "turn-token").unwrap();
        let mut output = Vec::new();
        let worked = work(&service, "do it now", Duration::ZERO, &mut output);
        assert_eq!(block_on(worked).unwrap(), exit::OK);
        for kind in ["STATUS", "DONE"] {
            let seen = requests.recv().unwrap();
            assert_eq!(seen.line, "POST /send HTTP/1.1");
            let token = "authorization: Bearer turn-token".to_owned();
            assert!(seen.headers.contains(&token));
            let body: Value = serde_json::from_str(&seen.body).unwrap();
            assert_eq!((&body["type"], &body["to"]), (&json!(kind), &Value::Null));
        }
        let output = String::from_utf8(output).unwrap();
        assert!(
            output.starts_with("I read a prompt of 3 words.\n"),
            "{output}"
        );
        assert_eq!(output.lines().count(), 4, "{output}");
    }
}
