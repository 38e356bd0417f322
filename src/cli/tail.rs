//! `tail [agent]`: what happens, as it happens.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use postroom_actors::domain::ids::AgentId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval},
};

mod connection;
mod line;
mod screen;
#[cfg(test)]
mod tests;
mod voices;

use connection::Connection;
use screen::Screen;
use voices::Voices;

use super::{
    HomeArgs, World, agent_view,
    client::{Client, ClientError, block_on, events::Event},
    exit,
};

/// `tail`
#[derive(clap::Args)]
pub struct TailArgs {
    /// Only what concerns this agent, with what its turns say
    pub agent: Option<String>,
    /// Begin with so many of the last events, 0 to 1000
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub lines: u16,
    /// Begin with all events that the service still has of this run
    #[arg(long, conflicts_with = "lines")]
    pub since_start: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// As many lines as the service keeps.
const ALL_LINES: u16 = 1000;

/// How often we look whether somebody still reads.
const LOOK: Duration = Duration::from_secs(1);

/// Prints what happens until Ctrl-C, or until nobody reads it any more.
pub(super) fn run(args: &TailArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let agent = args.agent.as_deref().map(AgentId::parse).transpose()?;
    let home = args.home.folder(world)?;
    let lines = if args.since_start {
        ALL_LINES
    } else {
        args.lines
    };
    let screen = Screen {
        output,
        is_json: args.json,
        paint: world.paint(),
    };
    let ended = block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut tail = Tail::new(home, agent, lines, screen);
        tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(exit::INTERRUPTED),
            () = reader_gone() => Ok(exit::OK),
            ended = tail.follow() => ended,
        }
    });
    ended.or_else(|failure| {
        let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        match failure.downcast_ref::<io::Error>() {
            Some(error) if is_closed(error) => Ok(exit::OK),
            _ => Err(failure),
        }
    })
}

/// Ends once nobody can read our output any more, also where there is nothing to write.
async fn reader_gone() {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let at_once = Timespec::default();
    loop {
        looks.tick().await;
        let stdout = io::stdout();
        let mut looked_at = [PollFd::new(&stdout, PollFlags::empty())];
        let seen = poll(&mut looked_at, Some(&at_once));
        let gone = PollFlags::ERR | PollFlags::HUP;
        let is_gone = |it: &PollFd<'_>| it.revents().intersects(gone);
        if seen.is_ok() && looked_at.iter().any(is_gone) {
            return;
        }
    }
}

/// Follows the feed of a service, and what the turns of one agent say.
struct Tail<'a> {
    connection: Connection,
    agent: Option<AgentId>,
    voices: Voices,
    /// The number of the newest event when the connection was made.
    last_at_begin: u64,
    screen: Screen<'a>,
}

impl<'a> Tail<'a> {
    fn new(home: PathBuf, agent: Option<AgentId>, lines: u16, screen: Screen<'a>) -> Self {
        Self {
            connection: Connection::new(home, path(agent.as_ref(), lines)),
            agent,
            voices: Voices::default(),
            last_at_begin: 0,
            screen,
        }
    }

    async fn follow(&mut self) -> anyhow::Result<u8> {
        let begun = self.connection.begin().await;
        if let Err(error) = begun {
            return Err(self.explain(error).await);
        }
        loop {
            let why = self.read_on().await?;
            if let Err(error) = self.connection.come_back(&why).await {
                return Err(self.explain(error).await);
            }
        }
    }

    /// An agent that is not there is told with those that are.
    async fn explain(&self, error: ClientError) -> anyhow::Error {
        let is_unknown = matches!(error, ClientError::Refused { status: 404, .. });
        match (&self.agent, self.connection.client()) {
            (Some(agent), Some(client)) if is_unknown => {
                let told = agent_view::unknown(&client, agent.as_str()).await;
                told.unwrap_or_else(|_silent| error.into())
            }
            _ => error.into(),
        }
    }

    /// Shows what comes until the connection ends; answers why it did.
    async fn read_on(&mut self) -> anyhow::Result<String> {
        loop {
            tokio::select! {
                biased;
                Some(voice) = self.voices.next() => self.screen.voice(&voice)?,
                event = self.connection.next() => match event {
                    Ok(Some(event)) => self.event(&event).await?,
                    Ok(None) => return Ok("the service ended it".to_owned()),
                    Err(error) => return Ok(error.to_string()),
                },
            }
        }
    }

    async fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let turn = data.get("turn").and_then(Value::as_str);
        match event.name.as_str() {
            "watching" => {
                let last = data.get("last").and_then(Value::as_u64);
                self.last_at_begin = last.unwrap_or_default();
                return self.hear_running_turns().await;
            }
            // Told in full by the turn itself.
            "turn_step" if turn.is_some_and(|turn| self.voices.is_heard(turn)) => return Ok(()),
            "turn_ended" => self.hear_out(turn).await?,
            _ => {}
        }
        self.screen.event(event, &data)?;
        if event.name == "turn_began" {
            let number = data.get("number").and_then(Value::as_u64);
            let is_new = number.is_some_and(|number| number > self.last_at_begin);
            let ours = data.get("agent").and_then(Value::as_str);
            if is_new && ours == self.agent.as_ref().map(AgentId::as_str) {
                self.hear(turn);
            }
        }
        Ok(())
    }

    /// Turns that run already are heard from their beginning.
    async fn hear_running_turns(&mut self) -> anyhow::Result<()> {
        let (Some(agent), Some(client)) = (&self.agent, self.connection.client()) else {
            return Ok(());
        };
        let Ok(status) = client.get(&format!("/agents/{agent}")).await else {
            // It breaks off for the feed too, or the agent has just gone.
            return Ok(());
        };
        for turn in agent_view::agent(status)?.turns {
            self.hear(Some(&turn.turn));
        }
        Ok(())
    }

    fn hear(&mut self, turn: Option<&str>) {
        if let (Some(turn), Some(client)) = (turn, self.connection.client()) {
            self.voices.hear(turn, client);
        }
    }

    /// Shows all that a turn has said before its end is shown.
    async fn hear_out(&mut self, turn: Option<&str>) -> anyhow::Result<()> {
        let Some(turn) = turn else { return Ok(()) };
        while let Some(voice) = self.voices.rest_of(turn).await {
            self.screen.voice(&voice)?;
        }
        Ok(())
    }
}

fn path(agent: Option<&AgentId>, lines: u16) -> String {
    let agent = agent.map(|agent| format!("&agent={agent}"));
    format!("/events?lines={lines}{}", agent.unwrap_or_default())
}

/// A client that several may use.
type SharedClient = Arc<Client>;
