//! `keys add|list|revoke`: who may come in.
//!
//! A running service is told, and takes the change up at once; else the file is changed, and the
//! next start reads it.

mod offline;

use std::io::Write;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    HomeArgs, World,
    agent_view::{Paint, shown, span},
    client::{Client, block_on, is_not_running},
    exit, table,
};
use crate::settings::{Role, stored_keys::NewKey};

/// `keys`
#[derive(Args)]
pub struct KeysArgs {
    /// What about them.
    #[command(subcommand)]
    pub verb: KeysVerb,
}

/// The verbs of `keys`.
#[derive(Subcommand)]
pub enum KeysVerb {
    /// Make a key, and show it this once
    Add(AddArgs),
    /// The keys, without their texts
    List(ListArgs),
    /// Let nobody in with a key any more
    Revoke(RevokeArgs),
}

/// `keys add`
#[derive(Args)]
pub struct AddArgs {
    /// Its name: letters, digits, `_` and `-`
    pub name: String,
    /// What its holder may do: client, agent or operator
    #[arg(long, value_name = "ROLE", value_parser = role)]
    pub role: Role,
    /// Whose it is, with the role agent
    #[arg(long, value_name = "ID")]
    pub agent: Option<String>,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// `keys list`
#[derive(Args)]
pub struct ListArgs {
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

/// `keys revoke`
#[derive(Args)]
pub struct RevokeArgs {
    /// Its name
    pub name: String,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
    /// Which service.
    #[command(flatten)]
    pub home: HomeArgs,
}

fn role(text: &str) -> Result<Role, String> {
    let role = Role::parse(text);
    role.ok_or_else(|| "possible values: client, agent, operator".to_owned())
}

/// Does what the verb says.
pub(super) fn run(args: &KeysArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    match &args.verb {
        KeysVerb::Add(args) => add(args, world, output),
        KeysVerb::List(args) => list(args, world, output),
        KeysVerb::Revoke(args) => revoke(args, world, output),
    }
}

fn add(args: &AddArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let new = NewKey::checked(&args.name, args.role, args.agent.as_deref())?;
    let order = json!({"name": args.name, "role": args.role.name(), "agent": args.agent});
    let made = either(
        &args.home,
        world,
        async |client| Ok(client.post("/keys", Some(&order)).await?),
        || offline::add(new, &args.home, world),
    )?;
    if args.json {
        writeln!(output, "{made:#}")?;
        return Ok(exit::OK);
    }
    let key = made.get("key").and_then(Value::as_str).unwrap_or_default();
    writeln!(output, "{key}")?;
    writeln!(
        output,
        "this is the key `{}`; it is not shown again",
        args.name
    )?;
    if made.get("first").and_then(Value::as_bool) == Some(true) {
        writeln!(
            output,
            "it is the first one: from now on everybody needs a key"
        )?;
    }
    Ok(exit::OK)
}

fn list(args: &ListArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let answer = either(
        &args.home,
        world,
        async |client| Ok(client.get("/keys").await?),
        || offline::list(&args.home, world),
    )?;
    if args.json {
        writeln!(output, "{answer:#}")?;
        return Ok(exit::OK);
    }
    let keys = answer.get("keys").and_then(Value::as_array);
    let keys = keys.map_or(&[][..], Vec::as_slice);
    if keys.is_empty() {
        writeln!(
            output,
            "no keys: everybody on this machine may ask; make one with `postroom keys add`"
        )?;
    } else {
        write!(output, "{}", as_table(keys, world.now, world.paint()))?;
    }
    Ok(exit::OK)
}

fn revoke(args: &RevokeArgs, world: &World, output: &mut dyn Write) -> anyhow::Result<u8> {
    let path = format!(
        "/keys/{}",
        percent_encoding::utf8_percent_encode(&args.name, percent_encoding::NON_ALPHANUMERIC)
    );
    let answer = either(
        &args.home,
        world,
        async |client| Ok(client.delete(&path).await?),
        || offline::revoke(&args.name, &args.home, world),
    )?;
    if args.json {
        writeln!(output, "{answer:#}")?;
    } else {
        writeln!(output, "{} is revoked", args.name)?;
    }
    Ok(exit::OK)
}

/// Asks the running service; where none runs, does it without.
fn either(
    home: &HomeArgs,
    world: &World,
    ask: impl AsyncFnOnce(Client) -> anyhow::Result<Value>,
    without: impl FnOnce() -> anyhow::Result<Value>,
) -> anyhow::Result<Value> {
    let asked = block_on(async { ask(Client::of_home(&home.folder(world)?)?).await });
    match asked {
        Err(error) if is_not_running(&error) => without(),
        asked => asked,
    }
}

/// Name, role, where it comes from, and how long ago it was made and shown last.
fn as_table(keys: &[Value], now: DateTime<Utc>, paint: Paint) -> String {
    let rows = keys.iter().map(|key| {
        let text = |field: &str| key.get(field).and_then(Value::as_str).unwrap_or_default();
        let ago = |field: &str| {
            let at = DateTime::parse_from_rfc3339(text(field)).ok()?;
            Some(format!("{} ago", span(now - at.to_utc())))
        };
        let role = match text("agent") {
            "" => text("role").to_owned(),
            agent => format!("{} {agent}", text("role")),
        };
        [
            shown(text("name")),
            shown(&role),
            shown(text("source")),
            ago("created_at").unwrap_or_else(|| "-".to_owned()),
            ago("last_used_at").unwrap_or_else(|| "-".to_owned()),
        ]
    });
    // No column is a state.
    let none = usize::MAX;
    table::table(["KEY", "ROLE", "FROM", "MADE", "USED"], rows, none, paint)
}

#[cfg(test)]
mod tests;
