//! The agents: what each does, what waits for it and why, and what can be done about it.

use chrono::DateTime;
use maud::{Markup, html};
use postroom_actors::{
    agent_supervisor::{AgentState, AgentStatus, RunningTurnStatus},
    domain::{
        agent::{Delivery, Permissions},
        ids::{AgentId, MessageId},
        turn::TurnRecord,
    },
    ports::recent::{RecentFilter, RecentLine},
};

use super::{
    answer::PageError,
    messages,
    sections::{Look, Pen, Section, View},
    turn, words,
};
use crate::http::agents;

/// Turns of an agent that its page lists.
const TURNS: usize = 20;

/// Running turns whose work is looked up.
const MOST_LOOKED_UP: usize = 64;

/// What running turns work on, to be told in words.
pub(super) struct Work(pub(super) Vec<RecentLine>);

impl Work {
    async fn of(look: &Look<'_>, agents: &[AgentStatus]) -> Self {
        let turns = agents.iter().flat_map(|agent| &agent.turns);
        let first = |turn: &RunningTurnStatus| turn.tasks.first().copied();
        let ids: Vec<MessageId> = turns.filter_map(first).take(MOST_LOOKED_UP).collect();
        if ids.is_empty() {
            return Self(Vec::new());
        }
        Self(look.shared.recent.lines(ids).await.unwrap_or_default())
    }

    fn of_turn(&self, turn: &RunningTurnStatus) -> Markup {
        let Some(first) = turn.tasks.first() else {
            return html! {};
        };
        let line = self.0.iter().find(|line| line.id() == *first);
        html! {
            @if let Some(line) = line {
                " · from " (messages::sender(line))
                @if turn.tasks.len() > 1 {
                    " " span.quiet { "and " (words::count(turn.tasks.len() - 1, "more message")) }
                }
                div.work { (messages::saying(line)) }
            }
        }
    }
}

/// All agents.
pub(super) async fn section(look: &Look<'_>, agents: &[AgentStatus], heading: &str) -> Section {
    let work = Work::of(look, agents).await;
    let content = html! {
        @if agents.is_empty() {
            p.empty {
                "There is no agent. Hire one: " code { "postroom hire <role> <name>" } "."
            }
        } @else {
            table.cards {
                thead {
                    tr {
                        th scope="col" { "Agent" }
                        th scope="col" { "Doing" }
                        th scope="col" { "Queue" }
                        th scope="col" { "Last failure" }
                        th scope="col" { span.hidden { "Actions" } }
                    }
                }
                tbody {
                    @for agent in agents { (row(look, agent, &work)) }
                }
            }
        }
    };
    Section::titled("agents", heading, &content)
}

pub(super) fn row(pen: &Pen<'_>, agent: &AgentStatus, work: &Work) -> Markup {
    let state = agent.state.as_str();
    let id = agent.id.as_str();
    html! {
        tr data-agent=(id) data-state=(state) {
            th scope="row" {
                a href={ "/web/agents/" (id) } { (id) } " " (words::state(state))
            }
            td data-label="Doing" { (doing(pen, agent, work)) }
            td data-label="Queue" { (queue(pen, agent)) }
            td data-label="Last failure" { (last_failure(agent)) }
            td.actions { (buttons(pen, agent)) }
        }
    }
}

fn doing(pen: &Pen<'_>, agent: &AgentStatus, work: &Work) -> Markup {
    html! {
        @if let Some(problem) = &agent.problem { p.trouble { (words::said(problem, 400)) } }
        @for turn in &agent.turns {
            div.turn data-turn=(turn.turn) data-state="running" {
                div {
                    a href={ "/web/turns/" (turn.turn) } { "turn" } " for "
                    (words::since(turn.since, pen.now))
                    (work.of_turn(turn))
                }
                (pen.action(&format!("/web/turns/{}/cancel", turn.turn), "cancel", "Cancel"))
            }
        }
        @if agent.turns.is_empty() && agent.problem.is_none() { span.quiet { "nothing" } }
    }
}

