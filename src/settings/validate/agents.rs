//! `[agents]`, `[agents.defaults]` and `[agents.NAME]`.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use postroom_actors::domain::{
    agent::{Delivery, OnDisconnect, Permissions, RESERVED_NAMES},
    ids::AgentId,
};

use super::{Checker, server::cores};
use crate::settings::{
    self, Secret,
    agents::{AgentSettings, AgentsSettings, DIALECTS, Paths},
    duration::DurationValue,
    layers::Layer,
    problem::{did_you_mean, shorten},
    raw::{self, DeliveryKind, QueueModeKind, RawAgent, RawAgents},
};

impl Checker<'_> {
    /// All of `[agents]`; `None` where `agents.default` is refused.
    pub(super) fn agents(&mut self, raw: &RawAgents) -> Option<AgentsSettings> {
        let paths = Paths {
            working_dir: self.sources.working_dir.clone(),
            user_home: self.sources.home_dir.clone(),
        };
        let mut defaults = self.agent("agents.defaults", &raw.defaults, &built_in(), &paths);
        self.drop_dialect_of_another_cli(&mut defaults);
        let mut named = BTreeMap::new();
        for (name, written) in &raw.named {
            let table = format!("agents.{name}");
            if let Some(id) = self.agent_id(&table, name) {
                named.insert(id, self.agent(&table, written, &defaults, &paths));
            }
        }
        let written = raw.default.as_deref().unwrap_or_default();
        Some(AgentsSettings {
            max_turns: self.max_turns(raw.max_turns.unwrap_or_default()),
            default: self.agent_id("agents.default", written)?,
            defaults,
            named,
            paths,
        })
    }

    /// A name that an agent may have. Whether there is such an agent is not known here: agents are
    /// also hired.
    pub(super) fn agent_id(&mut self, key: &str, written: &str) -> Option<AgentId> {
        if RESERVED_NAMES.contains(&written) {
            self.refuse(
                key,
                format!("`{written}` is kept for something else and cannot be an agent's name"),
            );
            return None;
        }
        AgentId::parse(written)
            .map_err(|error| self.refuse(key, error.to_string()))
            .ok()
    }

    fn max_turns(&mut self, written: u16) -> usize {
        let turns = match written {
            0 => cores(),
            written => usize::from(written),
        };
        self.layers
            .resolve("agents", "max_turns", i64::try_from(turns).unwrap_or(1));
        turns
    }

    fn agent(
        &mut self,
        table: &str,
        raw: &RawAgent,
        base: &AgentSettings,
        paths: &Paths,
    ) -> AgentSettings {
        let at = |key: &str| format!("{table}.{key}");
        let mut agent = self.with_bounds(table, raw, base.clone());
        if let Some(cli) = &raw.cli {
            match paths.command(cli) {
                Ok(command) => agent.command = command,
                Err(error) => self.refuse(&at("cli"), error.to_string()),
            }
            agent.cli.clone_from(cli);
            // A dialect belongs to its program.
            agent.dialect.clear();
        }
        if let Some(dialect) = &raw.dialect {
            self.check_dialect(&at("dialect"), dialect);
            agent.dialect.clone_from(dialect);
        }
        if let Some(folder) = &raw.working_dir {
            agent.working_dir = self.working_dir(&at("working_dir"), folder);
        }
        let secret = |(name, value): (&String, &String)| (name.clone(), Secret::new(&**value));
        agent.env.extend(raw.env.iter().map(secret));
        if let Some(name) = raw
            .env
            .iter()
            .find_map(|(name, value)| value.contains('\0').then_some(name))
        {
            self.refuse(&at(&format!("env.{name}")), "the value holds a NUL byte");
        }
        agent
    }

    fn with_bounds(
        &mut self,
        table: &str,
        raw: &RawAgent,
        mut agent: AgentSettings,
    ) -> AgentSettings {
        let at = |key: &str| format!("{table}.{key}");
        if raw.turn_timeout.is_some() {
            agent.turn_timeout = self.at_least_a_moment(&at("turn_timeout"), raw.turn_timeout);
        }
        if raw.collect_window.is_some() {
            agent.collect_window =
                self.at_least_a_moment(&at("collect_window"), raw.collect_window);
        }
        let plain = |value: DurationValue| value.0;
        replace(&mut agent.idle_timeout, raw.idle_timeout.map(plain));
        replace(&mut agent.grace, raw.grace.map(plain));
        replace(&mut agent.concurrency, raw.concurrency.map(usize::from));
        let queue = raw
            .queue
            .map(|queue| usize::try_from(queue).unwrap_or(1000));
        replace(&mut agent.queue, queue);
        replace(&mut agent.max_attempts, raw.max_attempts.map(u32::from));
        replace(&mut agent.queue_mode, raw.queue_mode);
        replace(&mut agent.delivery, raw.delivery.map(delivery));
        replace(&mut agent.permissions, raw.permissions.map(permissions));
        replace(
            &mut agent.on_disconnect,
            raw.on_disconnect.map(on_disconnect),
        );
        replace(&mut agent.models, raw.models.clone());
        replace(&mut agent.embeddings_model, raw.embeddings_model.clone());
        agent
    }

    fn check_dialect(&mut self, key: &str, written: &str) {
        if written.is_empty() || DIALECTS.contains(&written) {
            return;
        }
        let near = did_you_mean(written, DIALECTS);
        self.refuse(
            key,
            format!(
                "there is no dialect `{}`; known are {}{near}",
                shorten(written),
                DIALECTS.map(|name| format!("`{name}`")).join(", ")
            ),
        );
    }

    /// A file's dialect does not go with the program that a variable or a flag puts in the place
    /// of the file's own.
    fn drop_dialect_of_another_cli(&mut self, defaults: &mut AgentSettings) {
        let layer = |key: &str| self.layers.source(key).layer;
        let (cli, dialect) = (
            layer("agents.defaults.cli"),
            layer("agents.defaults.dialect"),
        );
        if dialect > Layer::Default && cli > dialect && !defaults.dialect.is_empty() {
            let place = self.layers.source("agents.defaults.cli").place;
            self.warnings.push(format!(
                "`agents.defaults.dialect` does not hold: {place} names another program; \
                 set the dialect in the same way"
            ));
            defaults.dialect.clear();
        }
    }

    fn working_dir(&mut self, key: &str, written: &std::path::Path) -> Option<PathBuf> {
        if written.as_os_str().is_empty() {
            return None;
        }
        let folder = self.path(key, written);
        let shown = folder.display();
        if folder.is_file() {
            self.refuse(key, format!("`{shown}` is a file; name a folder"));
        } else if folder.is_absolute() && !folder.is_dir() {
            self.warnings.push(format!(
                "`{key}`: there is no folder `{shown}`; no turn can start before it is there"
            ));
        }
        Some(folder)
    }
}

