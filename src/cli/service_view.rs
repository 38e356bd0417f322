//! The whole service as its API tells of it: health, readiness, agents.

use serde_json::Value;

use super::{
    agent_view::{self, AgentView},
    client::{Client, ClientError},
};

/// How a running service is.
pub(super) struct ServiceView {
    /// `GET /health`, as it came.
    pub(super) health: Value,
    /// Whether it takes in messages.
    pub(super) is_ready: bool,
    /// What troubles it, in its own words.
    pub(super) problems: Vec<String>,
    /// `GET /agents`, the list as it came.
    pub(super) agents: Value,
    /// The same, as far as it is read here.
    pub(super) views: Vec<AgentView>,
}

impl ServiceView {
    /// Asks for all of it.
    pub(super) async fn ask(client: &Client) -> anyhow::Result<Self> {
        let health = client.get("/health").await?;
        let (is_ready, problems) = readiness(client).await?;
        let (answer, views) = agent_view::all(client).await?;
        Ok(Self {
            health,
            is_ready,
            problems,
            agents: answer.get("agents").cloned().unwrap_or_default(),
            views,
        })
    }

    /// Whether all of its parts are well.
    pub(super) fn is_well(&self) -> bool {
        let is_ok = self.health.get("ok").and_then(Value::as_bool);
        // The agents were asked later: one may have been parked meanwhile.
        let is_parked = self.views.iter().any(|agent| agent.state == "parked");
        is_ok.unwrap_or_default() && self.is_ready && !is_parked
    }

    /// What troubles it besides agents that are parked: they tell of it themselves.
    pub(super) fn other_problems(&self) -> impl Iterator<Item = &str> {
        let is_of_parked = |problem: &&str| {
            let mut parked = self.views.iter().filter(|agent| agent.state == "parked");
            parked.any(|agent| problem.contains(&format!("`{}` is parked", agent.id)))
        };
        let problems = self.problems.iter().map(String::as_str);
        problems.filter(move |problem| !is_of_parked(problem))
    }

    /// Messages that were given up and wait for an operator, where the store can tell.
    pub(super) fn dead_letters(&self) -> Option<u64> {
        self.health.get("dead_letters").and_then(Value::as_u64)
    }

    /// Tasks that wait, of all agents.
    pub(super) fn waiting(&self) -> u64 {
        let waiting = self.views.iter().map(|agent| agent.waiting);
        waiting.fold(0, u64::saturating_add)
    }
}

async fn readiness(client: &Client) -> Result<(bool, Vec<String>), ClientError> {
    let (_, answer) = client.look("/readyz").await?;
    let is_ready = answer.get("ready").and_then(Value::as_bool);
    let problems = answer.get("problems").and_then(Value::as_array);
    let words = problems.into_iter().flatten().filter_map(Value::as_str);
    Ok((
        is_ready.unwrap_or_default(),
        words.map(str::to_owned).collect(),
    ))
}
