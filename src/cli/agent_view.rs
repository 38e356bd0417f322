//! Agents as the API tells of them, and as a terminal shows them.

use chrono::{DateTime, TimeDelta, Utc};
use postroom_actors::domain::ids::AgentId;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, ClientError};

/// What the commands read of an agent's status.
#[derive(Debug, Deserialize)]
pub(super) struct AgentView {
    pub(super) id: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) problem: Option<String>,
    #[serde(default)]
    pub(super) cli: String,
    #[serde(default)]
    pub(super) turns: Vec<RunningView>,
    #[serde(default)]
    pub(super) waiting: u64,
    #[serde(default)]
    pub(super) oldest_waiting_since: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) waits_for: Option<String>,
}

/// What the commands read of a running turn.
#[derive(Debug, Deserialize)]
pub(super) struct RunningView {
    pub(super) turn: String,
    #[serde(default)]
    pub(super) pid: Option<u32>,
    #[serde(default)]
    pub(super) session: String,
    pub(super) since: DateTime<Utc>,
    /// When it last gave a sign of life.
    #[serde(default)]
    pub(super) last_event_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) tasks: Vec<String>,
}

/// Reads an agent out of an answer.
pub(super) fn agent(answer: Value) -> anyhow::Result<AgentView> {
    serde_json::from_value(answer)
        .map_err(|error| anyhow::anyhow!("the service tells of an agent in another way: {error}"))
}

/// All agents: as they came, and as far as we read them.
pub(super) async fn all(client: &Client) -> anyhow::Result<(Value, Vec<AgentView>)> {
    let answer = client.get("/agents").await?;
    let listed = answer.get("agents").and_then(Value::as_array);
    let agents = listed.into_iter().flatten().cloned().map(agent);
    let agents = agents.collect::<anyhow::Result<_>>()?;
    Ok((answer, agents))
}

/// One agent.
pub(super) async fn one(client: &Client, id: &AgentId) -> anyhow::Result<AgentView> {
    match client.get(&format!("/agents/{id}")).await {
        Ok(answer) => agent(answer),
        Err(ClientError::Refused { status: 404, .. }) => Err(unknown(client, id.as_str()).await?),
        Err(error) => Err(error.into()),
    }
}

/// Says that there is no such agent, and which there are.
pub(super) async fn unknown(client: &Client, name: &str) -> anyhow::Result<anyhow::Error> {
    let (_, agents) = all(client).await?;
    let names: Vec<_> = agents.into_iter().map(|agent| agent.id).collect();
    let there = match names.as_slice() {
        [] => "there is none; make one with `postroom hire <role> [name]`".to_owned(),
        names => format!("there are: {}", names.join(", ")),
    };
    Ok(anyhow::anyhow!("there is no agent `{name}`; {there}"))
}

/// A time span in the largest units that matter: `8s`, `3m12s`, `2h05m`, `4d03h`.
pub(super) fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// Text from outside, safe to show: a terminal obeys control characters.
pub(super) fn shown(text: &str) -> String {
    let keep = |character: char| match character {
        '\n' | '\t' => ' ',
        character if character.is_control() => '\u{fffd}',
        character => character,
    };
    text.chars().map(keep).collect()
}

/// Colours, where the terminal has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    /// Whether to use any.
    pub(super) colours: bool,
}

impl Paint {
    /// The text of a state (of an agent, a turn, a message) in the colour of that state.
    pub(super) fn state(self, state: &str, text: &str) -> String {
        match state {
            "starting" | "running" => self.with("32", text),
            "parked" | "failed" | "timed-out" | "dead" => self.with("31", text),
            "stopped" | "cancelled" | "interrupted" | "expired" => self.with("33", text),
            _ => text.to_owned(),
        }
    }

    /// How well something is: `ok`, `note`, `warning` or `fault`.
    pub(super) fn grade(self, grade: &str, text: &str) -> String {
        match grade {
            "ok" => self.with("32", text),
            "warning" => self.with("33", text),
            "fault" => self.with("31", text),
            _ => text.to_owned(),
        }
    }

    /// Something that matters less.
    pub(super) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Something that matters more.
    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colours {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A number with its word, in the singular or the plural.
pub(super) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [
            (-3, "0s"),
            (8, "8s"),
            (192, "3m12s"),
            (7500, "2h05m"),
            (356_400, "4d03h"),
        ] {
            assert_eq!(span(TimeDelta::seconds(seconds)), text);
        }
    }

    #[test]
    fn no_text_commands_the_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb c");
        assert_eq!(Paint { colours: false }.state("parked", "x"), "x");
        assert!(
            Paint { colours: true }
                .state("parked", "x")
                .contains("[31m")
        );
    }
}
