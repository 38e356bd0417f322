//! Dead letters: what got nowhere, why, and what can be done about it.

use maud::{Markup, html};
use postroom_actors::{
    domain::{
        ids::MessageId,
        post::{MessageFilter, MessageSummary},
    },
    ports::recent::RecentLine,
};

use super::{
    messages,
    page::Page,
    sections::{Look, Pen, Section, View},
    words,
};

/// Dead letters on a page of the list.
const PAGE: usize = 50;

/// Dead letters on the overview.
const SHORT: usize = 5;

const NAME: &str = "dead-letters";

/// The newest ones, for the overview.
pub(super) async fn newest(look: &Look<'_>) -> Section {
    section(look, None, SHORT, "Dead letters").await
}

/// The list.
pub(super) async fn view(look: &Look<'_>, before: Option<MessageId>) -> View {
    View {
        title: "Dead letters".to_owned(),
        head: html! {
            h1 { "Dead letters" }
            p.quiet {
                "Messages that were given up. " b { "Retry" } " begins anew, as if it had just come; "
                b { "drop" } " takes it off this list, and the message stays in the book."
            }
        },
        sections: vec![section(look, before, PAGE, "Newest first").await],
        foot: html! {},
    }
}

async fn section(
    look: &Look<'_>,
    before: Option<MessageId>,
    limit: usize,
    heading: &str,
) -> Section {
    match read(look, before, limit).await {
        Ok(found) => {
            let content = list(look, &found, limit);
            let state = if found.is_empty() { "empty" } else { "waiting" };
            Section::new(NAME, Some(state), &html! { (heading) }, &content)
        }
        Err(error) => Section::unreadable(NAME, heading, &error.to_string()),
    }
}

/// One more than the limit, where there are more.
async fn read(
    look: &Look<'_>,
    before: Option<MessageId>,
    limit: usize,
) -> Result<Vec<(MessageSummary, Option<String>)>, postroom_actors::ports::StoreError> {
    let filter = MessageFilter {
        dead: true,
        before,
        limit: limit.saturating_add(1),
        ..MessageFilter::default()
    };
    let found = look.shared.book.messages(filter).await?;
    let ids = found.iter().map(|summary| summary.id).collect();
    let lines = look.shared.recent.lines(ids).await?;
    Ok(lines
        .into_iter()
        .filter_map(|line| match line {
            RecentLine::Message { summary, words } => Some((*summary, words)),
            RecentLine::Mailbox(_) => None,
        })
        .collect())
}

pub(super) fn list(
    pen: &Pen<'_>,
    found: &[(MessageSummary, Option<String>)],
    limit: usize,
) -> Markup {
    let shown = found.iter().take(limit);
    let last = shown.clone().next_back().map(|(summary, _)| summary.id);
    let older = last.filter(|_| found.len() > limit);
    html! {
        @if found.is_empty() {
            p.empty { "There are none." }
        } @else {
            ul.letters { @for (summary, words) in shown { (letter(pen, summary, words.as_deref())) } }
        }
        @if let Some(older) = older {
            p.more { a href=(Page::DeadLetters(Some(older)).path()) rel="next" { "Older ones" } }
        }
    }
}

fn letter(pen: &Pen<'_>, summary: &MessageSummary, words: Option<&str>) -> Markup {
    let id = summary.id;
    html! {
        li data-dead-letter=(id) data-state=(summary.state) {
            div.letter {
                div {
                    (messages::from_to(summary)) " "
                    span.quiet { (words::ago(summary.ended_at.unwrap_or(summary.received_at), pen.now)) }
                }
                div.what {
                    a href={ "/web/messages/" (id) } {
                        @match words {
                            Some(words) => (words::said(words, 160)),
                            None => "the message",
                        }
                    }
                }
                @if let Some(trouble) = &summary.trouble {
                    div.why { (words::said(&messages::trouble_text(trouble), 300)) }
                }
            }
            (buttons(pen, id))
        }
    }
}

/// What can be done about a dead letter.
pub(super) fn buttons(pen: &Pen<'_>, id: MessageId) -> Markup {
    let path = |what: &str| format!("/web/dead-letters/{id}/{what}");
    html! {
        div.buttons {
            (pen.action(&path("retry"), "retry", "Retry"))
            (pen.action(&path("drop"), "drop", "Drop"))
        }
    }
}
