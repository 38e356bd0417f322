//! Store, inbox and actors: everything behind the HTTP surface.

use std::{path::Path, sync::Arc};

use metrics_exporter_prometheus::PrometheusHandle;
use postroom_actors::{
    agent_directory::{Agents, Whom},
    backend_relay::{BackendRelay, BackendRelayParts},
    courier::Courier,
    delivery::Mailbox,
    domain::{
        circuit::CircuitSettings, compaction::Compaction, inbox_item::ItemExtras, peer::Peers,
    },
    inbox_writer::{InboxWriter, InboxWriterParts},
    lifecycle,
    ports::{Clock, InboxStore, traces::Traces},
    router::{Router, RouterParts},
};
use tokio::sync::{Semaphore, watch};

use super::{
    Mode, StartError,
    agents::{RunningAgents, Told},
    backends,
    courier::{self, Correspondents},
    observers::Observers,
};
use crate::{
    adapters::{
        inbox_files::InboxFiles,
        store_sqlite::{SqliteStore, StoreLimits},
        system_clock::UuidSource,
        transcripts::TranscriptFiles,
        workspaces::AgentReplies,
    },
    http::{
        SharedState,
        auth::{Door, Keys, TurnAccess},
        body::BodyLimits,
        dashboard::Dashboard,
        disks::Disks,
        intake::Intake,
        metrics::scrape::ShownAgents,
        state::Answers,
        traffic::Traffic,
        visitors::Visitors,
    },
    settings::{Compact, MailboxSettings, Settings},
};

/// The broker, running.
pub struct PostRoom {
    /// The truth.
    pub store: Arc<SqliteStore>,
    /// Accepts.
    pub router: Mailbox<Router>,
    /// Writes inbox files.
    pub inbox_writer: Mailbox<InboxWriter>,
    /// Admits relays.
    pub backend_relay: Mailbox<BackendRelay>,
    /// Sends messages.
    pub courier: Mailbox<Courier>,
    peers: Peers,
    /// Agents and their turns.
    pub(super) agents: Arc<RunningAgents>,
    inbox_is_behind: watch::Sender<bool>,
    observers: Observers,
    clock: Arc<dyn Clock>,
}

impl PostRoom {
    /// Opens store and inbox, and starts the actors on this thread's arbiter.
    pub(super) fn open(
        settings: &Settings,
        mode: Mode,
        clock: Arc<dyn Clock>,
        url: &str,
        traces: Traces,
    ) -> Result<Self, StartError> {
        let store = open_store(&settings.store.path, &settings.mailbox.inbox, &clock)?;
        let store = Arc::new(store);
        let inbox = Arc::new(InboxFiles::open(&settings.mailbox.inbox)?);
        let peers = settings.peer_profiles();
        let observers = Observers::new(traces, &clock);
        let agents = RunningAgents::start(
            settings,
            mode,
            &store,
            &clock,
            peers.clone(),
            Told {
                url,
                observers: &observers,
            },
        )?;
        let post_room = Self {
            store,
            courier: Mailbox::new("courier"),
            peers,
            agents: Arc::new(agents),
            router: Mailbox::new("router"),
            inbox_writer: Mailbox::new("inbox_writer"),
            backend_relay: Mailbox::new("backend_relay"),
            inbox_is_behind: watch::Sender::new(false),
            observers,
            clock,
        };
        post_room.start_router(settings, inbox.clone());
        post_room.start_inbox_writer(&settings.mailbox, inbox);
        post_room.start_backend_relay(settings);
        Ok(post_room)
    }

    /// Takes the agents in, then lets messages be delivered.
    pub(super) async fn take_in_agents(&self, settings: &Settings) {
        self.agents.take_in(Whom::All).await;
        let known = Correspondents {
            agents: self.agents.agents.clone(),
            peers: self.peers.clone(),
        };
        courier::start(
            settings,
            &self.courier,
            &self.store,
            known,
            &self.clock,
            &self.observers,
        );
    }

    /// Who there is, for the orderly stop.
    pub fn agents(&self) -> &Agents {
        &self.agents.agents
    }

    fn start_router(&self, settings: &Settings, inbox: Arc<dyn InboxStore>) {
        let parts = RouterParts {
            compaction: compaction(settings.mailbox.compact),
            store: self.store.clone(),
            inbox,
            inbox_writer: self.inbox_writer.clone(),
            depth: self.router.depth(),
            inbox_is_behind: self.inbox_is_behind.subscribe(),
            in_flight: settings.limits.in_flight,
            activity: self.observers.activity.clone(),
        };
        self.keep_running(&self.router, move || Router::new(parts.clone()));
    }

    fn start_inbox_writer(&self, mailbox: &MailboxSettings, inbox: Arc<dyn InboxStore>) {
        let parts = InboxWriterParts {
            batch_window: mailbox.batch_window,
            extras: Arc::new(extras(mailbox)),
            store: self.store.clone(),
            inbox,
            router: self.router.clone(),
            clock: Arc::clone(&self.clock),
            depth: self.inbox_writer.depth(),
            is_behind: self.inbox_is_behind.clone(),
            activity: self.observers.activity.clone(),
            traces: self.observers.traces.clone(),
        };
        self.keep_running(&self.inbox_writer, move || InboxWriter::new(parts.clone()));
    }

