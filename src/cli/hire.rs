//! `hire <role> [name]` and `init <role>`: one more agent.

use std::io::Write;

use postroom_actors::domain::ids::AgentId;
use serde_json::{Value, json};

use super::{
    HomeArgs, World,
    agent_view::{self, shown},
    client::{Client, block_on},
    exit,
};

/// `hire`
#[derive(clap::Args)]
pub struct HireArgs {
    /// What it does, e.g. `engineer`
    pub role: String,
    /// Its own name, where a role has several
    pub name: Option<String>,
    /// Command that runs its turns [default: that of all agents]
    #[arg(long, value_name = "COMMAND")]
    pub cli: Option<String>,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// `init`
#[derive(clap::Args)]
pub struct InitArgs {
    /// What it does, e.g. `engineer`
    pub role: String,
    /// Command that runs its turns [default: that of all agents]
    #[arg(long, value_name = "COMMAND")]
    pub cli: Option<String>,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

impl From<InitArgs> for HireArgs {
    fn from(args: InitArgs) -> Self {
        Self {
            role: args.role,
            name: None,
            cli: args.cli,
            home: args.home,
        }
    }
}

/// Makes the agent, or finds that it is there, and says what it does.
pub(super) fn run(args: &HireArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    AgentId::of_role(&args.role, args.name.as_deref())?;
    let client = Client::of_home(&args.home.folder(world)?)?;
    let order = order(args);
    let answer = block_on(async { Ok(client.post("/agents", Some(&order)).await?) })?;
    let agent = agent_view::agent(answer.get("agent").cloned().unwrap_or_default())?;
    writeln!(output, "{} {}", shown(&agent.id), shown(&agent.state))?;
    Ok(exit::OK)
}

fn order(args: &HireArgs) -> Value {
    let mut order = json!({ "role": args.role });
    for (key, value) in [("name", &args.name), ("cli", &args.cli)] {
        if let (Some(value), Some(order)) = (value, order.as_object_mut()) {
            order.insert(key.to_owned(), json!(value));
        }
    }
    order
}
