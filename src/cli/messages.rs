//! `messages list|show|cancel`: what became of messages.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::{
    HomeArgs, World,
    agent_view::shown,
    client::{Client, block_on},
    exit, message_view,
};

#[cfg(test)]
mod tests;

/// `messages`
#[derive(Args)]
pub struct MessagesArgs {
    /// What about them.
    #[command(subcommand)]
    pub verb: MessagesVerb,
}

/// The verbs of `messages`.
#[derive(Subcommand)]
pub enum MessagesVerb {
    /// The messages between agents, newest first
    List(ListMessagesArgs),
    /// What became of one message, step by step
    Show(MessageArgs),
    /// Take back what has not started, end what runs
    Cancel(MessageArgs),
}

/// `messages list`
#[derive(Args)]
pub struct ListMessagesArgs {
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// Only those older than this one
    #[arg(long, value_name = "ID")]
    pub before: Option<String>,
    /// Only those in this state
    #[arg(long, value_enum)]
    pub state: Option<MessageState>,
    /// Only those that this agent sent or got
    #[arg(long)]
    pub agent: Option<String>,
    /// Only those that this peer sent or got
    #[arg(long, conflicts_with = "agent")]
    pub peer: Option<String>,
    /// Only those to agents here (in), or to others (out)
    #[arg(long, value_enum)]
    pub direction: Option<Direction>,
    /// Only those of this conversation
    #[arg(long, value_name = "CONTEXT_ID")]
    pub context: Option<String>,
    /// Chats and responses too
    #[arg(long)]
    pub all: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// The states of messages: those on their way in first, then those on their way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageState {
    /// To an agent: it waits for a turn
    Queued,
    /// To an agent: a turn works on it
    Running,
    /// To an agent: its sender was called back
    Answered,
    /// To an agent: its turn ended, its sender heard nothing
    Done,
    /// To an agent: its turns failed for good
    Failed,
    /// Of no use any more before a turn began
    Expired,
    /// It was taken back
    Cancelled,
    /// To others: it waits for its first or next try
    Waiting,
    /// To others: its recipient has it
    Delivered,
    /// Kept until its recipient asks for it
    Held,
    /// It was given up: a dead letter
    Dead,
    /// A dead letter that was dropped
    Dropped,
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// To an agent here
    In,
    /// To somebody else
    Out,
}

/// `messages show` and `cancel`
#[derive(Args)]
pub struct MessageArgs {
    /// Which message
    pub id: String,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Does what is asked about messages.
pub(super) fn run(
    args: &MessagesArgs,
    world: &World,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    match &args.verb {
        MessagesVerb::List(args) => list(args, world, output),
        MessagesVerb::Show(args) => show(args, "/messages", world, output),
        MessagesVerb::Cancel(args) => cancel(args, world, output),
    }
}

fn list(args: &ListMessagesArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::of_home(&args.home.folder(world)?)?;
    let path = message_view::with_query(
        "/messages",
        &[
            ("limit", Some(args.limit.to_string())),
            ("before", args.before.clone()),
            ("direction", args.direction.as_ref().and_then(word)),
            ("state", args.state.as_ref().and_then(word)),
            ("context_id", args.context.clone()),
            ("agent", args.agent.clone()),
            ("peer", args.peer.clone()),
            ("all", args.all.then(|| "true".to_owned())),
        ],
    );
    let answer = block_on(async { Ok(client.get(&path).await?) })?;
    if args.json {
        writeln!(output, "{answer:#}")?;
    } else {
        print_page(&answer, "messages", "no messages", world, output)?;
    }
    Ok(exit::OK)
}

fn word(value: &impl ValueEnum) -> Option<String> {
    let value = value.to_possible_value()?;
    Some(value.get_name().to_owned())
}

/// A page of a list as a table, and how to get the next one.
pub(super) fn print_page(
    answer: &Value,
    key: &str,
    none: &str,
    world: &World,
    output: &mut dyn Write,
) -> anyhow::Result<()> {
    let summaries = message_view::summaries(answer, key)?;
    let Some(last) = summaries.last() else {
        writeln!(output, "{none}")?;
        return Ok(());
    };
    let table = message_view::list(&summaries, world.now, world.paint());
    write!(output, "{table}")?;
    let has_more = answer.get("has_more").and_then(Value::as_bool);
    if has_more.unwrap_or_default() {
        writeln!(output, "there are more: --before {}", shown(&last.id))?;
    }
    Ok(())
}

/// Shows one message of a folder of the API.
pub(super) fn show(
    args: &MessageArgs,
    folder: &str,
    world: &World,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let client = Client::of_home(&args.home.folder(world)?)?;
    let path = message_view::path_of(folder, &args.id);
    let (answer, message) = block_on(message_view::one(&client, &path))?;
    if args.json {
        writeln!(output, "{answer:#}")?;
    } else {
        let text = message_view::steps(&message, world.now, world.paint());
        write!(output, "{text}")?;
    }
    Ok(exit::OK)
}

fn cancel(args: &MessageArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::of_home(&args.home.folder(world)?)?;
    let path = message_view::path_of("/messages", &args.id);
    let answer = block_on(async { Ok(client.delete(&path).await?) })?;
    let is_cancelled = answer.get("cancelled").and_then(Value::as_bool);
    let is_cancelled = is_cancelled.unwrap_or_default();
    if args.json {
        writeln!(output, "{answer:#}")?;
    } else if is_cancelled {
        writeln!(output, "{} cancelled", shown(&args.id))?;
    } else {
        let state = answer.get("state").and_then(Value::as_str);
        let state = shown(state.unwrap_or("ended"));
        writeln!(output, "{} is {state} already", shown(&args.id))?;
    }
    Ok(if is_cancelled {
        exit::OK
    } else {
        exit::FAILURE
    })
}
