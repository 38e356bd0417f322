//! `demo`: a message on its way to an agent and back, on a broker of its own.

use std::{fs, io::Write, path::Path, time::Duration};

use anyhow::Context;
use postroom_actors::domain::ids::AgentId;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    World,
    agent_view::{self, Paint, shown},
    client::{Client, block_on, events::Events},
    connect::reply::{self, Piece},
    exit,
};

mod broker;
#[cfg(test)]
mod tests;

use broker::Broker;

/// How often the broker is asked what the turn does.
const LOOK: Duration = Duration::from_millis(50);

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
        let mut log = Log::new(output, world.paint());
        let mut broker = Broker::spawn(world, &folder)?;
        let shown = tokio::select! {
            shown = show(&mut broker, &mut log) => shown,
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

async fn show(broker: &mut Broker, log: &mut Log<'_>) -> anyhow::Result<u8> {
    let client = broker.ready().await?;
    let pid = broker.pid();
    log.step(&format!("broker runs (pid {pid}) at {}", client.endpoint()))?;
    tokio::time::timeout(LONGEST, follow(&client, log))
        .await
        .context("the demo takes too long")??;
    Ok(exit::OK)
}

/// Sends the message and tells what becomes of it.
async fn follow(client: &Client, log: &mut Log<'_>) -> anyhow::Result<()> {
    let agent = AgentId::parse("demo")?;
    let body = json!({
        "model": agent,
        "stream": true,
        "messages": [{"role": "user", "content": QUESTION}],
    });
    log.step(&format!("message sent to `{agent}`: {QUESTION}"))?;
    let sent = Instant::now();
    let mut events = client.stream("/v1/chat/completions", &[], &body).await?;
    let accepted = sent.elapsed().as_millis();
    log.step(&format!("accepted in {accepted} ms: it is on disk now"))?;
    let mut watch = TurnWatch::default();
    let answer = answer(client, &agent, &mut events, &mut watch, log).await?;
    watch.look(client, &agent, log).await?;
    log.step(&format!("answer: {}", shown(answer.trim())))?;
    Ok(())
}

/// Reads the reply while it looks at the turn now and then.
async fn answer(
    client: &Client,
    agent: &AgentId,
    events: &mut Events,
    watch: &mut TurnWatch,
    log: &mut Log<'_>,
) -> anyhow::Result<String> {
    let mut answer = String::new();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => {
                let event = event?.context("the reply broke off")?;
                match reply::read(&event, &mut None) {
                    Piece::Text(text) => answer.push_str(&text),
                    Piece::Nothing => {}
                    Piece::Failed(message) => anyhow::bail!(message),
                    Piece::End => return Ok(answer),
                }
            }
            _ = look.tick() => watch.look(client, agent, log).await?,
        }
    }
}

/// What was told of a turn so far.
#[derive(Default)]
struct TurnWatch {
    turn: Option<String>,
    tells_pid: bool,
    /// Lines of the transcript that were shown.
    lines: usize,
    callbacks: u64,
    has_ended: bool,
}

impl TurnWatch {
    /// Tells what is new.
    async fn look(
        &mut self,
        client: &Client,
        agent: &AgentId,
        log: &mut Log<'_>,
    ) -> anyhow::Result<()> {
        if !self.tells_pid {
            let agent = agent_view::one(client, agent).await?;
            if let Some(turn) = agent.turns.first() {
                self.turn = Some(turn.turn.clone());
                if let Some(pid) = turn.pid {
                    self.tells_pid = true;
                    log.step(&format!("turn started (pid {pid})"))?;
                }
            }
        }
        let Some(turn) = &self.turn else {
            return Ok(());
        };
        let turn = client.get(&format!("/turns/{turn}")).await?;
        self.tell(&turn, log)
    }

    fn tell(&mut self, turn: &Value, log: &mut Log<'_>) -> anyhow::Result<()> {
        let text = |key| turn.get(key).and_then(Value::as_str).unwrap_or_default();
        // The last line may still be on its way, and what is on standard output is the answer.
        let transcript = text("transcript_tail");
        let complete = transcript.matches('\n').count();
        for line in transcript.lines().take(complete).skip(self.lines) {
            log.step(&format!("agent: {}", shown(line)))?;
        }
        self.lines = self.lines.max(complete);
        let callbacks = turn.get("callbacks").and_then(Value::as_u64).unwrap_or(0);
        if callbacks > self.callbacks {
            self.callbacks = callbacks;
            log.step(&format!("callback of the agent received ({callbacks})"))?;
        }
        let state = text("state");
        if !self.has_ended && !matches!(state, "" | "starting" | "running") {
            self.has_ended = true;
            log.step(&format!("turn ended: {}", shown(state)))?;
        }
        Ok(())
    }
}

/// Prints steps with their times.
struct Log<'a> {
    output: &'a mut dyn Write,
    paint: Paint,
    begun: Instant,
}

impl<'a> Log<'a> {
    fn new(output: &'a mut dyn Write, paint: Paint) -> Self {
        Self {
            output,
            paint,
            begun: Instant::now(),
        }
    }

    fn step(&mut self, text: &str) -> std::io::Result<()> {
        let time = format!("{:>7.3} s", self.begun.elapsed().as_secs_f64());
        writeln!(self.output, "{}  {text}", self.paint.dim(&time))?;
        self.output.flush()
    }
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
