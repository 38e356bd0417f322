//! `GET /messages`: the newest messages.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use postroom_actors::domain::{
    ids::{AgentId, MessageId},
    party::{Party, PeerName},
    post::{Direction, MessageFilter},
};
use serde::Serialize;

use super::{access::Reader, view::SummaryView};
use crate::http::{AppState, SharedState, auth, error::ApiError, incoming};

/// Messages in a list where nothing is said.
const DEFAULT_LIMIT: usize = 20;

/// Messages in a list at most.
const MAX_LIMIT: usize = 200;

/// The words for where a message stands.
pub(in crate::http) const STATES: [&str; 12] = [
    "queued",
    "running",
    "answered",
    "done",
    "failed",
    "cancelled",
    "expired",
    "waiting",
    "delivered",
    "held",
    "dead",
    "dropped",
];

/// One page of messages.
#[derive(Debug, Serialize)]
pub(in crate::http) struct Page {
    /// Newest first.
    pub(in crate::http) messages: Vec<SummaryView>,
    /// Whether there are older ones.
    pub(in crate::http) has_more: bool,
}

/// The caller's messages, newest first: those that it sent and those that were sent to it. Of
/// operators: all.
///
/// # Errors
/// 400 for a query that cannot be understood, 401, 403 for what operators alone may ask.
#[utoipa::path(get, path = "/messages",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200; default 20"),
        ("before" = Option<String>, Query, description = "older than this message"),
        ("direction" = Option<String>, Query, description = "`in` or `out`"),
        ("state" = Option<String>, Query),
        ("context_id" = Option<String>, Query),
        ("agent" = Option<String>, Query, description = "for operators"),
        ("peer" = Option<String>, Query, description = "for operators"),
        ("all" = Option<bool>, Query, description = "chats and responses too; for operators")),
    responses(
        (status = 200, description = "`{\"messages\": […], \"has_more\": …}`"),
        (status = 400, body = crate::http::error::ErrorBody),
        (status = 401, body = crate::http::error::ErrorBody),
        (status = 403, body = crate::http::error::ErrorBody)))]
pub async fn list(
    state: web::Data<AppState>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let caller = auth::correspondent(&request)?;
    let filter = filter(&incoming::query(&request), &Reader::from(&caller))?;
    Ok(HttpResponse::Ok().json(page(&state.shared, filter).await?))
}

/// The messages that a filter lets through.
///
/// # Errors
/// 503 where the store cannot be read.
pub(in crate::http) async fn page(
    shared: &SharedState,
    filter: MessageFilter,
) -> Result<Page, ApiError> {
    let limit = filter.limit;
    let one_more = MessageFilter {
        limit: limit.saturating_add(1),
        ..filter
    };
    let mut messages = shared.book.messages(one_more).await?;
    let has_more = messages.len() > limit;
    messages.truncate(limit);
    Ok(Page {
        messages: messages.into_iter().map(SummaryView::from).collect(),
        has_more,
    })
}

/// What a query asks for, as far as the reader may.
///
/// # Errors
/// 400 naming the parameter, 403 for what operators alone may ask.
pub(in crate::http) fn filter(
    query: &HashMap<String, String>,
    reader: &Reader,
) -> Result<MessageFilter, ApiError> {
    let named = party(query)?;
    let all_origins = flag(query, "all")?;
    let party = if reader.is_operator {
        named
    } else {
        let is_of_others = named.is_some_and(|named| named != reader.party);
        if is_of_others || all_origins {
            return Err(ApiError::forbidden("operator"));
        }
        Some(reader.party.clone())
    };
    Ok(MessageFilter {
        party,
        direction: direction(query)?,
        state: state(query)?,
        context_id: query.get("context_id").cloned(),
        all_origins,
        before: before(query)?,
        limit: limit(query)?,
        ..MessageFilter::default()
    })
}

fn limit(query: &HashMap<String, String>) -> Result<usize, ApiError> {
    query
        .get("limit")
        .map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok())
        .filter(|limit| (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| {
            let message = format!("`limit` is a number from 1 to {MAX_LIMIT}");
            ApiError::bad_request(message, Some("limit"))
        })
}

fn before(query: &HashMap<String, String>) -> Result<Option<MessageId>, ApiError> {
    read(query, "before", "the id of a message", MessageId::parse)
}

