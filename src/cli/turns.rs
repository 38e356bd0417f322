//! `turns <agent>`: what it did last.

use std::io::Write;

use chrono::{DateTime, Utc};
use postroom_actors::domain::ids::AgentId;
use serde::Deserialize;
use serde_json::Value;

use super::{
    HomeArgs, World,
    agent_view::{self, Paint, counted, shown, span},
    client::{Client, ClientError, block_on},
    exit,
};

/// `turns`
#[derive(clap::Args)]
pub struct TurnsArgs {
    /// Which agent
    pub agent: String,
    /// How many, newest first
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

#[derive(Deserialize)]
struct TurnView {
    id: String,
    state: String,
    started_at: DateTime<Utc>,
    #[serde(default)]
    ended_at: Option<DateTime<Utc>>,
    #[serde(default)]
    callbacks: u64,
    #[serde(default)]
    failure: Option<FailureView>,
}

#[derive(Deserialize)]
struct FailureView {
    message: String,
}

/// Prints the agent's last turns.
pub(super) fn run(args: &TurnsArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let id = AgentId::parse(&args.agent)?;
    let client = Client::of_home(&args.home.folder(world)?)?;
    let path = format!("/agents/{id}/turns?limit={}", args.limit);
    let answer = block_on(async {
        match client.get(&path).await {
            Err(ClientError::Refused { status: 404, .. }) => {
                Err(agent_view::unknown(&client, id.as_str()).await?)
            }
            answered => Ok(answered?),
        }
    })?;
    if args.json {
        writeln!(output, "{answer:#}")?;
        return Ok(exit::OK);
    }
    let turns = answer.get("turns").and_then(Value::as_array);
    for turn in turns.into_iter().flatten() {
        let turn = TurnView::deserialize(turn)?;
        writeln!(output, "{}", line(&turn, world.now, world.paint()))?;
    }
    Ok(exit::OK)
}

/// When, how long, how it ended, callbacks, id; and why it failed.
fn line(turn: &TurnView, now: DateTime<Utc>, paint: Paint) -> String {
    let state = paint.state(&turn.state, &format!("{:<11}", shown(&turn.state)));
    let lasted = span(turn.ended_at.unwrap_or(now) - turn.started_at);
    let started = turn.started_at.format("%Y-%m-%d %H:%M:%SZ");
    let id = paint.dim(&shown(&turn.id));
    let mut line = format!("{started}  {lasted:>7}  {state}  {id}");
    if turn.callbacks > 0 {
        let callbacks = counted(turn.callbacks, "callback", "callbacks");
        line = format!("{line}  {callbacks}");
    }
    if let Some(failure) = &turn.failure {
        line = format!("{line}  {}", shown(&failure.message));
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_turn_tells_when_how_long_and_how_it_ended() {
        let turn = json!({"id": "018f", "state": "timed-out", "started_at": "2026-11-21T07:05:09Z",
            "ended_at": "2026-11-21T07:10:09Z", "callbacks": 2,
            "failure": {"code": "timed_out", "message": "ended after 300 s"}});
        let turn = TurnView::deserialize(&turn).unwrap();
        assert_eq!(
            line(&turn, DateTime::UNIX_EPOCH, Paint { colours: false }),
            "2026-11-21 07:05:09Z    5m00s  timed-out    018f  2 callbacks  ended after 300 s"
        );
    }
}
