//! All agents: who there is, and the way to each supervisor.
//!
//! Takes agents in from the configuration, from the home folder and by [`HireAgent`], and keeps
//! their supervisors running. Whoever has a task for an agent looks it up in [`Agents`] and asks
//! the supervisor itself: no request passes through here.
//!
//! | message | from | reply |
//! |---|---|---|
//! | [`TakeInAgents`] | startup | by its own oneshot |
//! | [`HireAgent`] | HTTP handlers | by its own oneshot, once tasks can be given |
//! | [`RemoveAgent`] | HTTP handlers | by its own oneshot, once its turns have ended |
//! | [`TellAgent`] | HTTP handlers | none |
//! | [`GetStatus`] | HTTP handlers | [`ActorStatus`] |

mod agents;
#[cfg(test)]
mod tests;

use std::sync::{Arc, atomic::AtomicBool};

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture, fut::ActorFutureExt};
use thiserror::Error;
use tokio::sync::oneshot;

pub use self::agents::{Agent, Agents};
use crate::{
    agent_supervisor::{
        AgentSupervisor, Retire, SetRunState, SharedParts, SupervisorParts, WindDown,
    },
    delivery::{Depth, Mailbox},
    domain::{
        agent::{AgentProfile, RESERVED_NAMES},
        ids::AgentId,
    },
    lifecycle::{self, ActorStatus, GetStatus},
    ports::turns::{AgentHome, HiredAgent, MadeWorkspace},
};

/// Makes an agent, or finds that there is one already.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct HireAgent {
    /// Its name.
    pub id: AgentId,
    /// What it is hired with. An agent that is there already takes over what is given here.
    pub hired: HiredAgent,
    /// Hears when it can be given tasks.
    pub reply: oneshot::Sender<Result<Hired, HireError>>,
}

/// An agent was hired.
#[derive(Debug, Clone)]
pub struct Hired {
    /// It.
    pub agent: Agent,
    /// Whether its workspace is new.
    pub is_new: bool,
}

/// Why an agent was not hired.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum HireError {
    /// The name is kept for something else in the home folder.
    #[error("`{0}` is no name for an agent: the home folder keeps it for something else")]
    ReservedName(AgentId),
    /// Its command is not usable.
    #[error("{0}")]
    Command(String),
    /// Its workspace cannot be made.
    #[error("{0}")]
    Workspace(String),
}

/// Takes an agent out: it gets no more tasks, what runs is cancelled, what waits fails. Its
/// workspace stays.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RemoveAgent {
    /// Its name.
    pub id: AgentId,
    /// Answers whether it was there.
    pub reply: oneshot::Sender<bool>,
}

/// Which agents are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Those of the configuration and of the home folder: at the start.
    All,
    /// Those of the home folder alone: later on, so that a configured agent that was removed stays
    /// away until the next start.
    Adopted,
}

/// Takes in agents that are there. Those that are known already are left as they are.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TakeInAgents {
    /// Which ones.
    pub whom: Whom,
    /// Hears when all that could be are there.
    pub reply: oneshot::Sender<()>,
}

/// Starts or stops an agent, and keeps that over a restart.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TellAgent {
    /// Its name.
    pub id: AgentId,
    /// What it is told.
    pub state: SetRunState,
    /// Hears when the agent has been told; false where there is none of that name.
    pub reply: oneshot::Sender<bool>,
}

/// Settles what an agent is: what the configuration says of it, and what it was hired with.
///
/// The error tells what is wrong with its command.
pub type MakeProfile =
    Arc<dyn Fn(&AgentId, &HiredAgent) -> Result<AgentProfile, String> + Send + Sync>;

/// What a directory works with.
#[derive(Clone)]
pub struct DirectoryParts {
    /// Who there is; outlives the actor.
    pub agents: Agents,
    /// Agents of the configuration.
    pub configured: Vec<AgentId>,
    /// Settles what an agent is.
    pub make_profile: MakeProfile,
    /// The workspaces.
    pub home: Arc<dyn AgentHome>,
    /// What all supervisors share.
    pub shared: Arc<SharedParts>,
    /// The mailbox's count of waiting messages.
    pub depth: Depth,
}

/// The directory actor.
pub struct AgentDirectory {
    parts: DirectoryParts,
    /// Agents that could not be taken in, and why.
    problems: Vec<String>,
}

/// Messages that may wait in the mailbox.
const MAILBOX: usize = 64;

impl AgentDirectory {
    /// A directory that knows whoever is in `parts.agents`.
    pub fn new(parts: DirectoryParts) -> Self {
        Self {
            parts,
            problems: Vec::new(),
        }
    }
}

/// Takes an agent in: workspace, profile, supervisor.
///
/// # Errors
/// [`HireError`]; nothing runs then.
async fn hire(parts: DirectoryParts, id: AgentId, hired: HiredAgent) -> Result<Hired, HireError> {
    if RESERVED_NAMES.contains(&id.as_str()) {
        return Err(HireError::ReservedName(id));
    }
    // Before anything is made: whether it can be what it is to be.
    (parts.make_profile)(&id, &hired).map_err(HireError::Command)?;
    let today = parts.shared.clock.now().date_naive();
    let MadeWorkspace { is_new, hired } = parts
        .home
        .make_workspace(id.clone(), hired, today)
        .await
        .map_err(|error| HireError::Workspace(error.to_string()))?;
    let profile = (parts.make_profile)(&id, &hired).map_err(HireError::Command)?;
    let agent = start(&parts, profile, hired.is_stopped);
    Ok(Hired { agent, is_new })
}