fn replace<T>(value: &mut T, told: Option<T>) {
    if let Some(told) = told {
        *value = told;
    }
}

/// What holds where nothing at all is said.
fn built_in() -> AgentSettings {
    AgentSettings {
        cli: "codex".to_owned(),
        command: vec!["codex".to_owned()],
        dialect: String::new(),
        delivery: Delivery::Turn,
        working_dir: None,
        turn_timeout: Duration::from_mins(5),
        idle_timeout: Duration::ZERO,
        grace: Duration::from_secs(3),
        concurrency: 1,
        queue: 1000,
        queue_mode: QueueModeKind::Followup,
        collect_window: Duration::from_secs(1),
        on_disconnect: OnDisconnect::Finish,
        permissions: Permissions::Bypass,
        models: Vec::new(),
        embeddings_model: String::new(),
        env: BTreeMap::new(),
        max_attempts: 3,
    }
}

const fn delivery(kind: DeliveryKind) -> Delivery {
    match kind {
        DeliveryKind::Turn => Delivery::Turn,
        DeliveryKind::Inbox => Delivery::Inbox,
    }
}

const fn permissions(written: raw::Permissions) -> Permissions {
    match written {
        raw::Permissions::Bypass => Permissions::Bypass,
        raw::Permissions::Sandboxed => Permissions::Sandboxed,
    }
}

const fn on_disconnect(written: settings::OnDisconnect) -> OnDisconnect {
    match written {
        settings::OnDisconnect::Finish => OnDisconnect::Finish,
        settings::OnDisconnect::Cancel => OnDisconnect::Cancel,
    }
}
