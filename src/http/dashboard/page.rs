//! The pages that there are, and showing one.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use postroom_actors::{
    domain::ids::{AgentId, MessageId, TurnId},
    ports::recent::{FILED, PENDING, RecentKind},
};

use super::{
    answer::{self, PageError},
    gate,
    sections::{self, Look},
    shell,
};
use crate::http::{AppState, incoming, messages::list::STATES};

/// A page, with what its address asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// How everything is.
    Overview,
    /// The list of messages.
    Messages(Asked),
    /// One message.
    Message(MessageId),
    /// One agent.
    Agent(AgentId),
    /// One turn.
    Turn(TurnId),
    /// The list of dead letters, older than one.
    DeadLetters(Option<MessageId>),
    /// How clients connect.
    Connect,
}

/// Which messages are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) kind: Option<RecentKind>,
    pub(super) agent: Option<AgentId>,
    pub(super) state: Option<&'static str>,
    pub(super) before: Option<MessageId>,
}

/// The words for kinds of messages in addresses, and for people.
pub(super) const KINDS: [(&str, &str, RecentKind); 3] = [
    ("mailbox", "Mailbox", RecentKind::Mailbox),
    ("chat", "Chats and responses", RecentKind::Chat),
    ("message", "Between agents", RecentKind::Message),
];

/// The words for where a message stands.
pub(super) fn states() -> impl Iterator<Item = &'static str> {
    STATES.into_iter().chain([PENDING, FILED])
}

impl Page {
    /// Reads the path and query of a page. What is not understood in a query asks for nothing;
    /// `None` for what is no page of ours.
    pub(super) fn parse(address: &str) -> Option<Self> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let query = incoming::parameters(query);
        let before = || query.get("before").and_then(|id| MessageId::parse(id));
        Some(match path {
            "/" | "/web" => Self::Overview,
            "/web/messages" => Self::Messages(Asked::read(&query, before())),
            "/web/dead-letters" => Self::DeadLetters(before()),
            "/web/connect" => Self::Connect,
            _ => {
                let (place, id) = path.strip_prefix("/web/")?.split_once('/')?;
                match place {
                    "messages" => Self::Message(MessageId::parse(id)?),
                    "agents" => Self::Agent(AgentId::parse(id).ok()?),
                    "turns" => Self::Turn(TurnId::parse(id)?),
                    _ => return None,
                }
            }
        })
    }

    /// Its address, made anew from what was understood.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Overview => "/".to_owned(),
            Self::Messages(asked) => asked.path(),
            Self::Message(id) => format!("/web/messages/{id}"),
            Self::Agent(id) => format!("/web/agents/{id}"),
            Self::Turn(id) => format!("/web/turns/{id}"),
            Self::DeadLetters(None) => "/web/dead-letters".to_owned(),
            Self::DeadLetters(Some(before)) => format!("/web/dead-letters?before={before}"),
            Self::Connect => "/web/connect".to_owned(),
        }
    }

    /// The place of the navigation that it belongs to.
    pub(super) const fn place(&self) -> &'static str {
        match self {
            Self::Overview | Self::Agent(_) => "/",
            Self::Messages(_) | Self::Message(_) | Self::Turn(_) => "/web/messages",
            Self::DeadLetters(_) => "/web/dead-letters",
            Self::Connect => "/web/connect",
        }
    }
}

impl Asked {
    fn read(query: &HashMap<String, String>, before: Option<MessageId>) -> Self {
        let kind = query.get("kind").and_then(|wanted| {
            let mut kinds = KINDS.into_iter();
            kinds.find_map(|(word, _, kind)| (word == wanted).then_some(kind))
        });
        let agent = query.get("agent").and_then(|id| AgentId::parse(id).ok());
        let state = query.get("state");
        Self {
            kind,
            agent,
            state: state.and_then(|wanted| states().find(|state| state == wanted)),
            before,
        }
    }

    /// The word of its kind.
    pub(super) fn kind_word(&self) -> Option<&'static str> {
        let asked = self.kind?;
        let mut kinds = KINDS.into_iter();
        kinds.find_map(|(word, _, kind)| (kind == asked).then_some(word))
    }

    fn path(&self) -> String {
        let before = self.before.map(|id| id.to_string());
        let asked = [
            ("kind", self.kind_word()),
            ("agent", self.agent.as_ref().map(AgentId::as_str)),
            ("state", self.state),
            ("before", before.as_deref()),
        ];
        let mut path = "/web/messages".to_owned();
        for (name, value) in asked {
            if let Some(value) = value {
                path.push(if path.contains('?') { '&' } else { '?' });
                path.push_str(name);
                path.push('=');
                path.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
            }
        }
        path
    }
}

/// What was done just now, by the word in the address.
const DONE: [(&str, &str); 7] = [
    ("retried", "The dead letter is tried again."),
    (
        "dropped",
        "The dead letter is dropped. The message stays in the book.",
    ),
    ("cancelled", "The turn is ended."),
    ("ended-before", "The turn had ended before."),
    ("started", "The agent takes turns."),
    ("stopped", "The agent takes no more turns."),
    ("resumed", "The agent takes turns again."),
];

/// Shows the page that the address names.
///
/// # Errors
/// 303 to the login, 403, 404 for what is not there, 503 where the store cannot be read.
pub(super) async fn show(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let visitor = gate::visitor(&request)?;
    let address = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let page = Page::parse(address).ok_or(PageError::unknown("There is no such page."))?;
    let look = Look::new(&state.shared, &page);
    let view = sections::view(&look).await?;
    let done = incoming::query(&request).remove("done");
    let done = done.and_then(|done| DONE.iter().find(|(word, _)| *word == done));
    let content: Markup = html! {
        @if let Some((_, text)) = done { p.done role="status" { (text) } }
        (view.content())
    };
    let whole = shell::whole(&page, &view.title, &content, &visitor);
    Ok(answer::page(
        StatusCode::OK,
        look.for_visitor(&whole, &visitor),
    ))
}
