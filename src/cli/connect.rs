//! `connect <agent> [working_dir]`: a conversation, a line a message.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    path::{Path, PathBuf},
};

use postroom_actors::domain::ids::AgentId;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::{
    HomeArgs, World, agent_view,
    client::{Client, block_on, events::Events},
    exit,
};
use crate::runtime_file::fresh_key;

pub(super) mod reply;
#[cfg(test)]
mod tests;

use reply::Piece;

/// `connect`
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  postroom connect manager
  echo 'What is to be done?' | postroom connect engineer_alice ~/project")]
pub struct ConnectArgs {
    /// Which agent
    pub agent: String,
    /// A folder that the agent is told of
    pub working_dir: Option<PathBuf>,
    /// Begin a new conversation, not the last one again
    #[arg(long)]
    pub new: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Talks until `/exit`, the end of the input, or Ctrl-C outside of a reply.
pub(super) fn run(args: ConnectArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let agent = AgentId::parse(&args.agent)?;
    let client = Client::of_home(&args.home.folder(world)?)?;
    let session = session(world, &agent, args.new)?;
    let folder = args
        .working_dir
        .map(|folder| world.working_dir.join(folder));
    let is_typed = io::stdin().is_terminal() && world.is_terminal;
    block_on(async {
        let cli = agent_view::one(&client, &agent).await?.cli;
        if is_typed {
            writeln!(
                output,
                "{agent} ({}) listens; /exit or Ctrl-D ends, Ctrl-C cancels a reply",
                agent_view::shown(&cli)
            )?;
        }
        let lines = lines(io::BufReader::new(io::stdin()));
        let mut conversation = Conversation {
            client,
            agent,
            session,
            context: folder.as_deref().map(context),
            lines,
            interrupts: interrupts()?,
            is_typed,
            output,
        };
        conversation.talk().await
    })
}

/// The same for each conversation of a user with an agent, unless a new one is wanted.
fn session(world: &World, agent: &AgentId, is_new: bool) -> io::Result<String> {
    let user = world
        .variable("USER")
        .or_else(|| world.variable("LOGNAME"))
        .unwrap_or("user");
    let name = format!("connect:{}:{agent}", user.escape_default());
    if is_new {
        let random: String = fresh_key()?.chars().take(12).collect();
        return Ok(format!("{name}:{random}"));
    }
    Ok(name)
}

fn context(folder: &Path) -> String {
    format!("The folder that this is about: {}\n\n", folder.display())
}

/// The lines of an input, read by a thread of their own: it ends with the process.
fn lines(input: impl BufRead + Send + 'static) -> mpsc::Receiver<io::Result<String>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in input.lines() {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn interrupts() -> io::Result<mpsc::Receiver<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while interrupt.recv().await.is_some() && sender.send(()).await.is_ok() {}
    });
    Ok(receiver)
}

struct Conversation<'a> {
    client: Client,
    agent: AgentId,
    session: String,
    /// Goes with the first message.
    context: Option<String>,
    lines: mpsc::Receiver<io::Result<String>>,
    interrupts: mpsc::Receiver<()>,
    /// Somebody sits at a terminal.
    is_typed: bool,
    output: &'a mut dyn Write,
}

impl Conversation<'_> {
    /// Gives 1 where a message of a script got no reply.
    async fn talk(&mut self) -> anyhow::Result<u8> {
        let mut code = exit::OK;
        loop {
            self.print(if self.is_typed { "> " } else { "" })?;
            let line = tokio::select! {
                biased;
                Some(()) = self.interrupts.recv() => {
                    self.print("\n")?;
                    return Ok(exit::INTERRUPTED);
                }
                line = self.lines.recv() => line.transpose()?,
            };
            let Some(line) = line else {
                self.print(if self.is_typed { "\n" } else { "" })?;
                return Ok(code);
            };
            match line.trim() {
                "" => {}
                "/exit" | "/quit" => return Ok(code),
                text => match self.exchange(text).await {
                    Ok(()) => {}
                    Err(error) if self.is_typed => self.print(&format!("error: {error:#}\n"))?,
                    Err(error) => {
                        self.print(&format!("error: {error:#}\n"))?;
                        code = super::exit_code(&error);
                    }
                },
            }
        }
    }

    /// One message and its reply.
    async fn exchange(&mut self, text: &str) -> anyhow::Result<()> {
        let content = format!("{}{text}", self.context.as_deref().unwrap_or_default());
        let body = json!({
            "model": self.agent,
            "stream": true,
            "messages": [{"role": "user", "content": content}],
        });
        let headers = [("x-openclaw-session-key", self.session.as_str())];
        let mut id = None;
        let mut events = tokio::select! {
            biased;
            Some(()) = self.interrupts.recv() => return self.cancel(None).await,
            events = self.client.stream("/v1/chat/completions", &headers, &body) => events?,
        };
        self.context = None;
        let finished = self.show(&mut events, &mut id).await;
        self.print("\n")?;
        if finished? {
            return Ok(());
        }
        drop(events);
        self.cancel(id.as_deref()).await
    }

    /// Prints a reply as it comes; `false` where it was interrupted.
    async fn show(&mut self, events: &mut Events, id: &mut Option<String>) -> anyhow::Result<bool> {
        loop {
            let event = tokio::select! {
                biased;
                Some(()) = self.interrupts.recv() => return Ok(false),
                event = events.next() => event?,
            };
            let Some(event) = event else {
                return Err(anyhow::anyhow!("the reply broke off"));
            };
            match reply::read(&event.data, id) {
                Piece::Text(text) => self.print(&self.safe(text))?,
                Piece::Nothing => {}
                Piece::Failed(message) => return Err(anyhow::anyhow!(message)),
                Piece::End => return Ok(true),
            }
        }
    }

    /// Ends the turn that works on a message.
    async fn cancel(&mut self, message: Option<&str>) -> anyhow::Result<()> {
        let agent = agent_view::one(&self.client, &self.agent).await?;
        let is_ours = |turn: &&agent_view::RunningView| match message {
            Some(message) => turn.tasks.iter().any(|task| reply::same_id(task, message)),
            None => turn.session.contains(&self.session),
        };
        let Some(turn) = agent.turns.iter().find(is_ours) else {
            self.print("(no turn has begun with it; it goes on waiting)\n")?;
            return Ok(());
        };
        self.client.delete(&format!("/turns/{}", turn.turn)).await?;
        self.print("(cancelled)\n")?;
        Ok(())
    }

    /// An agent's words; on a terminal without what commands it.
    fn safe(&self, text: String) -> String {
        if !self.is_typed {
            return text;
        }
        let is_harmless = |character: &char| !character.is_control() || "\n\t".contains(*character);
        text.chars().filter(is_harmless).collect()
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }
}

/// What a value of JSON says as a text.
fn text_at(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}
