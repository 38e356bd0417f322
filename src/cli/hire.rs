//! `hire <role> [name]` and `init <role>`: one more agent.

use std::io::Write;

use postroom_actors::{domain::ids::AgentId, ports::turns::HiredAgent};
use serde_json::{Value, json};

use super::{
    HomeArgs, World,
    agent_view::{self, shown},
    client::{Client, block_on, is_not_running},
    exit,
    progress::Progress,
};
use crate::{
    settings::{self, Flags},
    startup,
};

/// `hire`
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  postroom hire engineer alice
  postroom hire reviewer --cli 'claude --model opus'")]
pub struct HireArgs {
    /// What it does, e.g. `engineer`
    pub role: String,
    /// Its own name, where a role has several
    pub name: Option<String>,
    /// Command that runs its turns [default: that of all agents]
    #[arg(long, value_name = "COMMAND")]
    pub cli: Option<String>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
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
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
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
            json: args.json,
            home: args.home,
        }
    }
}

/// Makes the agent, or finds that it is there, and says what it does.
///
/// Without a service its workspace is made, and the next start takes it in.
pub(super) fn run(args: &HireArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let id = AgentId::of_role(&args.role, args.name.as_deref())?;
    let order = order(args);
    let progress = Progress::begin(world, &format!("making {id}"));
    let asked = block_on(async {
        let client = Client::of_home(&args.home.folder(world)?)?;
        Ok(client.post("/agents", Some(&order)).await?)
    });
    drop(progress);
    match asked {
        Ok(answer) if args.json => writeln!(output, "{answer:#}")?,
        Ok(answer) => {
            let agent = agent_view::agent(answer.get("agent").cloned().unwrap_or_default())?;
            writeln!(output, "{} {}", shown(&agent.id), shown(&agent.state))?;
        }
        Err(error) if is_not_running(&error) => {
            let is_new = prepare(args, world, id.clone())?;
            if args.json {
                let told = json!({"agent": {"id": id}, "created": is_new, "running": false});
                writeln!(output, "{told:#}")?;
                return Ok(exit::OK);
            }
            writeln!(
                output,
                "{id} (postroom is not running: start it with `postroom daemon`)"
            )?;
        }
        Err(error) => return Err(error),
    }
    Ok(exit::OK)
}

/// Answers whether its workspace is new.
fn prepare(args: &HireArgs, world: &World, id: AgentId) -> anyhow::Result<bool> {
    let flags = Flags {
        base_dir: args.home.base_dir.clone(),
        ..Flags::default()
    };
    let settings = settings::load(world.sources(flags, "postroom"))?;
    let hired = HiredAgent {
        cli: args.cli.clone(),
        is_stopped: false,
    };
    settings
        .agents
        .profile(&id, settings.home.clone(), hired.cli.as_deref())?;
    block_on(async { Ok(startup::prepare_agent(&settings, id, hired).await?) })
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
