//! What handlers work with.

use std::{rc::Rc, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use metrics_exporter_prometheus::PrometheusHandle;
use postroom_actors::{
    activity::Activity,
    agent_directory::{AgentDirectory, Agents},
    backend_relay::BackendRelay,
    courier::Courier,
    delivery::Mailbox,
    domain::{ids::AgentId, peer::Peers},
    feed::{TaskFeeds, TurnFeeds},
    inbox_writer::InboxWriter,
    ports::{
        Clock, IdSource, MessageStore,
        courier::{DeliveryStore, MessageBook},
        recent::RecentMessages,
        tally::TallyBook,
        traces::Traces,
        turns::{AgentReplyStore, TaskStore, TranscriptTail},
    },
    router::Router,
};
use tokio::sync::Semaphore;

use super::{
    auth::Door, body::BodyLimits, dashboard::Dashboard, disks::Disks, intake::Intake,
    metrics::scrape::ShownAgents, traffic::Traffic,
};
use crate::{
    forwarding::{Embedder, Forwarder},
    settings::{Acknowledge, EndpointsSettings},
};

/// What all workers share.
pub struct SharedState {
    /// Checks keys.
    pub door: Door,
    /// One permit for each message that is being accepted.
    pub permits: Arc<Semaphore>,
    /// Bounds on bodies.
    pub body_limits: BodyLimits,
    /// The same for embeddings.
    pub embeddings_limits: BodyLimits,
    /// Who there is, and who gets a request.
    pub agents: Agents,
    /// Hires and removes agents.
    pub directory: Mailbox<AgentDirectory>,
    /// Tasks and turns of agents.
    pub tasks: Arc<dyn TaskStore>,
    /// What is happening to tasks.
    pub task_feeds: TaskFeeds,
    /// What is happening in turns.
    pub turn_feeds: TurnFeeds,
    /// Keeps what comes by `/agent-reply`.
    pub replies: Arc<dyn AgentReplyStore>,
    /// Reads the ends of transcripts.
    pub transcripts: Arc<dyn TranscriptTail>,
    /// What is served.
    pub endpoints: EndpointsSettings,
    /// Whether `/v1/models` lists the agents.
    pub list_agents: bool,
    /// Sends messages.
    pub courier: Mailbox<Courier>,
    /// Deliveries and dead letters.
    pub deliveries: Arc<dyn DeliveryStore>,
    /// What became of messages.
    pub book: Arc<dyn MessageBook>,
    /// The newest messages of all kinds.
    pub recent: Arc<dyn RecentMessages>,
    /// Who there is besides agents.
    pub peers: Peers,
    /// Rules for messages between agents.
    pub post: PostRules,
    /// Accepts messages.
    pub router: Mailbox<Router>,
    /// Writes inbox files.
    pub inbox_writer: Mailbox<InboxWriter>,
    /// Admits relays.
    pub backend_relay: Mailbox<BackendRelay>,
    /// Asked whether it can write.
    pub store: Arc<dyn MessageStore>,
    /// Wall-clock time.
    pub clock: Arc<dyn Clock>,
    /// Makes message ids.
    pub ids: Arc<dyn IdSource>,
    /// Where spans go.
    pub traces: Traces,
    /// How the mailbox answers.
    pub answers: Answers,
    /// When the service began, for the local model's `created`.
    pub started_at: DateTime<Utc>,
    /// What is counted for good.
    pub tally: Arc<dyn TallyBook>,
    /// Agents that the metrics have shown.
    pub shown_agents: ShownAgents,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Whether `/metrics` has a listener of its own.
    pub metrics_elsewhere: bool,
    /// What went through the door lately.
    pub traffic: Traffic,
    /// Who looks at the dashboard.
    pub dashboard: Dashboard,
    /// Our own address, for `/health`.
    pub endpoint: String,
    /// The service's process, for `/health`.
    pub pid: u32,
    /// Whether new work is taken, and why not.
    pub intake: Intake,
    /// How much room is left.
    pub disks: Disks,
    /// What happens, for operators who watch.
    pub activity: Activity,
}

/// Rules for messages between agents.
#[derive(Debug, Clone)]
pub struct PostRules {
    /// Messages that may lead to one; default 8.
    pub hops: u32,
    /// Hosts that a `reply_to` may name; none by default.
    pub reply_hosts: Vec<String>,
    /// The agent that a message goes to that names none, where routing names none either.
    pub default_agent: AgentId,
}

/// How the mailbox answers.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Who gets the acknowledgement.
    pub acknowledge: Acknowledge,
    /// The acknowledgement.
    pub acknowledgement: String,
    /// How long an item waits for a reply; the relay may go on.
    pub reply_wait: Duration,
}

/// What one worker thread has of its own: the client for backends is not shared between threads.
#[derive(Clone)]
pub struct AppState {
    /// What all workers share.
    pub shared: actix_web::web::Data<SharedState>,
    /// Relays to the backend; `None`: messages are only kept.
    pub forwarder: Option<Rc<Forwarder>>,
    /// Asks for embeddings; `None`: nobody makes them.
    pub embedder: Option<Rc<Embedder>>,
}
