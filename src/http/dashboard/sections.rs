//! What a page consists of: sections, each of which can be sent anew.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::Deref,
};

use chrono::{DateTime, Utc};
use maud::{Markup, PreEscaped, Render, html};

use super::{
    answer::PageError, connect, gate::Visitor, message, messages, overview, page::Page, people,
    troubles, turn, words,
};
use crate::http::SharedState;

/// What a rendering is made from.
pub(super) struct Look<'a> {
    pub(super) shared: &'a SharedState,
    pen: Pen<'a>,
}

/// What is needed to write down what was read.
pub(super) struct Pen<'a> {
    pub(super) page: &'a Page,
    pub(super) now: DateTime<Utc>,
    /// Stands for the token of whoever looks.
    pub(super) token_place: &'a str,
}

impl<'a> Deref for Look<'a> {
    type Target = Pen<'a>;

    fn deref(&self) -> &Self::Target {
        &self.pen
    }
}

impl<'a> Look<'a> {
    /// A look at a page now.
    pub(super) fn new(shared: &'a SharedState, page: &'a Page) -> Self {
        Self {
            shared,
            pen: Pen {
                page,
                now: shared.clock.now(),
                token_place: &shared.dashboard.token_place,
            },
        }
    }
}

impl Pen<'_> {
    /// A form that does something and leads back to this page.
    pub(super) fn action(&self, path: &str, what: &'static str, label: &str) -> Markup {
        html! {
            form.action method="post" action=(path) {
                input type="hidden" name="csrf" value=(self.token_place);
                input type="hidden" name="next" value=(self.page.path());
                button type="submit" data-action=(what) class=(what) { (label) }
            }
        }
    }

    /// A rendering as a visitor gets it: with its own token in the forms.
    pub(super) fn for_visitor(&self, rendering: &str, visitor: &Visitor) -> String {
        rendering.replace(self.token_place, &visitor.csrf)
    }
}

/// A page without what stands around it.
pub(super) struct View {
    /// What the browser calls it.
    pub(super) title: String,
    /// What never changes: headings, forms that are filled in.
    pub(super) head: Markup,
    /// What is sent anew when it changes.
    pub(super) sections: Vec<Section>,
    /// What never changes, below.
    pub(super) foot: Markup,
}

impl View {
    /// All of it.
    pub(super) fn content(&self) -> Markup {
        html! {
            (self.head)
            div.sections {
                @for section in self.sections.iter().filter(|it| it.column == Column::Whole) { (section) }
                @if self.sections.iter().any(|it| it.column != Column::Whole) {
                    div.columns {
                        @for column in [Column::Wide, Column::Narrow] {
                            div.column { @for section in self.sections.iter().filter(|it| it.column == column) { (section) } }
                        }
                    }
                }
            }
            (self.foot)
        }
    }
}

/// A part of a page with a name of its own.
#[derive(Debug, Clone)]
pub(super) struct Section {
    pub(super) name: &'static str,
    /// Changes with its content, times that pass by apart.
    pub(super) revision: String,
    html: String,
    column: Column,
}

/// Where a section stands on a wide screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Above the columns, as wide as the page.
    Whole,
    /// In the first column.
    Wide,
    /// In the second, which is half as wide.
    Narrow,
}

impl Section {
    /// A section with a heading. `state` tells it in a word, for the script and for tests.
    pub(super) fn new(
        name: &'static str,
        state: Option<&str>,
        heading: &Markup,
        content: &Markup,
    ) -> Self {
        let inner = html! {
            h2 id={ (name) "-heading" } { (heading) }
            (content)
        };
        let revision = revision(state, &inner.0);
        let html = html! {
            section data-section=(name) data-state=[state] data-revision=(revision)
                aria-labelledby={ (name) "-heading" } { (inner) }
        };
        Self {
            name,
            revision,
            html: html.into_string(),
            column: Column::Whole,
        }
    }

    /// The same in a column.
    pub(super) fn in_column(self, column: Column) -> Self {
        Self { column, ..self }
    }

    /// The same under a heading of plain words.
    pub(super) fn titled(name: &'static str, heading: &str, content: &Markup) -> Self {
        Self::new(name, None, &html! { (heading) }, content)
    }

    /// In place of a section that cannot be made now.
    pub(super) fn unreadable(name: &'static str, heading: &str, why: &str) -> Self {
        let content = html! { p.trouble { "This cannot be shown now: " (words::clean(why, 300)) } };
        Self::titled(name, heading, &content)
    }

    /// What is put into the page.
    pub(super) fn html(&self) -> &str {
        &self.html
    }
}

impl Render for Section {
    fn render_to(&self, buffer: &mut String) {
        // Made by `new` above, and so escaped already.
        PreEscaped(&self.html).render_to(buffer);
    }
}

/// Names a rendering. What a clock shows is left out: the browser's own goes on by itself.
fn revision(state: Option<&str>, html: &str) -> String {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    // Nobody else's text holds a `<` in a rendering.
    for piece in html.split("<time ") {
        let (attributes, rest) = piece.split_once("</time>").unwrap_or(("", piece));
        let tag = attributes
            .split_once('>')
            .map_or(attributes, |(tag, _)| tag);
        (tag, rest).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// Makes a page.
///
/// # Errors
/// 404 for what is not there, 503 where the store cannot be read.
pub(super) async fn view(look: &Look<'_>) -> Result<View, PageError> {
    match look.page {
        Page::Overview => Ok(overview::view(look).await),
        Page::Messages(asked) => Ok(messages::view(look, asked).await),
        Page::Message(id) => message::view(look, *id).await,
        Page::Agent(id) => people::view(look, id).await,
        Page::Turn(id) => turn::view(look, *id).await,
        Page::DeadLetters(before) => Ok(troubles::view(look, *before).await),
        Page::Connect => Ok(connect::view(look)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_changes_with_its_content_and_not_with_the_time_that_passes() {
        let at = |second: i64| DateTime::from_timestamp(1_900_000_000 + second, 0).unwrap();
        let made = |word: &str, happened, now| {
            let content = html! { p { (word) " " (words::ago(at(happened), at(now))) " by hand" } };
            Section::titled("agents", "Agents", &content).revision
        };
        assert_eq!(made("done", 0, 5), made("done", 0, 90));
        assert_ne!(made("done", 0, 5), made("failed", 0, 5));
        assert_ne!(made("done", 0, 5), made("done", 1, 5));
    }
}
