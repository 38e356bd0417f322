//! What supervisors share, made of fakes.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{CountingIds, MemoryInbox, MemoryTasks, ScriptedLauncher, TokioClock};
use crate::{
    activity::Activity,
    agent_supervisor::SharedParts,
    domain::{
        agent::{AgentProfile, Delivery, OnDisconnect, Permissions, QueueMode, TurnLimits},
        ids::{AgentId, InvalidAgentId, TurnId},
        peer::Peers,
    },
    feed::{TaskFeeds, TurnFeeds},
    ports::{
        InboxError, InboxStore, RenderFile, SendFuture, WrittenFile,
        traces::Traces,
        turns::{AgentInboxes, TurnTokens},
    },
};

/// No two sets of fakes give the same ids to their turns.
static NEXT_IDS: AtomicU64 = AtomicU64::new(1_000_000);

/// A store and turns that a test plays.
#[derive(Debug, Clone, Default)]
pub struct SharedFakes {
    /// The store.
    pub store: Arc<MemoryTasks>,
    /// The turns.
    pub launcher: Arc<ScriptedLauncher>,
    /// The one inbox of all agents.
    pub inbox: Arc<MemoryInbox>,
}

impl SharedFakes {
    /// What supervisors share; two turns may run at once.
    pub fn parts(&self) -> SharedParts {
        let first_id = NEXT_IDS.fetch_add(1_000_000, Ordering::Relaxed);
        SharedParts {
            store: self.store.clone(),
            launcher: self.launcher.clone(),
            inboxes: Arc::new(OneInbox(self.inbox.clone())),
            tokens: Arc::new(PlainTokens),
            clock: Arc::new(TokioClock::start()),
            ids: Arc::new(CountingIds::starting_at(first_id)),
            gate: Arc::new(Semaphore::new(2)),
            task_feeds: TaskFeeds::default(),
            turn_feeds: TurnFeeds::default(),
            url: "http://postroom.test".into(),
            manager: agent_profile("manager").id,
            manager_template: "".into(),
            reply_template: "Answer {{sender}} about {{message_id}}.".into(),
            peers: Peers::default(),
            activity: no_activity(),
            traces: Traces::default(),
        }
    }
}

/// A feed that nobody watches.
pub fn no_activity() -> Activity {
    Activity::new("run", Arc::new(TokioClock::start()))
}

struct OneInbox(Arc<MemoryInbox>);

impl AgentInboxes for OneInbox {
    fn write(
        &self,
        _: PathBuf,
        files: Vec<RenderFile>,
    ) -> SendFuture<Result<Vec<WrittenFile>, InboxError>> {
        self.0.write(files)
    }
}

struct PlainTokens;

impl TurnTokens for PlainTokens {
    fn token(&self, turn: TurnId) -> String {
        format!("turn_{turn}")
    }
}

/// An agent with the defaults of the configuration. A name that is none is `agent`.
pub fn agent_profile(name: &str) -> AgentProfile {
    AgentProfile {
        id: AgentId::parse(name).unwrap_or_else(|_: InvalidAgentId| agent_profile("agent").id),
        delivery: Delivery::Turn,
        workspace: "/home/agent".into(),
        working_dir: "/home/agent".into(),
        command: vec!["cli".to_owned()],
        dialect: "command".to_owned(),
        permissions: Permissions::Bypass,
        environment: BTreeMap::new(),
        limits: TurnLimits {
            whole: Duration::from_mins(5),
            idle: Duration::ZERO,
            grace: Duration::from_secs(3),
        },
        concurrency: 1,
        queue: 1000,
        queue_mode: QueueMode::Followup,
        on_disconnect: OnDisconnect::Finish,
        max_attempts: 3,
        models: Vec::new(),
        embeddings_model: None,
    }
}
