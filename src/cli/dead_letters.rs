//! `dead-letters list|show|retry|drop`: messages that got nowhere.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    HomeArgs, World,
    agent_view::shown,
    client::{Client, ClientError, block_on},
    exit, message_view,
    messages::{self, MessageArgs},
};

#[cfg(test)]
mod tests;

/// How many dead letters are asked for at once.
const PAGE: &str = "200";

/// `dead-letters`
#[derive(Args)]
pub struct DeadLettersArgs {
    /// What about them.
    #[command(subcommand)]
    pub verb: DeadLettersVerb,
}

/// The verbs of `dead-letters`.
#[derive(Subcommand)]
pub enum DeadLettersVerb {
    /// What was given up, newest first, and why
    List(ListDeadArgs),
    /// What became of one, step by step
    Show(MessageArgs),
    /// Try again, with a new schedule
    Retry(ChosenArgs),
    /// Take out of the list for good
    Drop(ChosenArgs),
}

/// `dead-letters list`
#[derive(Args)]
pub struct ListDeadArgs {
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// Only those older than this one
    #[arg(long, value_name = "ID")]
    pub before: Option<String>,
    /// Only those from or to this peer
    #[arg(long, conflicts_with = "agent")]
    pub peer: Option<String>,
    /// Only those from or to this agent
    #[arg(long)]
    pub agent: Option<String>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// `dead-letters retry` and `drop`
#[derive(Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["ids", "all"]))]
pub struct ChosenArgs {
    /// Which ones
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// All of them; with --peer or --agent, all of that one
    #[arg(long)]
    pub all: bool,
    /// With --all: only those from or to this peer
    #[arg(long, requires = "all", conflicts_with_all = ["ids", "agent"])]
    pub peer: Option<String>,
    /// With --all: only those from or to this agent
    #[arg(long, requires = "all", conflicts_with = "ids")]
    pub agent: Option<String>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// What is done with the chosen ones.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Retry,
    Drop,
}

/// Does what is asked about dead letters.
pub(super) fn run(
    args: &DeadLettersArgs,
    world: &World,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    match &args.verb {
        DeadLettersVerb::List(args) => list(args, world, output),
        DeadLettersVerb::Show(args) => messages::show(args, "/dead-letters", world, output),
        DeadLettersVerb::Retry(args) => each(Deed::Retry, args, world, output),
        DeadLettersVerb::Drop(args) => each(Deed::Drop, args, world, output),
    }
}

fn list(args: &ListDeadArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::of_home(&args.home.folder(world)?)?;
    let path = message_view::with_query(
        "/dead-letters",
        &[
            ("limit", Some(args.limit.to_string())),
            ("before", args.before.clone()),
            ("peer", args.peer.clone()),
            ("agent", args.agent.clone()),
        ],
    );
    let answer = block_on(async { Ok(client.get(&path).await?) })?;
    if args.json {
        writeln!(output, "{answer:#}")?;
    } else {
        messages::print_page(&answer, "dead_letters", "no dead letters", world, output)?;
    }
    Ok(exit::OK)
}

/// What came of the chosen ones.
#[derive(Default)]
struct Done {
    ids: Vec<String>,
    refused: Vec<Value>,
}

fn each(
    deed: Deed,
    args: &ChosenArgs,
    world: &World,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let client = Client::of_home(&args.home.folder(world)?)?;
    let past = match deed {
        Deed::Retry => "retried",
        Deed::Drop => "dropped",
    };
    block_on(async {
        let ids = if args.all {
            all(&client, args).await?
        } else {
            args.ids.clone()
        };
        if ids.is_empty() && !args.json {
            writeln!(output, "no dead letters")?;
        }
        let mut done = Done::default();
        for id in ids {
            let line = match act(&client, deed, &id).await? {
                Ok(()) => {
                    let line = format!("{} {past}", shown(&id));
                    done.ids.push(id);
                    line
                }
                Err(message) => {
                    let line = format!("{}: {}", shown(&id), shown(&message));
                    done.refused.push(json!({"id": id, "message": message}));
                    line
                }
            };
            if !args.json {
                writeln!(output, "{line}")?;
            }
        }
        let is_fine = done.refused.is_empty();
        if args.json {
            let told = json!({past: done.ids, "refused": done.refused});
            writeln!(output, "{told:#}")?;
        }
        Ok(if is_fine { exit::OK } else { exit::FAILURE })
    })
}

/// One of them; the inner error is for that one alone, in the service's words.
async fn act(client: &Client, deed: Deed, id: &str) -> Result<Result<(), String>, ClientError> {
    let path = message_view::path_of("/dead-letters", id);
    let acted = match deed {
        Deed::Retry => client.post(&format!("{path}/retry"), None).await,
        Deed::Drop => client.delete(&path).await,
    };
    match acted {
        Ok(_) => Ok(Ok(())),
        Err(ClientError::Refused {
            status: 404 | 409,
            message,
        }) => Ok(Err(message)),
        Err(error) => Err(error),
    }
}

/// The ids of all dead letters, page by page, before any of them is touched.
async fn all(client: &Client, args: &ChosenArgs) -> anyhow::Result<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let path = message_view::with_query(
            "/dead-letters",
            &[
                ("limit", Some(PAGE.to_owned())),
                ("before", ids.last().cloned()),
                ("peer", args.peer.clone()),
                ("agent", args.agent.clone()),
            ],
        );
        let answer = client.get(&path).await?;
        let page = message_view::summaries(&answer, "dead_letters")?;
        let has_more = answer.get("has_more").and_then(Value::as_bool);
        let is_last = page.is_empty() || !has_more.unwrap_or_default();
        ids.extend(page.into_iter().map(|summary| summary.id));
        if is_last {
            return Ok(ids);
        }
    }
}
