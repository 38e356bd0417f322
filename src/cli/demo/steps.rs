//! What becomes of a message, one line a step.

use std::{io::Write, time::Duration};

use anyhow::Context;
use postroom_actors::domain::ids::AgentId;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::cli::{
    agent_view::{Paint, shown},
    client::{Client, events::Event},
};

/// Between two looks at what no event tells of.
const LOOK: Duration = Duration::from_millis(50);

/// Prints steps with their times.
pub(super) struct Log<'a> {
    output: &'a mut dyn Write,
    paint: Paint,
    begun: Instant,
}

impl<'a> Log<'a> {
    pub(super) fn new(output: &'a mut dyn Write, paint: Paint) -> Self {
        Self {
            output,
            paint,
            begun: Instant::now(),
        }
    }

    pub(super) fn step(&mut self, text: &str) -> std::io::Result<()> {
        let time = format!("{:>7.3} s", self.begun.elapsed().as_secs_f64());
        writeln!(self.output, "{}  {text}", self.paint.dim(&time))?;
        self.output.flush()
    }
}

/// Tells the agent's newest turn from its begin to its end.
pub(super) async fn tell(
    client: &Client,
    agent: &AgentId,
    log: &mut Log<'_>,
) -> anyhow::Result<()> {
    let turn = newest_turn(client, agent).await?;
    let mut events = client.follow(&format!("/turns/{turn}/events")).await?;
    loop {
        let event = events.next().await?;
        let event = event.context("nothing tells the end of the turn")?;
        for step in in_words(&event) {
            log.step(&step)?;
        }
        if event.name == "exited" {
            return Ok(());
        }
    }
}

/// The turn is kept before its process starts, so it is soon there.
async fn newest_turn(client: &Client, agent: &AgentId) -> anyhow::Result<String> {
    loop {
        let answer = client
            .get(&format!("/agents/{agent}/turns?limit=1"))
            .await?;
        if let Some(id) = answer.pointer("/turns/0/id").and_then(Value::as_str) {
            return Ok(id.to_owned());
        }
        sleep(LOOK).await;
    }
}

/// What the agent has sent in answer to a message.
pub(super) async fn tell_answers(
    client: &Client,
    message: &str,
    log: &mut Log<'_>,
) -> anyhow::Result<()> {
    let message = client.get(&format!("/messages/{message}")).await?;
    let answers = message.get("callbacks").and_then(Value::as_array);
    for answer in answers.into_iter().flatten() {
        let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
        let answer = client.get(&format!("/messages/{id}")).await?;
        let kind = text_at(&answer, "/type");
        let text = text_at(&answer, "/body/payload/text");
        log.step(&format!("answer of type {kind}: {text}"))?;
    }
    let state = text_at(&message, "/state");
    log.step(&format!("the message is `{state}`"))?;
    Ok(())
}

fn text_at(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    shown(text.unwrap_or_default())
}

/// An event in words; what a user need not know is none.
fn in_words(event: &Event) -> Vec<String> {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let text = |pointer| text_at(&data, pointer);
    match event.name.as_str() {
        "started" => {
            let pid = data.get("pid").and_then(Value::as_u64);
            vec![format!("turn started (pid {})", pid.unwrap_or_default())]
        }
        "said" => {
            let said = data.get("text").and_then(Value::as_str).unwrap_or_default();
            let lines = said.lines().filter(|line| !line.trim().is_empty());
            lines
                .map(|line| format!("agent: {}", shown(line)))
                .collect()
        }
        "tool" => vec![format!("tool: {}", text("/name"))],
        "trouble" => vec![format!("trouble: {}", text("/text"))],
        "called_back" => vec![format!("it sends {} by /send: kept", text("/type"))],
        "exited" => match text("/failure/message").as_str() {
            "" => vec![format!("turn ended: {}", text("/state"))],
            why => vec![format!("turn ended: {}: {why}", text("/state"))],
        },
        _ => Vec::new(),
    }
}
