//! `stop <role|agent>`: no turns until `start`.

use std::io::Write;

use postroom_actors::domain::ids::AgentId;
use serde_json::json;

use super::{
    HomeArgs, World,
    agent_view::{self, AgentView, shown},
    client::{Client, block_on},
    exit,
    progress::Progress,
};

/// `stop`
#[derive(clap::Args)]
pub struct StopArgs {
    /// An agent, or a role: then all of that role
    #[arg(value_name = "AGENT|ROLE")]
    pub agent: String,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Stops the agent of that name, else all whose role it is.
pub(super) fn run(args: &StopArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let name = AgentId::of_role(&args.agent, None)?;
    let client = Client::of_home(&args.home.folder(world)?)?;
    block_on(async {
        let (_, agents) = agent_view::all(&client).await?;
        let chosen = chosen(&name, &agents);
        if chosen.is_empty() {
            return Err(agent_view::unknown(&client, name.as_str()).await?);
        }
        let mut stopped = Vec::new();
        for id in chosen {
            let progress = Progress::begin(world, &format!("ending the turns of {id}"));
            let answer = client.post(&format!("/agents/{id}/stop"), None).await?;
            drop(progress);
            let agent = agent_view::agent(answer.clone())?;
            stopped.push(answer);
            if !args.json {
                writeln!(output, "{} {}", shown(&agent.id), shown(&agent.state))?;
            }
        }
        if args.json {
            let told = json!({"agents": stopped});
            writeln!(output, "{told:#}")?;
        }
        Ok(exit::OK)
    })
}

fn chosen<'a>(name: &AgentId, agents: &'a [AgentView]) -> Vec<&'a str> {
    let ids = || agents.iter().map(|agent| agent.id.as_str());
    let of_that_name: Vec<_> = ids().filter(|id| *id == name.as_str()).collect();
    if !of_that_name.is_empty() {
        return of_that_name;
    }
    let has_role = |id: &&str| {
        id.strip_prefix(name.as_str())
            .is_some_and(|rest| rest.starts_with('_'))
    };
    ids().filter(has_role).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_agent_and_a_role_is_all_of_it() {
        let agents: Vec<_> = [
            "engineer_alice",
            "engineer_bob",
            "engineering",
            "lead",
            "lead_x",
        ]
        .into_iter()
        .map(|id| agent_view::agent(json!({"id": id, "state": "idle"})).unwrap())
        .collect();
        let chosen = |name| chosen(&AgentId::parse(name).unwrap(), &agents);
        assert_eq!(chosen("engineer"), ["engineer_alice", "engineer_bob"]);
        assert_eq!(chosen("engineer_bob"), ["engineer_bob"]);
        assert_eq!(chosen("lead"), ["lead"]);
        assert!(chosen("engine").is_empty());
    }
}
