//! The list of messages: of the mailbox, chats, messages between agents, deliveries.

use maud::{Markup, html};
use postroom_actors::{
    domain::{
        envelope::RelayOutcome,
        ids::{AgentId, ContextId},
        party::Party,
        post::{MessageSummary, Trouble},
        task::TaskOrigin,
    },
    ports::recent::{MailboxLine, RecentFilter, RecentLine},
};

use super::{
    page::{Asked, KINDS, Page, states},
    sections::{Look, Pen, Section, View},
    words,
};

/// Messages on a page of the list.
const PAGE: usize = 50;

/// Messages where the list is but a part of a page.
pub(super) const SHORT: usize = 10;

/// The newest ones, for the overview.
pub(super) async fn newest(look: &Look<'_>) -> Section {
    let filter = RecentFilter {
        limit: SHORT,
        ..RecentFilter::default()
    };
    section(look, filter, "Messages").await
}

/// The list, as it was asked for.
pub(super) async fn view(look: &Look<'_>, asked: &Asked) -> View {
    let filter = RecentFilter {
        kind: asked.kind,
        agent: asked.agent.clone(),
        state: asked.state.map(str::to_owned),
        before: asked.before,
        limit: PAGE,
    };
    View {
        title: "Messages".to_owned(),
        head: html! { h1 { "Messages" } (filter_form(look, asked)) },
        sections: vec![section(look, filter, "Newest first").await],
        foot: html! {},
    }
}

fn filter_form(look: &Look<'_>, asked: &Asked) -> Markup {
    let agents = look.shared.agents.all();
    let chosen = asked.agent.as_ref().map(AgentId::as_str);
    let mut names: Vec<&str> = agents
        .iter()
        .map(|agent| agent.profile.id.as_str())
        .collect();
    names.extend(chosen.filter(|chosen| {
        !agents
            .iter()
            .any(|agent| agent.profile.id.as_str() == *chosen)
    }));
    let kind = asked.kind_word();
    html! {
        form.filter method="get" action="/web/messages" role="search" aria-label="Filter" {
            label { "Kind "
                select name="kind" {
                    option value="" { "all" }
                    @for (word, name, _) in KINDS {
                        option value=(word) selected[kind == Some(word)] { (name) }
                    }
                }
            }
            label { "Agent "
                select name="agent" {
                    option value="" { "all" }
                    @for name in &names {
                        option value=(name) selected[chosen == Some(*name)] { (name) }
                    }
                }
            }
            label { "State "
                select name="state" {
                    option value="" { "all" }
                    @for state in states() {
                        option value=(state) selected[asked.state == Some(state)] { (state) }
                    }
                }
            }
            button type="submit" { "Show" }
            @if *asked != Asked::default() { " " a href="/web/messages" { "All, newest first" } }
        }
    }
}

/// The lines that a filter lets through.
pub(super) async fn section(look: &Look<'_>, filter: RecentFilter, heading: &str) -> Section {
    const NAME: &str = "messages";
    let page = match look.shared.recent.recent(filter.clone()).await {
        Ok(page) => page,
        Err(error) => return Section::unreadable(NAME, heading, &error.to_string()),
    };
    let older = page.older.map(|before| {
        let asked = match look.page {
            Page::Messages(asked) => asked.clone(),
            _ => Asked {
                agent: filter.agent,
                ..Asked::default()
            },
        };
        Page::Messages(Asked {
            before: Some(before),
            ..asked
        })
    });
    let content = html! {
        @if page.lines.is_empty() {
            p.empty {
                @if older.is_some() { "None among those that were looked through." }
                @else { "There are none." }
            }
        } @else {
            (table(look, &page.lines))
        }
        @if let Some(older) = older {
            p.more { a href=(older.path()) rel="next" { "Older ones" } }
        }
    };
    Section::titled(NAME, heading, &content)
}

/// A table of messages.
pub(super) fn table(pen: &Pen<'_>, lines: &[RecentLine]) -> Markup {
    html! {
        table.cards.messages {
            thead {
                tr {
                    th scope="col" { "State" }
                    th scope="col" { "From and to" }
                    th scope="col" { "What" }
                    th scope="col" { "Came" }
                }
            }
            tbody {
                @for line in lines {
                    @match line {
                        RecentLine::Mailbox(line) => (mailbox_row(pen, line)),
                        RecentLine::Message { summary, words } => (message_row(pen, summary, words.as_deref())),
                    }
                }
            }
        }
    }
}