/// Starts the supervisor of an agent; where its profile has changed, in place of the old one.
fn start(parts: &DirectoryParts, profile: AgentProfile, is_stopped: bool) -> Agent {
    if let Some(agent) = parts.agents.find(&profile.id)
        && *agent.profile == profile
    {
        return agent;
    }
    let replaced = parts.agents.find(&profile.id);
    let supervisor = Mailbox::of_agent("agent_supervisor", &profile.id);
    let agent = Agent {
        profile: Arc::new(profile),
        supervisor: supervisor.clone(),
        is_stopped: Arc::new(AtomicBool::new(is_stopped)),
    };
    let supervisor_parts = SupervisorParts {
        profile: Arc::clone(&agent.profile),
        shared: Arc::clone(&parts.shared),
        is_stopped: Arc::clone(&agent.is_stopped),
        depth: supervisor.depth(),
    };
    let clock = Arc::clone(&parts.shared.clock);
    let run = lifecycle::keep_running(supervisor, clock, move || {
        AgentSupervisor::new(supervisor_parts.clone())
    });
    actix_rt::spawn(async move {
        if let Some(replaced) = replaced {
            // The turns of the old profile end first: a session never has two at once.
            replace(&replaced).await;
        }
        run.await;
    });
    parts.agents.insert(agent.clone());
    agent
}

/// Lets the turns of an agent that is replaced end; what waits is taken up by its successor.
async fn replace(old: &Agent) {
    let (reply, at_rest) = oneshot::channel();
    let wind_down = WindDown {
        interrupt: true,
        stop: true,
        reply,
    };
    if old.supervisor.try_deliver(wind_down).is_ok() {
        // A supervisor that is gone runs nothing either.
        at_rest.await.ok();
    }
}

/// Takes in agents; answers what kept some out.
async fn take_in(parts: DirectoryParts, whom: Whom) -> Vec<String> {
    let mut problems = Vec::new();
    let mut found = match parts.home.adopt().await {
        Ok(found) => found,
        Err(error) => {
            problems.push(error.to_string());
            Vec::new()
        }
    };
    let configured = parts.configured.iter().filter(|_| whom == Whom::All);
    for id in configured {
        if !found.iter().any(|(other, _)| other == id) {
            found.push((id.clone(), HiredAgent::default()));
        }
    }
    for (id, hired) in found {
        if let Err(error) = hire(parts.clone(), id.clone(), hired).await {
            problems.push(format!("agent `{id}`: {error}"));
        }
    }
    problems
}

impl AgentDirectory {
    async fn tell(parts: DirectoryParts, id: AgentId, state: SetRunState) -> bool {
        let Some(agent) = parts.agents.find(&id) else {
            return false;
        };
        let is_stopped = matches!(state, SetRunState::Stop);
        if let Err(error) = parts.home.note_stopped(id.clone(), is_stopped).await {
            tracing::warn!(agent = %id, %error, "whether the agent is stopped is not kept over a restart");
        }
        agent.supervisor.try_deliver(state).is_ok()
    }

    async fn remove(parts: DirectoryParts, id: AgentId) -> bool {
        let Some(agent) = parts.agents.remove(&id) else {
            return false;
        };
        let (reply, retired) = oneshot::channel();
        if agent.supervisor.try_deliver(Retire { reply }).is_ok() {
            // A supervisor that ended by itself has nothing left to retire.
            retired.await.ok();
        }
        if let Err(error) = parts.home.note_removed(id.clone()).await {
            tracing::warn!(agent = %id, %error, "the agent will be there again after a restart");
        }
        true
    }
}

impl Actor for AgentDirectory {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<TakeInAgents> for AgentDirectory {
    type Result = ();

    fn handle(&mut self, asked: TakeInAgents, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        let taken_in = take_in(self.parts.clone(), asked.whom).into_actor(self);
        ctx.spawn(taken_in.map(move |problems, actor: &mut Self, _| {
            for problem in &problems {
                tracing::error!(problem, "an agent could not be taken in");
            }
            actor.problems = problems;
            // The start may have been given up meanwhile.
            asked.reply.send(()).ok();
        }));
    }
}

impl Handler<HireAgent> for AgentDirectory {
    type Result = ();

    fn handle(&mut self, asked: HireAgent, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        let HireAgent { id, hired, reply } = asked;
        let hired = hire(self.parts.clone(), id, hired).into_actor(self);
        // Whoever asked may be gone; the agent is there all the same.
        ctx.spawn(hired.map(move |hired, _, _| {
            reply.send(hired).ok();
        }));
    }
}

impl Handler<TellAgent> for AgentDirectory {
    type Result = ();

    fn handle(&mut self, told: TellAgent, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        let TellAgent { id, state, reply } = told;
        let told = Self::tell(self.parts.clone(), id, state).into_actor(self);
        ctx.spawn(told.map(move |told, _, _| {
            reply.send(told).ok();
        }));
    }
}

impl Handler<RemoveAgent> for AgentDirectory {
    type Result = ();

    fn handle(&mut self, asked: RemoveAgent, ctx: &mut Self::Context) {
        let _handling = self.parts.depth.taken();
        let RemoveAgent { id, reply } = asked;
        let removed = Self::remove(self.parts.clone(), id).into_actor(self);
        ctx.spawn(removed.map(move |removed, _, _| {
            reply.send(removed).ok();
        }));
    }
}

impl Handler<GetStatus> for AgentDirectory {
    type Result = ActorStatus;

    fn handle(&mut self, _: GetStatus, _: &mut Self::Context) -> ActorStatus {
        let _handling = self.parts.depth.taken();
        ActorStatus {
            actor: "agent_directory",
            waiting: 0,
            oldest_waiting_ms: None,
            state: match self.problems.first() {
                None => "ok".to_owned(),
                Some(problem) => problem.clone(),
            },
        }
    }
}