fn queue(pen: &Pen<'_>, agent: &AgentStatus) -> Markup {
    html! {
        @if agent.waiting == 0 {
            span.quiet { "empty" }
        } @else {
            (agent.waiting) " waiting"
            @if let Some(oldest) = agent.oldest_waiting_since {
                ", the oldest for " (words::since(oldest, pen.now))
            }
            @if let Some(why) = &agent.waits_for {
                div.quiet { "waits for" (reason(pen, why)) }
            }
        }
    }
}

/// Why the next one waits. A time is told as others are.
fn reason(pen: &Pen<'_>, why: &str) -> Markup {
    let time = why.strip_prefix("the time ");
    let time = time.and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    html! {
        @match time {
            Some(time) => { " its next try " (words::until(time.to_utc(), pen.now)) }
            None => { ": " (words::said(why, 200)) }
        }
    }
}

fn last_failure(agent: &AgentStatus) -> Markup {
    html! {
        @match &agent.last_failure {
            Some(failure) => (words::said(&failure.message, 200)),
            None => span.quiet { "none" },
        }
    }
}

fn buttons(pen: &Pen<'_>, agent: &AgentStatus) -> Markup {
    let path = |what: &str| format!("/web/agents/{}/{what}", agent.id);
    html! {
        @match agent.state {
            AgentState::Stopped => (pen.action(&path("start"), "start", "Start")),
            AgentState::Parked => {
                (pen.action(&path("resume"), "resume", "Resume"))
                (pen.action(&path("stop"), "stop", "Stop"))
            }
            AgentState::Idle | AgentState::Running => (pen.action(&path("stop"), "stop", "Stop")),
        }
    }
}

/// One agent with its turns and messages.
///
/// # Errors
/// 404 for one that is not known and has left no turns, 503 where the store cannot be read.
pub(super) async fn view(look: &Look<'_>, id: &AgentId) -> Result<View, PageError> {
    let shared = look.shared;
    let turns = shared.tasks.turns_of(id.clone(), None, TURNS).await?;
    let mut sections = Vec::new();
    match shared.agents.find(id) {
        Some(agent) => {
            let status = agents::status_of(&agent).await;
            let agents = [status];
            sections.push(section(look, &agents, "Now").await);
            let [status] = &agents;
            sections.push(settings(status));
        }
        None if turns.is_empty() => {
            return Err(PageError::unknown("There is no such agent."));
        }
        None => {}
    }
    sections.push(turns_section(look, &turns));
    let filter = RecentFilter {
        agent: Some(id.clone()),
        limit: messages::SHORT,
        ..RecentFilter::default()
    };
    sections.push(messages::section(look, filter, "Its messages").await);
    Ok(View {
        title: id.to_string(),
        head: html! { h1 { "Agent " (id.as_str()) } },
        sections,
        foot: html! {},
    })
}

pub(super) fn settings(agent: &AgentStatus) -> Section {
    let permissions = match agent.permissions {
        Permissions::Bypass => "everything, without asking",
        Permissions::Sandboxed => "what its sandbox allows",
    };
    let delivery = match agent.delivery {
        Delivery::Turn => "as turns of its command",
        Delivery::Inbox => "as files in its inbox",
    };
    let workspace = agent.workspace.display().to_string();
    let content = html! {
        dl.facts {
            div { dt { "Command" } dd { code { (words::clean(&agent.cli, 400)) } } }
            div { dt { "Workspace" } dd { code { (words::clean(&workspace, 400)) } } }
            div { dt { "May do" } dd { (permissions) } }
            div { dt { "Tasks reach it" } dd { (delivery) } }
        }
    };
    Section::titled("settings", "How it is set up", &content)
}

fn turns_section(pen: &Pen<'_>, turns: &[TurnRecord]) -> Section {
    let content = html! {
        @if turns.is_empty() {
            p.empty { "It has had no turn yet." }
        } @else {
            (turn::table(pen, turns))
        }
    };
    Section::titled("turns", "Its turns", &content)
}
