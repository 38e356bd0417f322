//! `demo`: a message on its way to an agent and back, on a broker of its own.

use std::{fs, io::Write, path::Path, time::Duration};

use anyhow::Context;
use postroom_actors::domain::ids::AgentId;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::Instant,
};

use super::{
    World,
    agent_view::Paint,
    client::{Client, block_on},
    exit,
};

mod broker;
mod steps;
#[cfg(test)]
mod tests;

use broker::Broker;
use steps::Log;

/// The longest time that the whole demo may take after the broker's start.
const LONGEST: Duration = Duration::from_mins(1);

/// What the agent is asked.
const QUESTION: &str = "Please look at this message, tell how far you are, and say hello.";

/// `demo`
#[derive(clap::Args)]
pub struct DemoArgs {
    /// Keep the folder of the demo
    #[arg(long)]
    pub keep: bool,
}

/// Starts a broker, shows the way of one message, and ends the broker.
pub(super) fn run(args: &DemoArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let folder = broker::new_folder()?;
    let done = block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let log = Log::new(output, world.paint());
        let mut broker = Broker::spawn(world, &folder)?;
        let shown = tokio::select! {
            shown = show(&mut broker, log) => shown,
            _ = interrupt.recv() => Ok(exit::INTERRUPTED),
        };
        broker.stop().await;
        shown.with_context(|| broker::last_words(&folder))
    });
    let kept = if args.keep {
        writeln!(output, "kept: {}", folder.display())
    } else {
        fs::remove_dir_all(&folder)
    };
    let code = done?;
    kept.with_context(|| format!("`{}`", folder.display()))?;
    if code == exit::OK {
        write!(output, "{}", what_next(world.paint()))?;
    }
    Ok(code)
}

async fn show(broker: &mut Broker, mut log: Log<'_>) -> anyhow::Result<u8> {
    let client = broker.ready().await?;
    let pid = broker.pid();
    log.step(&format!("broker runs (pid {pid}) at {}", client.endpoint()))?;
    tokio::time::timeout(LONGEST, follow(&client, log))
        .await
        .context("the demo takes too long")??;
    Ok(exit::OK)
}

/// Sends the message and tells what becomes of it.
async fn follow(client: &Client, mut log: Log<'_>) -> anyhow::Result<()> {
    let agent = AgentId::parse("demo")?;
    let body = json!({"type": "TASK", "payload": {"text": QUESTION}, "to": agent});
    log.step(&format!("message to `{agent}`: {QUESTION}"))?;
    let sent = Instant::now();
    let receipt = client.post("/message", Some(&body)).await?;
    let received = sent.elapsed().as_millis();
    log.step(&format!("received in {received} ms: it is on disk now"))?;
    steps::tell(client, &agent, &mut log).await?;
    let id = receipt.get("id").and_then(Value::as_str);
    steps::tell_answers(client, id.context("the receipt has no id")?, &mut log).await
}

fn what_next(paint: Paint) -> String {
    let command = |text| paint.bold(text);
    format!(
        "\nThat was the whole way, without any model. With a real agent:\n  {}\n  {}\n",
        command("postroom daemon --cli codex"),
        command("postroom connect manager"),
    )
}

/// The configuration of the demo's broker.
fn configuration(folder: &Path, executable: &Path) -> String {
    let text = |path: &Path| toml::Value::String(path.display().to_string()).to_string();
    let program = executable.display().to_string().replace('\'', r"'\''");
    let cli = toml::Value::String(format!("'{program}' demo-agent"));
    format!(
        "[server]\nhost = \"127.0.0.1\"\nport = 0\nworkers = 1\n\n\
         [mailbox]\ninbox = {}\n\n\
         [agents]\ndefault = \"demo\"\n\n\
         [agents.demo]\ncli = {cli}\ndialect = \"command\"\n",
        text(&folder.join("inbox"))
    )
}
