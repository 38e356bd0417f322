//! `previous_response_id`: going on where another response ended.

use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::domain::{
    ids::{AgentId, SessionKey},
    response::parse_response_id,
    routing::RoutingTable,
    task::TaskRecord,
};
use serde::Deserialize;

use super::is_readable;
use crate::http::{SharedState, error::ApiError, incoming::Incoming};

/// How long after its end a response can be gone on from.
const REMEMBERED: TimeDelta = TimeDelta::minutes(30);

/// What a request goes on from.
pub(super) enum Previous {
    /// From nothing.
    None,
    /// From what we do not know, or no longer.
    Unknown(String),
    /// From this.
    Known(Known),
}

/// A response that can be gone on from.
pub(super) struct Known {
    agent: AgentId,
    session: SessionKey,
}

impl Previous {
    /// The session to go on with.
    pub(super) fn session(self) -> Option<SessionKey> {
        match self {
            Self::Known(known) => Some(known.session),
            Self::None | Self::Unknown(_) => None,
        }
    }
}

impl Known {
    /// The routes of a request that goes on from this: whatever names nobody goes to the same
    /// agent again.
    pub(super) fn first_choice(&self, table: &RoutingTable) -> RoutingTable {
        RoutingTable {
            default: Some(self.agent.clone()),
            ..table.clone()
        }
    }
}

#[derive(Deserialize)]
struct Peek {
    previous_response_id: Option<String>,
}

/// Looks what a request goes on from. A field of another type is left to the check of the body.
///
/// # Errors
/// 503 where the store cannot be read.
pub(super) async fn find(
    shared: &SharedState,
    incoming: &Incoming<'_>,
) -> Result<Previous, ApiError> {
    let peek = serde_json::from_slice::<Peek>(&incoming.body).ok();
    let Some(id) = peek.and_then(|peek| peek.previous_response_id) else {
        return Ok(Previous::None);
    };
    let Some(task) = parse_response_id(&id) else {
        return Ok(Previous::Unknown(id));
    };
    let now = shared.clock.now();
    let found = shared.tasks.tasks(vec![task]).await?.pop();
    let found =
        found.filter(|record| is_readable(record, &incoming.caller) && is_remembered(record, now));
    Ok(found.map_or(Previous::Unknown(id), |record| {
        Previous::Known(Known {
            agent: record.task.agent.clone(),
            session: record.task.session.clone(),
        })
    }))
}

fn is_remembered(record: &TaskRecord, now: DateTime<Utc>) -> bool {
    record
        .ended_at
        .is_none_or(|ended_at| now.signed_duration_since(ended_at) <= REMEMBERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_nobody_goes_to_the_same_agent_again() {
        let agent = |name| AgentId::parse(name).unwrap();
        let table = RoutingTable {
            agents: ["manager", "alice"].map(agent).into(),
            default: Some(agent("manager")),
        };
        let known = Known {
            agent: agent("alice"),
            session: SessionKey::new("s"),
        };
        let first_choice = known.first_choice(&table);
        assert_eq!(first_choice.agents, table.agents);
        assert_eq!(first_choice.default, Some(agent("alice")));
    }
}
