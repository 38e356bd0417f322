//! `send <agent|peer> [text]`: a message to an agent, here or elsewhere.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use thiserror::Error;

use super::{
    HomeArgs, World,
    agent_view::shown,
    client::{Client, block_on},
    exit,
};
use crate::settings::duration;

mod following;
#[cfg(test)]
mod tests;

use following::{Following, Until};

/// The longest payload that is read, in bytes; the service may take less.
const LONGEST_PAYLOAD: u64 = 64 * 1024 * 1024;

/// `send`
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  postroom send reviewer 'Please look at the last commit.' --answer
  postroom send otherplace/lead 'Done.' --type RESULT --delivered
  git diff | jq -Rs '{diff: .}' | postroom send reviewer --payload -")]
pub struct SendArgs {
    /// An agent, a peer, or an agent of a peer
    #[arg(value_name = "AGENT|PEER|PEER/AGENT")]
    pub to: String,
    /// What to say; it becomes the payload {"text": TEXT}
    #[arg(conflicts_with = "payload", required_unless_present_any = ["payload", "kind"])]
    pub text: Vec<String>,
    /// Which kind of message
    #[arg(long = "type", value_name = "TYPE", default_value = "TASK")]
    pub kind: String,
    /// The payload as JSON, or - to read it from standard input
    #[arg(long, value_name = "JSON")]
    pub payload: Option<String>,
    /// The conversation that it belongs to
    #[arg(long, value_name = "CONTEXT_ID")]
    pub context: Option<String>,
    /// An id of your own: with it, a repeat is taken once
    #[arg(long)]
    pub id: Option<String>,
    /// The message that it answers
    #[arg(long, value_name = "ID")]
    pub in_reply_to: Option<String>,
    /// low, normal, high, or 0 to 9
    #[arg(long, value_parser = priority)]
    pub priority: Option<Value>,
    /// It is of no use after this time, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub expires_in: Option<Duration>,
    /// Wait until its recipient has it
    #[arg(long)]
    pub delivered: bool,
    /// Wait for what comes back, until its turn ends, and print that
    #[arg(long)]
    pub answer: bool,
    /// How long to wait [default: 30s, with --answer 10m]
    #[arg(long, value_name = "DURATION", value_parser = positive)]
    pub timeout: Option<Duration>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

fn positive(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        Some(_) => Err("it must be longer than 0".to_owned()),
        None => Err(duration::EXPECTED.to_owned()),
    }
}

fn priority(text: &str) -> Result<Value, String> {
    match (text, text.parse::<u8>()) {
        ("low" | "normal" | "high", _) => Ok(json!(text)),
        (_, Ok(level @ 0..=9)) => Ok(json!(level)),
        _ => Err("expected low, normal, high, or 0 to 9".to_owned()),
    }
}

/// Why a message is not sent, or did not come to what was waited for.
#[derive(Debug, Error)]
pub(super) enum SendFailure {
    /// The payload is no JSON.
    #[error("`--payload` is not JSON: {0}")]
    Payload(#[from] serde_json::Error),
    /// What was waited for did not come in time.
    #[error("message `{id}` is not {what} after {} s; it goes on by itself, see `postroom messages show {id}`", .waited.as_secs())]
    NotYet {
        /// The message.
        id: String,
        /// `delivered` or `answered`.
        what: &'static str,
        /// How long it was waited.
        waited: Duration,
    },
    /// It will not be delivered, or not be worked on.
    #[error("message `{id}` is {state}{why}")]
    GotNowhere {
        /// The message.
        id: String,
        /// Its last state.
        state: String,
        /// `: ` and the reason, or nothing.
        why: String,
    },
    /// The turn ended without a word.
    #[error("the turn of message `{id}` ended without an answer")]
    Unanswered {
        /// The message.
        id: String,
    },
}

impl SendFailure {
    /// 64 where the payload is wrong, 75 where it may come later, else 1.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Payload(_) => exit::USAGE,
            Self::NotYet { .. } => exit::TEMPORARY,
            Self::GotNowhere { .. } | Self::Unanswered { .. } => exit::FAILURE,
        }
    }
}

/// Sends a message, and waits for what is wanted of it.
pub(super) fn run(args: &SendArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::of_home(&args.home.folder(world)?)?;
    let body = body(args, world, &mut io::stdin())?;
    block_on(async {
        let sent = client.post("/send", Some(&body)).await?;
        let id = sent.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = id.to_owned();
        if !args.json {
            tell_sent(&sent, &id, output)?;
        }
        let mut following = Following::of(&client, id, args.json, world, output);
        let ended = match until(args) {
            Some((until, longest)) => following.follow(until, longest).await,
            None => Ok(()),
        };
        let told = following.told(sent);
        if args.json {
            writeln!(output, "{told:#}")?;
        }
        ended.map(|()| exit::OK)
    })
}

fn tell_sent(sent: &Value, id: &str, output: &mut dyn Write) -> io::Result<()> {
    let is_duplicate = sent.get("duplicate").and_then(Value::as_bool);
    let already = if is_duplicate.unwrap_or_default() {
        " (it had been sent before)"
    } else {
        ""
    };
    writeln!(output, "sent {}{already}", shown(id))?;
    // It is to be read while the wait goes on.
    output.flush()
}

fn until(args: &SendArgs) -> Option<(Until, Duration)> {
    let wait = |until, default| Some((until, args.timeout.unwrap_or(default)));
    if args.answer {
        wait(Until::Answered, Duration::from_mins(10))
    } else if args.delivered {
        wait(Until::Delivered, Duration::from_secs(30))
    } else {
        None
    }
}

/// What is posted to `/send`.
fn body(args: &SendArgs, world: &World, input: &mut dyn Read) -> anyhow::Result<Value> {
    let mut body = json!({
        "type": args.kind,
        "payload": payload(args, input)?,
        "to": args.to,
    });
    let expires_at = args.expires_in.and_then(|expires_in| {
        let at = world
            .now
            .checked_add_signed(TimeDelta::from_std(expires_in).ok()?)?;
        Some(json!(at.to_rfc3339_opts(SecondsFormat::Millis, true)))
    });
    let optional = [
        ("id", args.id.as_ref().map(|id| json!(id))),
        ("context_id", args.context.as_ref().map(|id| json!(id))),
        ("in_reply_to", args.in_reply_to.as_ref().map(|id| json!(id))),
        ("priority", args.priority.clone()),
        ("expires_at", expires_at),
    ];
    if let Some(body) = body.as_object_mut() {
        let set = optional
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)));
        body.extend(set);
    }
    Ok(body)
}

fn payload(args: &SendArgs, input: &mut dyn Read) -> anyhow::Result<Value> {
    let Some(payload) = &args.payload else {
        return Ok(match args.text.as_slice() {
            [] => json!({}),
            words => json!({"text": words.join(" ")}),
        });
    };
    let parsed = if payload == "-" {
        let mut text = Vec::new();
        input.take(LONGEST_PAYLOAD).read_to_end(&mut text)?;
        serde_json::from_slice(&text)
    } else {
        serde_json::from_str(payload)
    };
    Ok(parsed.map_err(SendFailure::Payload)?)
}