fn mailbox_row(pen: &Pen<'_>, line: &MailboxLine) -> Markup {
    let context = line.context_id.as_ref().map(ContextId::as_str);
    html! {
        tr data-message=(line.id) data-state=(line.state()) {
            td data-label="State" { (words::state(line.state())) }
            td data-label="From and to" { (words::said(context.unwrap_or("a client"), 80)) " " span.arrow { "→" } " mailbox" }
            td.what data-label="What" {
                a href={ "/web/messages/" (line.id) } {
                    (saying_of(line.words.as_deref(), "request"))
                }
                @if let Some(outcome) = line.reply {
                    div.quiet { "backend: " (outcome_word(outcome)) }
                } @else if let (true, Some(due)) = (line.is_pending, line.reply_due) {
                    div.quiet { "waits for the backend's reply until " (words::until(due, pen.now)) }
                }
            }
            td data-label="Came" { (words::ago(line.received_at, pen.now)) }
        }
    }
}

/// The word for how a relay ended.
pub(super) const fn outcome_word(outcome: RelayOutcome) -> &'static str {
    match outcome {
        RelayOutcome::Complete => "complete",
        RelayOutcome::ToolCalls => "tool-calls",
        RelayOutcome::Partial => "partial",
        RelayOutcome::Failed => "failed",
        RelayOutcome::Cancelled => "cancelled",
    }
}

fn message_row(pen: &Pen<'_>, summary: &MessageSummary, words: Option<&str>) -> Markup {
    html! {
        tr data-message=(summary.id) data-state=(summary.state) {
            td data-label="State" { (words::state(summary.state)) (progress(pen, summary)) }
            td data-label="From and to" { (from_to(summary)) }
            td.what data-label="What" {
                a href={ "/web/messages/" (summary.id) } {
                    (kind(summary)) " " (saying_of(words, "no words"))
                }
                @if let Some(trouble) = &summary.trouble {
                    div.why { (words::said(&trouble_text(trouble), 240)) }
                }
            }
            td data-label="Came" { (words::ago(summary.received_at, pen.now)) }
        }
    }
}

/// What a state does not say: how often it was tried, when it is tried again, what came of it.
fn progress(pen: &Pen<'_>, summary: &MessageSummary) -> Markup {
    html! {
        @if let Some(due) = summary.due { div.quiet { "again " (words::until(due, pen.now)) } }
        @if summary.attempts > 1 { div.quiet { "try " (summary.attempts) } }
        @if summary.callbacks > 0 {
            div.quiet { (words::count(usize::try_from(summary.callbacks).unwrap_or(usize::MAX), "callback")) }
        }
    }
}

/// Why a message got nowhere.
pub(super) fn trouble_text(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Turn(failure) => failure.message.clone(),
        Trouble::Delivery(reason) => reason.message.clone(),
    }
}

/// Who wrote a message and who gets it.
pub(super) fn from_to(summary: &MessageSummary) -> Markup {
    let to_agent = || summary.agent.clone().map(Party::Agent);
    let envelope = summary.envelope.as_deref();
    let recipient = envelope.map(|envelope| envelope.recipient.clone());
    let recipient = recipient.or_else(to_agent);
    html! {
        @match envelope {
            Some(envelope) => (party(&envelope.sender)),
            None => "a client",
        }
        " " span.arrow { "→" } " "
        @if let Some(recipient) = recipient { (party(&recipient)) }
    }
}

/// Who sent what a line tells of.
pub(super) fn sender(line: &RecentLine) -> Markup {
    html! {
        @match line {
            RecentLine::Mailbox(_) => "a client",
            RecentLine::Message { summary, .. } => @match summary.envelope.as_deref() {
                Some(envelope) => (party(&envelope.sender)),
                None => "a client",
            }
        }
    }
}

/// What a line tells of says.
pub(super) fn saying(line: &RecentLine) -> Markup {
    match line {
        RecentLine::Mailbox(line) => saying_of(line.words.as_deref(), "request"),
        RecentLine::Message { summary, words } => html! {
            (kind(summary)) " " (saying_of(words.as_deref(), "no words"))
        },
    }
}

/// A party in words; an agent leads to its page.
pub(super) fn party(party: &Party) -> Markup {
    html! {
        @match party {
            Party::Agent(agent) => a href={ "/web/agents/" (agent.as_str()) } { (agent.as_str()) },
            Party::Peer(peer) => { span.quiet { "peer " } (peer.as_str()) },
            Party::Key(name) => { span.quiet { "key " } (words::said(name, 60)) },
            Party::Url(url) => (words::said(url, 120)),
            Party::Anyone => "anyone",
        }
    }
}

fn kind(summary: &MessageSummary) -> Markup {
    let word = match (summary.envelope.as_deref(), summary.origin) {
        (Some(envelope), _) => words::clean(&envelope.kind, 60),
        (None, TaskOrigin::Response) => "response".to_owned(),
        (None, _) => "chat".to_owned(),
    };
    html! { span.kind { (word) } }
}

fn saying_of(words: Option<&str>, otherwise: &str) -> Markup {
    html! {
        @match words {
            Some(words) => (words::said(words, 160)),
            None => span.quiet { "(" (otherwise) ")" },
        }
    }
}
