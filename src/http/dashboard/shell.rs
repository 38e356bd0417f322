//! What stands around every page.

use maud::{DOCTYPE, Markup, html};

use super::{
    assets::REVISION,
    gate::{Pass, Visitor},
    page::Page,
    words,
};

/// The places that every page leads to.
const PLACES: [(&str, &str); 4] = [
    ("/", "Overview"),
    ("/web/messages", "Messages"),
    ("/web/dead-letters", "Dead letters"),
    ("/web/connect", "Connect"),
];

/// A page with its way to others, kept up to date by the script.
pub(super) fn whole(page: &Page, title: &str, content: &Markup, visitor: &Visitor) -> String {
    let path = page.path();
    let here = page.place();
    let body = html! {
        body data-live="off" data-page=(path) {
            a.skip href="#main" { "To the content" }
            header.top {
                a.brand href="/" { img src={ "/web/assets/icon.svg?" (*REVISION) } alt="" width="24" height="24"; " Postroom" }
                nav aria-label="Pages" {
                    @for (path, name) in PLACES {
                        a href=(path) aria-current=[(here == path).then_some("page")] { (name) }
                    }
                }
                div.who {
                    span.live role="status" { noscript { "live updates need JavaScript" } }
                    @if matches!(visitor.pass, Pass::Session(_)) {
                        form method="post" action="/web/logout" {
                            input type="hidden" name="csrf" value=(visitor.csrf);
                            @if let Some(name) = &visitor.name {
                                span.quiet { (words::clean(name, 40)) } " "
                            }
                            button type="submit" data-action="logout" { "Log out" }
                        }
                    }
                }
            }
            main #main { (content) }
        }
    };
    document(title, &body)
}

/// A page that leads nowhere: for those who are not let in, and for errors.
pub(super) fn bare(title: &str, content: &Markup) -> String {
    document(title, &html! { body { (content) } })
}

fn document(title: &str, body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Postroom" }
                link rel="icon" type="image/svg+xml" href={ "/web/assets/icon.svg?" (*REVISION) };
                link rel="stylesheet" href={ "/web/assets/style.css?" (*REVISION) };
                script src={ "/web/assets/live.js?" (*REVISION) } defer {}
            }
            (body)
        }
    }
    .into_string()
}
