//! What the running service says of itself.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, TimeDelta, Utc};

use super::finding::{Finding, Section};
use crate::cli::{
    agent_view::{self, AgentView},
    client::{Client, is_not_running},
    service_view::ServiceView,
};

/// A task that waits longer than this is told of.
const LONG: TimeDelta = TimeDelta::minutes(15);

/// Whether it runs, and what it says.
pub(super) enum Facts {
    /// No service runs.
    NotRunning,
    /// It runs and does not answer, or not as it should.
    NoAnswer(String),
    /// It answers.
    Answers(Box<ServiceView>),
}

impl Facts {
    pub(super) async fn ask(home: &Path) -> Self {
        let client = match Client::of_home(home) {
            Ok(client) => client,
            // The home folder's own check tells of a file that is not understood.
            Err(_no_file) => return Self::NotRunning,
        };
        match ServiceView::ask(&client).await {
            Ok(view) => Self::Answers(Box::new(view)),
            Err(error) if is_not_running(&error) => Self::NotRunning,
            Err(error) => Self::NoAnswer(format!("{error:#}")),
        }
    }

    /// What its agents run, by agent.
    pub(super) fn commands(&self) -> BTreeMap<String, String> {
        let Self::Answers(view) = self else {
            return BTreeMap::new();
        };
        let agents = view.views.iter().filter(|agent| !agent.cli.is_empty());
        agents
            .map(|agent| (agent.id.clone(), agent.cli.clone()))
            .collect()
    }

    pub(super) const fn runs(&self) -> bool {
        !matches!(self, Self::NotRunning)
    }
}

/// What it comes to.
pub(super) fn findings(facts: &Facts, now: DateTime<Utc>) -> Vec<Finding> {
    match facts {
        Facts::NotRunning => vec![Finding::note(
            Section::Service,
            "running",
            "no service runs for this home folder: what only it knows was left out",
        )],
        Facts::NoAnswer(why) => vec![
            Finding::fault(Section::Service, "running", why.clone())
                .mend("look at its log; start it again if it hangs (`postroom restart`)"),
        ],
        Facts::Answers(view) => {
            let mut findings = vec![running_finding(view)];
            findings.extend(problems(view));
            findings.extend(view.views.iter().filter_map(parked));
            findings.extend(view.views.iter().filter_map(|agent| waits_long(agent, now)));
            findings.extend(dead_letters(view));
            findings
        }
    }
}

fn running_finding(view: &ServiceView) -> Finding {
    const CHECK: &str = "running";
    let told = view
        .health
        .get("version")
        .and_then(serde_json::Value::as_str);
    let version = told.unwrap_or("of an unknown version");
    if version != env!("CARGO_PKG_VERSION") {
        let found = format!(
            "the running service is {version}, this program is {}",
            env!("CARGO_PKG_VERSION")
        );
        return Finding::note(Section::Service, CHECK, found)
            .mend("`postroom restart` takes the new program up");
    }
    Finding::ok(
        Section::Service,
        CHECK,
        format!("it runs, version {version}"),
    )
}

/// Its own words; of parked agents the agents themselves tell.
fn problems(view: &ServiceView) -> Vec<Finding> {
    view.other_problems()
        .map(|problem| {
            let finding = if view.is_ready {
                Finding::warning(Section::Service, "problem", problem)
            } else {
                let found = format!("it takes in no messages: {problem}");
                Finding::fault(Section::Service, "problem", found)
            };
            finding.mend("mend what it names; its log says more")
        })
        .collect()
}

fn parked(agent: &AgentView) -> Option<Finding> {
    if agent.state != "parked" {
        return None;
    }
    let why = agent.problem.as_deref().unwrap_or("it failed too often");
    let found = format!("agent `{}` is parked: {why}", agent.id);
    Some(
        Finding::fault(Section::Service, "parked", found).mend(format!(
            "mend the cause, then `postroom resume {}`",
            agent.id
        )),
    )
}

fn waits_long(agent: &AgentView, now: DateTime<Utc>) -> Option<Finding> {
    let age = now - agent.oldest_waiting_since?;
    if age < LONG {
        return None;
    }
    let what_for = agent.waits_for.as_deref().unwrap_or("a turn");
    let found = format!(
        "{} tasks wait for agent `{}`, the oldest for {}: {what_for}",
        agent.waiting,
        agent.id,
        agent_view::span(age)
    );
    let mend = match agent.state.as_str() {
        "stopped" => format!("`postroom start {}`", agent.id),
        _ => format!("`postroom status`, `postroom turns {}`", agent.id),
    };
    Some(Finding::warning(Section::Service, "waiting", found).mend(mend))
}

fn dead_letters(view: &ServiceView) -> Option<Finding> {
    let count = view.dead_letters().filter(|count| *count > 0)?;
    let found = format!(
        "{} got nowhere and wait for you",
        agent_view::counted(count, "message", "messages")
    );
    Some(
        Finding::warning(Section::Service, "dead_letters", found)
            .mend("`postroom dead-letters list` says why; then `retry` or `drop`"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::Grade, *};

    fn view(agents: &[serde_json::Value], problems: &[&str]) -> Facts {
        let views = agents.iter().cloned();
        Facts::Answers(Box::new(ServiceView {
            health: json!({"ok": true, "version": env!("CARGO_PKG_VERSION"), "dead_letters": 2}),
            is_ready: true,
            problems: problems.iter().map(|&problem| problem.to_owned()).collect(),
            agents: json!(agents),
            views: views
                .map(|agent| agent_view::agent(agent).unwrap())
                .collect(),
        }))
    }

    #[test]
    fn parked_agents_long_waits_and_dead_letters_are_told_once_each() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(2);
        let facts = view(
            &[
                json!({"id": "a", "state": "parked", "problem": "`codex` was not found"}),
                json!({"id": "b", "state": "stopped", "waiting": 3,
                    "oldest_waiting_since": "1970-01-01T00:30:00Z", "waits_for": "the agent is stopped"}),
                json!({"id": "c", "state": "idle", "waiting": 1,
                    "oldest_waiting_since": "1970-01-01T01:59:00Z"}),
            ],
            &[
                "agent `a` is parked: `codex` was not found",
                "backend_relay: circuit open: main",
            ],
        );
        let found: Vec<_> = findings(&facts, now)
            .into_iter()
            .map(|finding| (finding.check, finding.grade, finding.mend))
            .collect();
        let checks: Vec<_> = found
            .iter()
            .map(|(check, grade, _)| (*check, *grade))
            .collect();
        assert_eq!(
            checks,
            [
                ("running", Grade::Ok),
                ("problem", Grade::Warning),
                ("parked", Grade::Fault),
                ("waiting", Grade::Warning),
                ("dead_letters", Grade::Warning),
            ]
        );
        assert_eq!(found[3].2.as_deref(), Some("`postroom start b`"));
    }
}