fn direction(query: &HashMap<String, String>) -> Result<Option<Direction>, ApiError> {
    read(query, "direction", "`in` or `out`", |text| match text {
        "in" => Some(Direction::In),
        "out" => Some(Direction::Out),
        _ => None,
    })
}

fn state(query: &HashMap<String, String>) -> Result<Option<String>, ApiError> {
    let expected = format!("one of `{}`", STATES.join("`, `"));
    read(query, "state", &expected, |text| {
        STATES.contains(&text).then(|| text.to_owned())
    })
}

fn flag(query: &HashMap<String, String>, name: &'static str) -> Result<bool, ApiError> {
    let flag = read(query, name, "`true` or `false`", |text| text.parse().ok())?;
    Ok(flag.unwrap_or(false))
}

fn party(query: &HashMap<String, String>) -> Result<Option<Party>, ApiError> {
    let agent = read(query, "agent", "the name of an agent", |name| {
        AgentId::parse(name).ok().map(Party::Agent)
    })?;
    let peer = read(query, "peer", "the name of a peer", |name| {
        PeerName::parse(name).ok().map(Party::Peer)
    })?;
    if agent.is_some() && peer.is_some() {
        let message = "`agent` and `peer` cannot be combined; name one of them";
        return Err(ApiError::bad_request(message, Some("peer")));
    }
    Ok(agent.or(peer))
}

fn read<T>(
    query: &HashMap<String, String>,
    name: &'static str,
    expected: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let Some(text) = query.get(name) else {
        return Ok(None);
    };
    match read(text) {
        Some(value) => Ok(Some(value)),
        None => Err(ApiError::bad_request(
            format!("`{name}` is {expected}"),
            Some(name),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{auth::Caller, messages::access::Reader};

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn agent() -> Reader {
        let turn = postroom_actors::domain::ids::TurnId::new(uuid::Uuid::from_u128(1));
        Reader::from(&Caller::of_turn(AgentId::parse("alice").unwrap(), turn))
    }

    fn operator() -> Reader {
        Reader::from(&Caller::anyone())
    }

    fn read(reader: &Reader, query: &[(&str, &str)]) -> Result<MessageFilter, ApiError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        filter(&query.iter().map(owned).collect(), reader)
    }

    #[test]
    fn others_than_operators_see_their_own_alone() {
        let alice = Party::parse("agent:alice");
        assert_eq!(read(&agent(), &[]).unwrap().party, alice);
        let own = read(&agent(), &[("agent", "alice")]).unwrap();
        assert_eq!(own.party, alice);
        for (name, value) in [("agent", "bob"), ("peer", "alice"), ("all", "true")] {
            let refused = read(&agent(), &[(name, value)]).unwrap_err();
            assert_eq!(refused, ApiError::forbidden("operator"), "{name}");
        }
        assert_eq!(read(&operator(), &[]).unwrap().party, None);
        let bobs = read(&operator(), &[("peer", "bob"), ("all", "true")]).unwrap();
        assert_eq!(bobs.party, Party::parse("peer:bob"));
        assert!(bobs.all_origins);
    }

    #[test]
    fn every_parameter_is_read() {
        let filter = read(
            &operator(),
            &[
                ("limit", "200"),
                ("before", ID),
                ("direction", "out"),
                ("state", "dead"),
                ("context_id", "issue/7"),
                ("agent", "alice"),
            ],
        );
        let expected = MessageFilter {
            party: Party::parse("agent:alice"),
            direction: Some(Direction::Out),
            state: Some("dead".to_owned()),
            context_id: Some("issue/7".to_owned()),
            before: MessageId::parse(ID),
            limit: 200,
            ..MessageFilter::default()
        };
        assert_eq!(filter.unwrap(), expected);
        assert_eq!(read(&operator(), &[]).unwrap().limit, 20);
    }

    #[test]
    fn a_parameter_that_is_not_understood_is_refused_by_name() {
        for (name, value) in [
            ("limit", "0"),
            ("limit", "201"),
            ("before", "yesterday"),
            ("direction", "up"),
            ("state", "lost"),
            ("agent", "../x"),
            ("peer", ""),
            ("all", "1"),
        ] {
            let error = read(&operator(), &[(name, value)]).unwrap_err();
            assert_eq!(error.body().error.param.as_deref(), Some(name));
        }
        let both = [("agent", "alice"), ("peer", "bob")];
        assert!(read(&operator(), &both).is_err());
    }
}
