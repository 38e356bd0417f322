//! Agents: their workspaces, their processes, their supervisors.

use std::{sync::Arc, time::Duration};

use postroom_actors::{
    agent_directory::{AgentDirectory, Agents, DirectoryParts, MakeProfile, TakeInAgents, Whom},
    agent_supervisor::SharedParts,
    delivery::Mailbox,
    domain::{ids::AgentId, peer::Peers, prompt::DEFAULT_MANAGER_TEMPLATE},
    feed::{TaskFeeds, TurnFeeds},
    lifecycle,
    ports::{
        Clock,
        turns::{AgentHome, HiredAgent, LaunchError},
    },
};
use tokio::sync::{Semaphore, oneshot};

use super::{Mode, StartError, courier, observers::Observers};
use crate::{
    adapters::{
        agent_inboxes::InboxesOfAgents,
        cli_dialects,
        store_sqlite::SqliteStore,
        system_clock::{SystemClock, UuidSource},
        turn_process::{FindDialect, TurnProcessOptions, TurnProcesses},
        workspaces::Workspaces,
    },
    settings::Settings,
    turn_tokens::TurnTokens,
};

/// Everything about agents that runs.
pub(super) struct RunningAgents {
    /// Who there is.
    pub(super) agents: Agents,
    /// Hires and removes.
    pub(super) directory: Mailbox<AgentDirectory>,
    /// Live logs of tasks.
    pub(super) task_feeds: TaskFeeds,
    /// Live logs of turns.
    pub(super) turn_feeds: TurnFeeds,
    /// Tokens of turns.
    pub(super) tokens: Arc<TurnTokens>,
    home: Arc<Workspaces>,
    clock: Arc<dyn Clock>,
}

/// What turns are told of us.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// Our address, where no other one is configured.
    pub(super) url: &'a str,
    /// Who is told of what they do.
    pub(super) observers: &'a Observers,
}

impl RunningAgents {
    /// Starts the directory on this thread's arbiter; it knows nobody before
    /// [`Self::take_in`].
    pub(super) fn start(
        settings: &Settings,
        mode: Mode,
        store: &Arc<SqliteStore>,
        clock: &Arc<dyn Clock>,
        peers: Peers,
        told: Told<'_>,
    ) -> Result<Self, StartError> {
        let running = Self {
            agents: Agents::new(default_route(settings, mode)),
            directory: Mailbox::new("agent_directory"),
            task_feeds: TaskFeeds::default(),
            turn_feeds: TurnFeeds::default(),
            tokens: Arc::new(TurnTokens::new().map_err(|_length| StartError::Tokens)?),
            home: Arc::new(workspaces(settings)),
            clock: Arc::clone(clock),
        };
        let parts = DirectoryParts {
            agents: running.agents.clone(),
            configured: configured(settings, mode),
            make_profile: make_profile(settings, &running.home),
            home: running.home.clone(),
            shared: Arc::new(running.shared_parts(settings, store, peers, told)?),
            depth: running.directory.depth(),
        };
        actix_rt::spawn(lifecycle::keep_running(
            running.directory.clone(),
            Arc::clone(clock),
            move || AgentDirectory::new(parts.clone()),
        ));
        Ok(running)
    }

    fn shared_parts(
        &self,
        settings: &Settings,
        store: &Arc<SqliteStore>,
        peers: Peers,
        told: Told<'_>,
    ) -> Result<SharedParts, StartError> {
        let reply_template = courier::reply_template(settings)?;
        let options = TurnProcessOptions {
            secrets: secrets(settings),
            ..TurnProcessOptions::of_this_process(Arc::clone(&self.clock))
        };
        Ok(SharedParts {
            store: store.clone(),
            launcher: Arc::new(TurnProcesses::new(options, find_dialect())),
            inboxes: Arc::new(InboxesOfAgents::default()),
            tokens: self.tokens.clone(),
            clock: Arc::clone(&self.clock),
            ids: Arc::new(UuidSource::default()),
            traces: told.observers.traces.clone(),
            gate: Arc::new(Semaphore::new(settings.agents.max_turns)),
            task_feeds: self.task_feeds.clone(),
            turn_feeds: self.turn_feeds.clone(),
            url: settings
                .server
                .public_url
                .as_deref()
                .unwrap_or(told.url)
                .into(),
            manager: settings.agents.default.clone(),
            manager_template: DEFAULT_MANAGER_TEMPLATE.into(),
            reply_template,
            peers,
            activity: told.observers.activity.clone(),
        })
    }