    fn start_backend_relay(&self, settings: &Settings) {
        let parts = BackendRelayParts {
            store: self.store.clone(),
            inbox_writer: self.inbox_writer.clone(),
            clock: Arc::clone(&self.clock),
            backends: backends::configs(settings),
            circuits: CircuitSettings::default(),
            depth: self.backend_relay.depth(),
            activity: self.observers.activity.clone(),
        };
        self.keep_running(&self.backend_relay, move || {
            BackendRelay::new(parts.clone())
        });
    }

    fn keep_running<A, F>(&self, mailbox: &Mailbox<A>, make: F)
    where
        A: actix::Actor<Context = actix::Context<A>>,
        F: FnMut() -> A + 'static,
    {
        let running = lifecycle::keep_running(mailbox.clone(), Arc::clone(&self.clock), make);
        actix_rt::spawn(running);
    }

    /// What the handlers work with.
    pub(super) fn shared_state(
        &self,
        settings: &Settings,
        metrics: PrometheusHandle,
        endpoint: String,
        run_key: &str,
    ) -> SharedState {
        let trusted = settings.server.trusted_proxies.clone();
        let limits = &settings.limits;
        let body_limits = |size, setting| BodyLimits {
            size,
            setting,
            idle: limits.body_idle,
        };
        let turns = TurnAccess {
            tokens: self.agents.tokens.clone(),
            turns: self.store.clone(),
        };
        let keys = Keys::new(settings, Some(run_key));
        SharedState {
            door: Door::new(
                keys,
                turns,
                visitors(settings),
                trusted,
                Arc::clone(&self.clock),
            ),
            permits: Arc::new(Semaphore::new(limits.in_flight)),
            body_limits: body_limits(limits.body, "limits.body"),
            embeddings_limits: body_limits(limits.embeddings_body, "limits.embeddings_body"),
            agents: self.agents.agents.clone(),
            directory: self.agents.directory.clone(),
            tasks: self.store.clone(),
            task_feeds: self.agents.task_feeds.clone(),
            turn_feeds: self.agents.turn_feeds.clone(),
            replies: Arc::new(AgentReplies::new(settings.home.clone())),
            transcripts: Arc::new(TranscriptFiles),
            endpoints: settings.endpoints,
            list_agents: settings.models.list_agents,
            courier: self.courier.clone(),
            deliveries: self.store.clone(),
            book: self.store.clone(),
            recent: self.store.clone(),
            peers: self.peers.clone(),
            post: courier::rules(settings),
            router: self.router.clone(),
            inbox_writer: self.inbox_writer.clone(),
            backend_relay: self.backend_relay.clone(),
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            ids: Arc::new(UuidSource::default()),
            traces: self.observers.traces.clone(),
            answers: answers(&settings.mailbox),
            started_at: self.clock.now(),
            tally: self.store.clone(),
            shown_agents: ShownAgents::default(),
            metrics,
            metrics_elsewhere: settings.metrics.listen.is_some(),
            traffic: Traffic::default(),
            dashboard: Dashboard::new(settings.server.public_url.as_deref(), &endpoint),
            endpoint,
            pid: std::process::id(),
            intake: Intake::default(),
            disks: Disks::default(),
            activity: self.observers.activity.clone(),
        }
    }
}

/// Beyond loopback there are too many names for one machine to know them all.
fn visitors(settings: &Settings) -> Visitors {
    let server = &settings.server;
    let (hosts, origins) = (&server.allowed_hosts, &server.allowed_origins);
    let visitors = Visitors::new("server", &server.host, hosts, origins);
    let visitors = match &server.public_url {
        Some(url) => visitors.with_own_url(url),
        None => visitors,
    };
    if server.is_loopback() {
        visitors
    } else {
        visitors.by_any_name()
    }
}

fn open_store(
    folder: &Path,
    inbox: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<SqliteStore, StartError> {
    let limits = StoreLimits::default();
    Ok(SqliteStore::open(folder, inbox, Arc::clone(clock), limits)?)
}

const fn compaction(compact: Compact) -> Compaction {
    match compact {
        Compact::Seed => Compaction::Seed,
        Compact::KeepMessage => Compaction::KeepMessage,
        Compact::Off => Compaction::Off,
    }
}

fn extras(mailbox: &MailboxSettings) -> ItemExtras {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    ItemExtras {
        instruction: given(&mailbox.instruction),
        skill_path: given(&mailbox.openclaw_message_cli_skill_path),
    }
}

fn answers(mailbox: &MailboxSettings) -> Answers {
    Answers {
        acknowledge: mailbox.acknowledge,
        acknowledgement: mailbox.acknowledgement.clone(),
        reply_wait: mailbox.reply_wait,
    }
}
