//! `status`: the service and its agents as a tree.

use std::io::Write;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{
    HomeArgs, World,
    agent_view::{self, AgentView, Paint, shown},
    client::{Client, ClientError, block_on},
    exit,
};

/// `status`
#[derive(clap::Args)]
pub struct StatusArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Silence of a turn that is worth a word.
const LONG_SILENCE: TimeDelta = TimeDelta::seconds(60);

struct Status {
    health: Value,
    agents: Value,
    views: Vec<AgentView>,
}

/// Prints how the service is; 69 where it does not run.
pub(super) fn run(args: &StatusArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let home = args.home.folder(world)?;
    let asked = Client::of_home(&home)
        .map_err(anyhow::Error::from)
        .and_then(|client| {
            let status = block_on(ask(&client))?;
            Ok((client, status))
        });
    match asked {
        Ok((client, status)) if args.json => {
            writeln!(output, "{:#}", as_json(&client, &status))?;
            Ok(exit::OK)
        }
        Ok((client, status)) => {
            let text = tree(
                &master(&client, &status.health),
                &status.views,
                world.now,
                world.paint(),
            );
            write!(output, "{text}")?;
            Ok(exit::OK)
        }
        Err(error) if args.json => match error.downcast_ref::<ClientError>() {
            Some(known) => {
                let told = json!({"running": false, "problem": known.to_string()});
                writeln!(output, "{told:#}")?;
                Ok(known.exit_code())
            }
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

async fn ask(client: &Client) -> anyhow::Result<Status> {
    let health = client.get("/health").await?;
    let (answer, views) = agent_view::all(client).await?;
    let agents = answer.get("agents").cloned().unwrap_or_default();
    Ok(Status {
        health,
        agents,
        views,
    })
}

fn as_json(client: &Client, status: &Status) -> Value {
    json!({
        "running": true,
        "pid": pid(client, &status.health),
        "endpoint": client.endpoint(),
        "ok": status.health.get("ok"),
        "manager": status.health.get("manager"),
        "version": status.health.get("version"),
        "agents": status.agents,
    })
}

/// The service's own word, else its runtime file's.
fn pid(client: &Client, health: &Value) -> Option<u64> {
    let told = health.get("pid").and_then(Value::as_u64);
    told.or_else(|| client.runtime().map(|runtime| u64::from(runtime.pid)))
}

fn master(client: &Client, health: &Value) -> String {
    let pid = pid(client, health).map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let is_well = health
        .get("ok")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    let trouble = if is_well {
        ""
    } else {
        " in trouble: see `GET /readyz`"
    };
    format!("master{pid} {}{trouble}", shown(client.endpoint()))
}

fn tree(master: &str, agents: &[AgentView], now: DateTime<Utc>, paint: Paint) -> String {
    let mut text = format!("{}\n", paint.bold(master));
    for (number, agent) in agents.iter().enumerate() {
        let is_last = number + 1 == agents.len();
        let branch = if is_last { "└── " } else { "├── " };
        text.push_str(&paint.dim(branch));
        text.push_str(&line(agent, now, paint));
        text.push('\n');
    }
    text
}

fn line(agent: &AgentView, now: DateTime<Utc>, paint: Paint) -> String {
    let turns = agent.turns.iter().map(|turn| match turn.pid {
        Some(pid) => format!("(pid {pid})"),
        None => "(starting)".to_owned(),
    });
    let turns: Vec<_> = turns.collect();
    let state = if turns.is_empty() {
        format!("({})", shown(&agent.state))
    } else {
        turns.join(" ")
    };
    let mut line = format!("{} {}", shown(&agent.id), paint.state(&agent.state, &state));
    if let Some(since) = agent.turns.iter().map(|turn| turn.since).min() {
        line = format!("{line} for {}", agent_view::span(now - since));
    }
    if let Some(silence) = silence(agent, now) {
        line = format!("{line}, silent for {}", agent_view::span(silence));
    }
    if agent.waiting > 0 {
        line = format!("{line}, {} waiting", agent.waiting);
    }
    if let Some(problem) = agent.problem.as_ref().or(agent.waits_for.as_ref()) {
        line = format!("{line}: {}", shown(problem));
    }
    line
}

/// How long the quietest of its turns has given no sign of life, where that is long.
fn silence(agent: &AgentView, now: DateTime<Utc>) -> Option<TimeDelta> {
    let last_events = agent.turns.iter().filter_map(|turn| turn.last_event_at);
    let silence = now - last_events.min()?;
    (silence > LONG_SILENCE).then_some(silence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_is_silent_for_over_a_minute_is_told_as_such() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(300);
        let line_of = |last: &str| {
            let turn = json!({"turn": "t", "pid": 7, "since": "1970-01-01T00:00:00Z", "last_event_at": last});
            let agent = json!({"id": "a", "state": "running", "turns": [turn]});
            line(
                &agent_view::agent(agent).unwrap(),
                now,
                Paint { colours: false },
            )
        };
        assert_eq!(
            line_of("1970-01-01T00:01:00Z"),
            "a (pid 7) for 5m00s, silent for 4m00s"
        );
        assert_eq!(line_of("1970-01-01T00:04:00Z"), "a (pid 7) for 5m00s");
    }

    #[test]
    fn each_agent_tells_what_it_does() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(12);
        let turn = json!({"turn": "t", "pid": 4812, "since": "1970-01-01T00:00:00Z"});
        let agents: Vec<AgentView> = [
            json!({"id": "manager", "state": "idle"}),
            json!({"id": "engineer_alice", "state": "running", "waiting": 2, "turns": [turn]}),
            json!({"id": "tester", "state": "stopped"}),
            json!({"id": "reviewer", "state": "parked", "problem": "`codex` was not found"}),
        ]
        .map(|agent| agent_view::agent(agent).unwrap())
        .into();
        let text = tree(
            "master (pid 1) http://x",
            &agents,
            now,
            Paint { colours: false },
        );
        assert_eq!(
            text,
            "master (pid 1) http://x\n\
             ├── manager (idle)\n\
             ├── engineer_alice (pid 4812) for 12s, 2 waiting\n\
             ├── tester (stopped)\n\
             └── reviewer (parked): `codex` was not found\n"
        );
    }
}