    /// Takes in the agents that are there. What keeps one out is told in the log and by `/health`.
    pub(super) async fn take_in(&self, whom: Whom) {
        let (reply, taken_in) = oneshot::channel();
        if let Err(error) = self.directory.try_deliver(TakeInAgents { whom, reply }) {
            tracing::error!(%error, "agents cannot be taken in");
            return;
        }
        // A directory that fails meanwhile has said so.
        taken_in.await.ok();
    }

    /// From now on, every `interval`: workspaces made by hand are taken in. Whoever is taken in,
    /// again or for the first time, gets the note of the day.
    pub(super) fn keep_looking_after(self: Arc<Self>, interval: Duration) {
        actix_rt::spawn(async move {
            let mut interval = tokio::time::interval(interval);
            interval.tick().await;
            loop {
                interval.tick().await;
                self.take_in(Whom::Adopted).await;
            }
        });
    }
}

/// `daemon --once`: makes the workspaces of known agents and their notes of the day.
///
/// # Errors
/// [`StartError::Workspace`] of the first one that cannot be made.
pub(super) async fn look_after_once(settings: &Settings, mode: Mode) -> Result<(), StartError> {
    let today = SystemClock.now().date_naive();
    let home = workspaces(settings);
    for agent in configured(settings, mode) {
        home.make_workspace(agent, HiredAgent::default(), today)
            .await?;
    }
    Ok(home.daily_notes(today).await?)
}

/// Makes a workspace while no service runs; the next start takes it in. Answers whether it is new.
///
/// # Errors
/// [`StartError::Workspace`].
pub(super) async fn prepare(
    settings: &Settings,
    agent: AgentId,
    hired: HiredAgent,
) -> Result<bool, StartError> {
    let today = SystemClock.now().date_naive();
    let home = workspaces(settings);
    let made = home.make_workspace(agent, hired, today).await?;
    Ok(made.is_new)
}

/// The workspaces of a home folder, and the folder of the manager.
pub(super) fn workspaces(settings: &Settings) -> Workspaces {
    Workspaces::with_folder(settings.home.clone(), settings.agents.folder_to_make())
}

fn default_route(settings: &Settings, mode: Mode) -> Option<AgentId> {
    let manager = || mode.with_manager.then(|| settings.agents.default.clone());
    settings.routing.default.clone().or_else(manager)
}

fn configured(settings: &Settings, mode: Mode) -> Vec<AgentId> {
    let mut configured: Vec<_> = settings.agents.named.keys().cloned().collect();
    let manager = &settings.agents.default;
    if mode.with_manager && !configured.contains(manager) {
        configured.push(manager.clone());
    }
    configured
}

fn make_profile(settings: &Settings, home: &Arc<Workspaces>) -> MakeProfile {
    let (agents, home) = (settings.agents.clone(), Arc::clone(home));
    Arc::new(move |id, hired| {
        let workspace = home.workspace(id);
        agents
            .profile(id, workspace, hired.cli.as_deref())
            .map_err(|error| error.to_string())
    })
}

fn find_dialect() -> FindDialect {
    Arc::new(|name, program| {
        cli_dialects::dialect(name, program)
            .map_err(|unknown| LaunchError::UnknownDialect(unknown.name, unknown.known))
    })
}

/// What no turn may find in its environment.
pub(super) fn secrets(settings: &Settings) -> Vec<String> {
    let keys = settings.keys.values().map(|key| &key.key);
    let backends = settings.backend.iter().chain(settings.backends.values());
    let backends = backends.chain(&settings.embeddings);
    let backends = backends.filter_map(|backend| backend.api_key.as_ref());
    let peers = settings.peers.values();
    let peers = peers.flat_map(|peer| peer.secret_in.iter().chain(&peer.secret_out));
    let (bridge, proxy) = (&settings.bridge, &settings.upstream_proxy);
    let remote = bridge.remote.iter().map(|remote| &remote.token);
    let bridges = remote.chain(&bridge.local_token).chain(&proxy.token);
    let all = settings
        .server
        .key
        .iter()
        .chain(keys)
        .chain(backends)
        .chain(peers)
        .chain(bridges);
    all.map(|secret| secret.expose().to_string()).collect()
}
