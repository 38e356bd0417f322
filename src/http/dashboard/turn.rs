//! One turn: what it works on, what it says, how it ended.

use chrono::TimeDelta;
use maud::{Markup, html};
use postroom_actors::domain::{
    ids::TurnId,
    turn::{TurnEvent, TurnRecord, Usage},
};

use super::{
    answer::PageError,
    messages,
    sections::{Look, Pen, Section, View},
    words,
};

/// Of what a running turn has said, at most so many characters from its end.
const SAID: usize = 12_000;

/// A table of turns.
pub(super) fn table(pen: &Pen<'_>, turns: &[TurnRecord]) -> Markup {
    html! {
        table.cards {
            thead {
                tr {
                    th scope="col" { "Turn" }
                    th scope="col" { "State" }
                    th scope="col" { "Took" }
                    th scope="col" { "Messages" }
                    th scope="col" { "Callbacks" }
                    th scope="col" { "Tokens" }
                }
            }
            tbody { @for one in turns { (row(pen, one)) } }
        }
    }
}

fn row(pen: &Pen<'_>, turn: &TurnRecord) -> Markup {
    html! {
        tr data-turn=(turn.id) data-state=(turn.state.as_str()) {
            td data-label="Turn" { a href={ "/web/turns/" (turn.id) } { (words::ago(turn.started_at, pen.now)) } }
            td data-label="State" {
                (words::state(turn.state.as_str()))
                @if let Some(failure) = &turn.failure {
                    div.why { (words::said(&failure.message, 200)) }
                }
            }
            td data-label="Took" { (took(pen, turn)) }
            td data-label="Messages" { (turn.tasks.len()) }
            td data-label="Callbacks" { (turn.callbacks) }
            td data-label="Tokens" { (tokens(turn.usage.as_ref())) }
        }
    }
}

fn took(pen: &Pen<'_>, turn: &TurnRecord) -> Markup {
    let ended = turn.ended_at.map(|ended| ended - turn.started_at);
    html! {
        @match ended {
            Some(ended) => (words::short(ended.max(TimeDelta::zero()).to_std().unwrap_or_default())),
            None => (words::since(turn.started_at, pen.now)),
        }
    }
}

fn tokens(usage: Option<&Usage>) -> Markup {
    html! {
        @match usage {
            Some(usage) => {
                (usage.input_tokens) " in, " (usage.output_tokens) " out"
                @if let Some(cost) = usage.cost_microdollars {
                    span.quiet { " · $" (cost / 1_000_000) "." (format!("{:04}", cost % 1_000_000 / 100)) }
                }
            }
            None => span.quiet { "not told" },
        }
    }
}

/// The page of a turn.
///
/// # Errors
/// 404 for an unknown turn, 503 where the store cannot be read.
pub(super) async fn view(look: &Look<'_>, id: TurnId) -> Result<View, PageError> {
    let shared = look.shared;
    let turn = shared.tasks.turn(id).await?;
    let turn = turn.ok_or(PageError::unknown("There is no such turn (any more)."))?;
    let batch = shared.recent.lines(turn.tasks.clone()).await?;
    let works_on = html! {
        @if batch.is_empty() { p.empty { "Its messages are gone." } }
        @else { (messages::table(look, &batch)) }
    };
    let sections = vec![
        state(look, &turn),
        Section::titled("messages", "What it works on, in one batch", &works_on),
        output(look, &turn).await,
    ];
    Ok(View {
        title: format!("Turn of {}", turn.agent),
        head: html! {
            h1 { "Turn of " a href={ "/web/agents/" (turn.agent.as_str()) } { (turn.agent.as_str()) } }
        },
        sections,
        foot: html! {},
    })
}

pub(super) fn state(pen: &Pen<'_>, turn: &TurnRecord) -> Section {
    let word = turn.state.as_str();
    let content = html! {
        div.turn data-turn=(turn.id) data-state=(word) {
            dl.facts {
                div { dt { "State" } dd { (words::state(word)) } }
                div { dt { "Began" } dd { (words::ago(turn.started_at, pen.now)) } }
                div { dt { "Took" } dd { (took(pen, turn)) } }
                div { dt { "Callbacks" } dd { (turn.callbacks) } }
                div { dt { "Tokens" } dd { (tokens(turn.usage.as_ref())) } }
                @if let Some(code) = turn.exit_code { div { dt { "Exit code" } dd { (code) } } }
                @if let Some(signal) = turn.signal { div { dt { "Signal" } dd { (signal) } } }
                div { dt { "Session" } dd { code { (words::clean(turn.session.as_str(), 200)) } } }
                @if let Some(session) = &turn.cli_session {
                    div { dt { "Session of its command" } dd { code { (words::clean(session, 200)) } } }
                }
                div { dt { "Turn" } dd { code { (turn.id) } } }
            }
            @if !turn.state.is_ended() {
                (pen.action(&format!("/web/turns/{}/cancel", turn.id), "cancel", "Cancel this turn"))
            }
        }
        @if let Some(failure) = &turn.failure {
            p.trouble { (words::said(&failure.message, 2000)) }
        }
    };
    Section::new("turn", Some(word), &html! { "State" }, &content)
}

/// While it runs what it has said; then the end of its transcript.
pub(super) async fn output(look: &Look<'_>, turn: &TurnRecord) -> Section {
    let tail = match &turn.transcript {
        Some(path) => look.shared.transcripts.tail(path.clone()).await,
        None => None,
    };
    let live = look.shared.turn_feeds.find(&turn.id);
    let live = live
        .map(|feed| told(&feed.so_far()))
        .filter(|told| !told.is_empty());
    let (heading, text) = match (tail, live) {
        (Some(tail), _) => ("End of the transcript", Some(tail)),
        (None, Some(live)) => ("What it does", Some(live)),
        (None, None) => ("What it does", None),
    };
    let content = html! {
        @match &text {
            Some(text) => pre.text dir="auto" tabindex="0" { (words::clean_lines(text)) },
            None if turn.state.is_ended() => p.empty { "Nothing is kept of what it printed." },
            None => p.empty { "It has said nothing yet." },
        }
    };
    Section::titled("transcript", heading, &content)
}

/// What happened in a turn, a line an event; the end of it where it is long.
pub(super) fn told(events: &[TurnEvent]) -> String {
    let mut text = String::new();
    for event in events {
        match event {
            TurnEvent::Said(said) => text.push_str(said),
            TurnEvent::MessageEnded => text.push('\n'),
            TurnEvent::Tool(name) => line(&mut text, "tool", name),
            TurnEvent::Trouble(what) => line(&mut text, "trouble", what),
            TurnEvent::CalledBack { kind, to, .. } => {
                line(&mut text, "sent", &format!("{kind} to {to}"));
            }
            TurnEvent::Started { .. } | TurnEvent::Session(_) | TurnEvent::Exited(_) => {}
        }
    }
    let cut = text.chars().count().saturating_sub(SAID);
    text.chars().skip(cut).collect()
}

fn line(text: &mut String, what: &str, detail: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str("· ");
    text.push_str(what);
    text.push_str(": ");
    text.push_str(detail);
    text.push('\n');
}
