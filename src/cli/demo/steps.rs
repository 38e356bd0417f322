//! What becomes of a message, one line a step.

use std::{io::Write, time::Duration};

use anyhow::Context;
use postroom_actors::domain::ids::AgentId;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

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
    let path = format!("/turns/{turn}");
    let mut events = client.follow(&format!("{path}/events")).await?;
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_called = false;
    loop {
        tokio::select! {
            event = events.next() => {
                let event = event?.context("nothing tells the end of the turn")?;
                let is_end = event.name == "exited";
                if is_end && !has_called {
                    tell_callbacks(client, &path, log).await?;
                }
                for step in in_words(&event) {
                    log.step(&step)?;
                }
                if is_end {
                    return Ok(());
                }
            }
            _ = look.tick(), if !has_called => {
                has_called = tell_callbacks(client, &path, log).await?;
            }
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

/// Callbacks are counted in the turn; no event tells of them. Answers whether there was one.
async fn tell_callbacks(client: &Client, path: &str, log: &mut Log<'_>) -> anyhow::Result<bool> {
    let turn = client.get(path).await?;
    let callbacks = turn.get("callbacks").and_then(Value::as_u64).unwrap_or(0);
    if callbacks > 0 {
        log.step("its callback is received and kept")?;
    }
    Ok(callbacks > 0)
}

/// An event in words; what a user need not know is none.
fn in_words(event: &Event) -> Vec<String> {
    let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
    let text = |pointer| {
        let text = data.pointer(pointer).and_then(Value::as_str);
        shown(text.unwrap_or_default())
    };
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
        "exited" => match text("/failure/message").as_str() {
            "" => vec![format!("turn ended: {}", text("/state"))],
            why => vec![format!("turn ended: {}: {why}", text("/state"))],
        },
        _ => Vec::new(),
    }
}
