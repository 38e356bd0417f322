//! Whether the service is well, in words, and its actors.

use std::time::Duration;

use maud::{Markup, html};
use postroom_actors::{
    agent_supervisor::{AgentState, AgentStatus},
    lifecycle::ActorStatus,
};
use tokio::{sync::Mutex, time::Instant};

use super::{
    sections::{Look, Section},
    words,
};
use crate::http::{SharedState, agents::why_parked, health, traffic};

/// How long what the store answered to a probe is believed: each one costs it a commit.
const BELIEVED: Duration = Duration::from_secs(5);

/// Why nothing is accepted, as it was found out last.
#[derive(Debug, Default)]
pub(super) struct Probe(Mutex<Option<(Instant, Vec<String>)>>);

impl Probe {
    async fn problems(&self, shared: &SharedState) -> Vec<String> {
        let mut last = self.0.lock().await;
        if let Some((at, problems)) = last.as_ref()
            && at.elapsed() < BELIEVED
            && !shared.intake.is_stopping()
        {
            return problems.clone();
        }
        let problems = health::refusing(shared).await;
        *last = Some((Instant::now(), problems.clone()));
        problems
    }
}

/// Something that is not as it should be, and where it is looked at.
struct Trouble {
    text: String,
    path: Option<String>,
}

/// What this section is made of, read once for all sections of a page.
pub(super) struct Health {
    pub(super) agents: Vec<AgentStatus>,
    pub(super) actors: Vec<ActorStatus>,
    pub(super) dead_letters: Option<u64>,
}

impl Health {
    /// Asks everybody.
    pub(super) async fn of(shared: &SharedState) -> Self {
        let (mut agents, actors, dead_letters) = tokio::join!(
            crate::http::agents::statuses(shared),
            health::statuses(shared),
            shared.book.dead_letters()
        );
        agents.sort_by_key(urgency);
        Self {
            agents,
            actors,
            dead_letters: dead_letters.ok(),
        }
    }

    fn troubles(&self) -> Vec<Trouble> {
        let actors = self.actors.iter().filter(|actor| actor.state != "ok");
        let actors = actors.map(|actor| Trouble {
            text: format!("actor {}: {}", actor.actor, actor.state),
            path: None,
        });
        let agents = self.agents.iter().filter_map(|agent| {
            let text = match why_parked(agent) {
                Some(why) => format!("agent {} is parked: {why}", agent.id),
                None => format!("agent {}: {}", agent.id, agent.problem.as_deref()?),
            };
            Some(Trouble {
                text,
                path: Some(format!("/web/agents/{}", agent.id)),
            })
        });
        actors.chain(agents).chain(self.given_up()).collect()
    }

    fn given_up(&self) -> Option<Trouble> {
        let count = usize::try_from(self.dead_letters?).unwrap_or(usize::MAX);
        (count > 0).then(|| Trouble {
            text: format!("{} for you to look at", words::count(count, "dead letter")),
            path: Some("/web/dead-letters".to_owned()),
        })
    }
}

/// Who needs a look comes first, then who works; otherwise the order of their names stays.
fn urgency(agent: &AgentStatus) -> u8 {
    match agent.state {
        AgentState::Parked => 0,
        _ if agent.problem.is_some() => 1,
        AgentState::Running => 2,
        _ if agent.waiting > 0 => 3,
        AgentState::Idle | AgentState::Stopped => 4,
    }
}

/// The state of the service.
pub(super) async fn section(look: &Look<'_>, health: &Health) -> Section {
    let shared = look.shared;
    let refusing = shared.dashboard.probe.problems(shared).await;
    let troubles = health.troubles();
    let (state, heading) = if !refusing.is_empty() {
        ("refusing", "No new messages are accepted".to_owned())
    } else if !troubles.is_empty() {
        let things = words::count(troubles.len(), "thing");
        let verb = if troubles.len() == 1 { "needs" } else { "need" };
        ("attention", format!("{things} {verb} attention"))
    } else {
        ("ok", "All is well".to_owned())
    };
    let sign = match state {
        "ok" => "✓",
        "attention" => "!",
        _ => "✕",
    };
    let heading = html! { span.sign aria-hidden="true" { (sign) } (heading) };
    let content = html! {
        @if !refusing.is_empty() || !troubles.is_empty() {
            ul.troubles {
                @for text in &refusing { li { (words::said(text, 400)) } }
                @for trouble in &troubles {
                    li {
                        @match &trouble.path {
                            Some(path) => a href=(path) { (words::said(&trouble.text, 400)) },
                            None => (words::said(&trouble.text, 400)),
                        }
                    }
                }
            }
        }
        (facts(look, health).await)
    };
    Section::new("service", Some(state), &heading, &content)
}

