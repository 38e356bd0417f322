//! `list`: the agents, one a line.

use std::io::Write;

use chrono::{DateTime, Utc};

use super::{
    HomeArgs, World,
    agent_view::{self, AgentView, Paint},
    client::{Client, block_on},
    exit, table,
};

/// `list`
#[derive(clap::Args)]
pub struct ListArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Prints all agents.
pub(super) fn run(args: &ListArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let client = Client::of_home(&args.home.folder(world)?)?;
    let (answer, agents) = block_on(agent_view::all(&client))?;
    if args.json {
        writeln!(output, "{answer:#}")?;
    } else if agents.is_empty() {
        writeln!(
            output,
            "no agents; make one with `postroom hire <role> [name]`"
        )?;
    } else {
        write!(output, "{}", table(&agents, world.now, world.paint()))?;
    }
    Ok(exit::OK)
}

/// The agents as a table: name, state, for how long its oldest turn runs, tasks that wait, command.
fn table(agents: &[AgentView], now: DateTime<Utc>, paint: Paint) -> String {
    let rows = agents.iter().map(|agent| row(agent, now));
    table::table(["AGENT", "STATE", "TURN", "WAITING", "CLI"], rows, 1, paint)
}

fn row(agent: &AgentView, now: DateTime<Utc>) -> [String; 5] {
    let since = agent.turns.iter().map(|turn| turn.since).min();
    [
        agent_view::shown(&agent.id),
        agent_view::shown(&agent.state),
        since.map_or_else(|| "-".to_owned(), |since| agent_view::span(now - since)),
        agent.waiting.to_string(),
        agent_view::shown(&agent.cli),
    ]
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_lines_up() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(100);
        let turn = json!({"turn": "t", "pid": 7, "since": "1970-01-01T00:00:28Z"});
        let agents: Vec<AgentView> = [
            json!({"id": "manager", "state": "idle", "cli": "codex"}),
            json!({"id": "engineer_alice", "state": "running", "cli": "my cli", "waiting": 12,
                "turns": [turn]}),
        ]
        .map(|agent| agent_view::agent(agent).unwrap())
        .into();
        assert_eq!(
            table(&agents, now, Paint { colours: false }),
            "AGENT           STATE    TURN   WAITING  CLI\n\
             manager         idle     -      0        codex\n\
             engineer_alice  running  1m12s  12       my cli\n"
        );
    }
}
