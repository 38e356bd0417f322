//! `start <agent>` and `resume <agent>`: turns again.

use std::io::Write;

use postroom_actors::domain::ids::AgentId;

use super::{
    HomeArgs, World,
    agent_view::{self, shown},
    client::{Client, ClientError, block_on},
    exit,
};

/// `start` and `resume`
#[derive(clap::Args)]
pub struct AgentArgs {
    /// Which agent
    pub agent: String,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    /// After a stop.
    Start,
    /// After it was parked.
    Resume,
}

/// Has the agent take turns again.
pub(super) fn run(
    verb: Verb,
    args: &AgentArgs,
    world: &World,
    output: &mut dyn Write,
) -> anyhow::Result<u8> {
    let id = AgentId::parse(&args.agent)?;
    let client = Client::of_home(&args.home.folder(world)?)?;
    let name = match verb {
        Verb::Start => "start",
        Verb::Resume => "resume",
    };
    block_on(async {
        let answer = match client.post(&format!("/agents/{id}/{name}"), None).await {
            Ok(answer) => answer,
            Err(ClientError::Refused { status: 404, .. }) => {
                return Err(agent_view::unknown(&client, id.as_str()).await?);
            }
            Err(error) => return Err(error.into()),
        };
        if args.json {
            writeln!(output, "{answer:#}")?;
            return Ok(exit::OK);
        }
        let agent = agent_view::agent(answer)?;
        writeln!(output, "{} {}", shown(&agent.id), shown(&agent.state))?;
        Ok(exit::OK)
    })
}