async fn facts(look: &Look<'_>, health: &Health) -> Markup {
    let shared = look.shared;
    let stats = shared.store.stats().await.ok();
    let turns: usize = health.agents.iter().map(|agent| agent.turns.len()).sum();
    let waiting: usize = health.agents.iter().map(|agent| agent.waiting).sum();
    html! {
        dl.facts {
            div { dt { "Turns" } dd { (turns) " running" } }
            div { dt { "Tasks" } dd { (waiting) " waiting" } }
            div {
                dt { "Dead letters" }
                dd {
                    @match health.dead_letters {
                        Some(0) => "none",
                        Some(count) => a.warns href="/web/dead-letters" { (count) },
                        None => "unknown",
                    }
                }
            }
            @if let Some(stats) = stats {
                div { dt { "Inbox" } dd { (stats.pending_inbox) " to write" } }
                div {
                    dt { "Store" }
                    dd { (words::bytes(stats.size_bytes)) span.quiet { " · " (stats.messages) " mailbox messages" } }
                }
            }
            @if let Some(free) = shared.disks.free("store") {
                div { dt { "Disk" } dd { (words::bytes(free)) " free" } }
            }
            div { dt { "Up" } dd { (words::since(shared.started_at, look.now)) } }
            div { dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) span.quiet { " · pid " (shared.pid) } } }
            div { dt { "Endpoint" } dd { code { (shared.endpoint) } } }
        }
    }
}

/// The actors.
pub(super) fn actors(look: &Look<'_>, health: &Health) -> Section {
    let shared = look.shared;
    let depths = [
        (shared.router.depth(), shared.router.restarts()),
        (shared.inbox_writer.depth(), shared.inbox_writer.restarts()),
        (
            shared.backend_relay.depth(),
            shared.backend_relay.restarts(),
        ),
        (shared.directory.depth(), shared.directory.restarts()),
        (shared.courier.depth(), shared.courier.restarts()),
    ];
    let rates = rates(shared);
    let content = html! {
        div.scrolls tabindex="0" role="region" aria-label="Actors" {
            table {
                thead {
                    tr {
                        th scope="col" { "Actor" }
                        th scope="col" { "State" }
                        th.number scope="col" title="Messages in its mailbox" { "Depth" }
                        th.number scope="col" title="Items that wait for it, and for how long" { "Waiting" }
                        th.number scope="col" title="Messages a second, over the last ten" { "Rate" }
                        th.number scope="col" { "Restarts" }
                    }
                }
                tbody {
                    @for (actor, (depth, restarts)) in health.actors.iter().zip(depths) {
                        tr data-actor=(actor.actor) {
                            th scope="row" { (actor.actor.replace('_', " ")) }
                            td { (words::state(&actor.state)) }
                            td.number { (depth.now()) }
                            td.number {
                                (actor.waiting)
                                @if let Some(oldest) = actor.oldest_waiting_ms {
                                    span.quiet { " · " (words::short(Duration::from_millis(oldest))) }
                                }
                            }
                            td.number { (rate_of(&rates, actor.actor)) }
                            td.number { (restarts) }
                        }
                    }
                }
            }
        }
    };
    Section::titled("actors", "Actors", &content)
}

/// What each actor took between the last two samples.
fn rates(shared: &SharedState) -> Vec<(&'static str, u64)> {
    let samples = shared.traffic.samples();
    let mut newest = samples.iter().rev();
    let (Some(last), Some(before)) = (newest.next(), newest.next()) else {
        return Vec::new();
    };
    let pairs = last.taken.iter().zip(&before.taken);
    pairs
        .map(|((name, now), (_, then))| (*name, now.saturating_sub(*then)))
        .collect()
}

fn rate_of(rates: &[(&'static str, u64)], actor: &str) -> String {
    let taken = rates.iter().find(|(name, _)| *name == actor);
    taken.map_or_else(
        || "–".to_owned(),
        |(_, taken)| {
            let per_second = traffic::INTERVAL.as_secs().max(1);
            let tenths = taken * 10 / per_second;
            format!("{}.{}/s", tenths / 10, tenths % 10)
        },
    )
}
