//! The tokens of turns: whoever runs in a turn may speak for its agent.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::{
    domain::{ids::TurnId, turn::TurnRecord},
    ports::turns::TaskStore,
};

use super::{super::error::ApiError, Caller};

/// What every token of a turn begins with.
const PREFIX: &str = "turn_";

/// How long after its end a turn may still call back: what it started may outlast it a little.
const AFTER_END: TimeDelta = TimeDelta::minutes(15);

/// Tells whether a token was made by us.
pub trait TurnTokenCheck: Send + Sync + 'static {
    /// The turn that the token was made for; `None` where we did not make it. Takes as long for a
    /// wrong one as for a right one.
    fn verify(&self, token: &str) -> Option<TurnId>;
}

/// What is needed to let turns in.
pub struct TurnAccess {
    /// Checks tokens.
    pub tokens: Arc<dyn TurnTokenCheck>,
    /// Knows the turns.
    pub turns: Arc<dyn TaskStore>,
}

impl TurnAccess {
    /// The turn that a token was made for.
    pub(super) fn turn_of(&self, token: &str) -> Option<TurnId> {
        token
            .starts_with(PREFIX)
            .then(|| self.tokens.verify(token))?
    }

    /// Who shows the token of a turn; `None` where that turn ended long ago.
    ///
    /// # Errors
    /// 503 where the store cannot be read.
    pub(super) async fn caller(
        &self,
        turn: TurnId,
        now: DateTime<Utc>,
    ) -> Result<Option<Caller>, ApiError> {
        let record = self.turns.turn(turn).await?;
        let valid = record.filter(|turn| may_still_call(turn, now));
        Ok(valid.map(|turn| Caller::of_turn(turn.agent, turn.id)))
    }
}

fn may_still_call(turn: &TurnRecord, now: DateTime<Utc>) -> bool {
    turn.ended_at
        .is_none_or(|ended_at| now.signed_duration_since(ended_at) <= AFTER_END)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use postroom_actors::domain::{
        ids::{AgentId, SessionKey},
        turn::TurnState,
    };
    use uuid::Uuid;

    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_800_000_000 + minute * 60, 0).unwrap()
    }

    fn turn(ended_at: Option<DateTime<Utc>>) -> TurnRecord {
        TurnRecord {
            id: TurnId::new(Uuid::from_u128(1)),
            agent: AgentId::parse("alice").unwrap(),
            session: SessionKey::new("s"),
            state: TurnState::Running,
            tasks: Vec::new(),
            cli_session: None,
            started_at: at(0),
            ended_at,
            exit_code: None,
            signal: None,
            usage: None,
            failure: None,
            callbacks: 0,
            transcript: None,
        }
    }

    #[test]
    fn a_token_holds_while_its_turn_runs_and_a_quarter_of_an_hour_more() {
        assert!(may_still_call(&turn(None), at(10_000)));
        assert!(may_still_call(&turn(Some(at(5))), at(20)));
        assert!(!may_still_call(&turn(Some(at(5))), at(21)));
    }
}
