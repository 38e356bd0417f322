//! What readiness is made of.

use std::time::Duration;

use postroom_actors::{agent_supervisor::AgentStatus, lifecycle::ActorStatus};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{PROBE_DEADLINE, statuses};
use crate::http::{SharedState, agents};

/// A commit that takes longer than this is told: whoever sends a message waits as long.
const SLOW_COMMIT: Duration = Duration::from_secs(1);

/// One thing that was looked at. Names stay as they are.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// `intake`, `disk`, `store`, `store_lag`, `router`, `inbox`, `backends`, `agent_directory`,
    /// `courier` or `agents`.
    pub name: &'static str,
    /// Whether all is well.
    pub ok: bool,
    /// Whether nothing is accepted while it is not.
    pub required: bool,
    /// In words for an operator; `ok` where there is nothing to say.
    pub detail: String,
}

impl Check {
    fn new(name: &'static str, required: bool, problem: Option<String>) -> Self {
        Self {
            name,
            ok: problem.is_none(),
            required,
            detail: problem.unwrap_or_else(|| "ok".to_owned()),
        }
    }

    /// What is wrong, with the name of what it is wrong with where the words do not have it.
    pub(super) fn problem(&self) -> Option<String> {
        let speaks_for_itself = ["intake", "disk", "agents", "store_lag"].contains(&self.name);
        match (self.ok, speaks_for_itself) {
            (true, _) => None,
            (false, true) => Some(self.detail.clone()),
            (false, false) => Some(format!("{}: {}", self.name, self.detail)),
        }
    }
}

/// Looks at everything.
pub(super) async fn all(shared: &SharedState) -> Vec<Check> {
    let (store, actors, agents) =
        tokio::join!(store(shared), statuses(shared), agents::statuses(shared));
    let stopping = shared.intake.is_stopping();
    let stopping = stopping.then(|| "the service is stopping".to_owned());
    let shortage = shared.intake.shortage();
    let mut checks = vec![
        Check::new("intake", true, stopping),
        Check::new("disk", true, shortage.map(|shortage| shortage.to_string())),
    ];
    checks.extend(store);
    checks.extend(actors.iter().map(actor));
    checks.push(Check::new("agents", false, parked(&agents)));
    checks
}

/// A real commit, and how long it took.
async fn store(shared: &SharedState) -> [Check; 2] {
    let asked = Instant::now();
    let problem = match tokio::time::timeout(PROBE_DEADLINE, shared.store.probe()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_late) => Some("no commit within 2 s".to_owned()),
    };
    let took = asked.elapsed();
    let is_slow = problem.is_none() && took > SLOW_COMMIT;
    let lag = is_slow.then(|| {
        let took = took.as_millis();
        format!("a commit of the store took {took} ms; see what else its disk does")
    });
    [
        Check::new("store", true, problem),
        Check::new("store_lag", false, lag),
    ]
}

/// An inbox that refuses or a backend that is down costs no readiness: what is accepted is kept.
fn actor(status: &ActorStatus) -> Check {
    let name = match status.actor {
        "inbox_writer" => "inbox",
        "backend_relay" => "backends",
        name => name,
    };
    let problem = (status.state != "ok").then(|| status.state.clone());
    Check::new(name, name == "router", problem)
}

/// Agents that are parked. What others ask is still accepted.
fn parked(statuses: &[AgentStatus]) -> Option<String> {
    let parked = statuses.iter().filter_map(|agent| {
        let why = agents::why_parked(agent)?;
        Some(format!("agent `{}` is parked: {why}", agent.id))
    });
    let told: Vec<String> = parked.collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(actor: &'static str, state: &str) -> ActorStatus {
        ActorStatus {
            actor,
            waiting: 0,
            oldest_waiting_ms: None,
            state: state.to_owned(),
        }
    }

    #[test]
    fn only_the_router_is_needed_to_accept() {
        let router = actor(&status("router", "not running"));
        assert!(router.required && !router.ok);
        assert_eq!(router.problem().as_deref(), Some("router: not running"));
        let inbox = actor(&status("inbox_writer", "retrying"));
        assert!(!inbox.required && !inbox.ok);
        assert_eq!(inbox.problem().as_deref(), Some("inbox: retrying"));
        let backends = actor(&status("backend_relay", "ok"));
        assert_eq!((backends.name, backends.problem()), ("backends", None));
    }

    #[test]
    fn what_is_well_says_so() {
        let check = Check::new("disk", true, None);
        let json = serde_json::to_value(&check).unwrap();
        let expected =
            serde_json::json!({"name": "disk", "ok": true, "required": true, "detail": "ok"});
        assert_eq!(json, expected);
    }
}
