//! The keys while no service runs.

use anyhow::bail;
use serde_json::{Value, json};

use super::super::{HomeArgs, World};
use crate::settings::{
    self, Flags, Settings,
    stored_keys::{self, NewKey},
};

/// The configuration that the next start would read.
fn settings(home: &HomeArgs, world: &World) -> anyhow::Result<Settings> {
    let flags = Flags {
        base_dir: home.base_dir.clone(),
        // It may be what the key is made for.
        allow_unauthenticated: true,
        ..Flags::default()
    };
    Ok(settings::load(world.sources(flags, "postroom"))?)
}

pub(super) fn add(new: NewKey, home: &HomeArgs, world: &World) -> anyhow::Result<Value> {
    let settings = settings(home, world)?;
    if settings.keys.contains_key(&new.name) {
        bail!(
            "there is a key `{}` in the configuration; choose another name",
            new.name
        );
    }
    let (stored, key) = new.make(world.now)?;
    stored_keys::add(&settings.home, stored.clone())?;
    Ok(json!({
        "name": stored.name,
        "role": stored.role.name(),
        "agent": stored.agent,
        "created_at": stored.created_at,
        "key": key,
        "first": !settings.has_keys(),
    }))
}

pub(super) fn list(home: &HomeArgs, world: &World) -> anyhow::Result<Value> {
    let settings = settings(home, world)?;
    let main = settings.server.key.iter();
    let main = main.map(|_| json!({"name": "key", "role": "operator", "source": "config"}));
    let named = settings.keys.iter().map(|(name, key)| {
        json!({"name": name, "role": key.role.name(), "agent": key.agent, "source": "config"})
    });
    let stored = settings.stored_keys.iter().map(|key| {
        json!({"name": key.name, "role": key.role.name(), "agent": key.agent, "source": "command",
            "created_at": key.created_at})
    });
    let keys: Vec<Value> = main.chain(named).chain(stored).collect();
    Ok(json!({ "keys": keys }))
}

pub(super) fn revoke(name: &str, home: &HomeArgs, world: &World) -> anyhow::Result<Value> {
    let settings = settings(home, world)?;
    let is_main = name == "key" && settings.server.key.is_some();
    if is_main || settings.keys.contains_key(name) {
        bail!("the key `{name}` is in the configuration; change it there");
    }
    // Without any, the next start refuses to listen where others reach it.
    stored_keys::remove(&settings.home, name, true)?;
    Ok(json!({ "ok": true }))
}
