//! Who may look, and who may act.

use actix_web::{HttpMessage, HttpRequest, dev::ServiceRequest, http::header};
use subtle::ConstantTimeEq;

use super::{answer::PageError, login};
use crate::{
    http::{
        SharedState,
        auth::{self, KeyPrint},
        error::ApiError,
    },
    settings::Role,
};

/// What was found out about whoever asks, before a handler is called.
#[derive(Debug, Clone)]
pub(in crate::http) enum Visit {
    /// May look and act.
    In(Visitor),
    /// Has to log in.
    Stranger,
    /// Is not let in.
    Refused(ApiError),
}

/// An operator who looks at the dashboard.
#[derive(Debug, Clone)]
pub(in crate::http) struct Visitor {
    /// What forms that act hold.
    pub(super) csrf: String,
    /// The name of the key; `None` where none is asked for.
    pub(super) name: Option<String>,
    /// Why it was let in.
    pub(super) pass: Pass,
}

/// Why a visitor was let in.
#[derive(Debug, Clone)]
pub(super) enum Pass {
    /// Nobody is asked for a key.
    Open,
    /// It shows a key with each request.
    Key(KeyPrint),
    /// It has logged in: its token.
    Session(String),
}

impl Visitor {
    /// Whether it would still be let in now.
    pub(super) fn may_stay(&self, shared: &SharedState) -> bool {
        let keys = shared.door.keys();
        match &self.pass {
            Pass::Open => keys.is_empty(),
            Pass::Key(print) => keys.holder(print).is_some_and(|it| it.may(Role::Operator)),
            Pass::Session(token) => {
                let sessions = &shared.dashboard.sessions;
                sessions.find(token, keys, shared.clock.now()).is_some()
            }
        }
    }
}

/// Whether a request is for the dashboard, and that is served.
pub(in crate::http) fn is_served_here(shared: &SharedState, request: &ServiceRequest) -> bool {
    // As the routes read it: `/%77eb` is the same.
    let path = request.match_info().as_str();
    shared.endpoints.dashboard && is_ours(path)
}

pub(super) fn is_ours(path: &str) -> bool {
    path == "/" || path == "/web" || path.starts_with("/web/")
}

/// Finds out who asks.
pub(in crate::http) async fn visit(shared: &SharedState, request: &ServiceRequest) -> Visit {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return by_key(shared, request).await;
    }
    let keys = shared.door.keys();
    if keys.is_empty() {
        return match shared.door.visitors().check(request.headers()) {
            Ok(()) => Visit::In(Visitor {
                csrf: shared.dashboard.csrf.clone(),
                name: None,
                pass: Pass::Open,
            }),
            Err(refused) => Visit::Refused(refused),
        };
    }
    let token = login::cookie(shared, request.request());
    let session = token.and_then(|token| {
        let sessions = &shared.dashboard.sessions;
        let session = sessions.find(token, keys, shared.clock.now())?;
        Some((token.to_owned(), session))
    });
    session.map_or(Visit::Stranger, |(token, session)| {
        Visit::In(Visitor {
            csrf: session.csrf.to_string(),
            name: session.caller.name().map(ToString::to_string),
            pass: Pass::Session(token),
        })
    })
}

/// Whoever shows a key as programs do.
async fn by_key(shared: &SharedState, request: &ServiceRequest) -> Visit {
    match shared.door.let_in(request).await {
        Ok(caller) if caller.may(Role::Operator) => Visit::In(Visitor {
            csrf: shared.dashboard.csrf.clone(),
            name: caller.name().map(ToString::to_string),
            pass: match auth::bearer(request) {
                Some(key) if !shared.door.keys().is_empty() => Pass::Key(KeyPrint::of(key)),
                _ => Pass::Open,
            },
        }),
        Ok(_other) => Visit::Refused(ApiError::forbidden(Role::Operator.name())),
        Err(refused) => Visit::Refused(refused),
    }
}

/// Whoever asks for a page.
///
/// # Errors
/// 303 to the login, 401 and 429 for wrong keys, 403 for keys that are no operator's.
pub(super) fn visitor(request: &HttpRequest) -> Result<Visitor, PageError> {
    match request.extensions().get::<Visit>() {
        Some(Visit::In(visitor)) => Ok(visitor.clone()),
        Some(Visit::Refused(refused)) => Err(PageError::from(refused.clone())),
        Some(Visit::Stranger) | None => {
            let path = request.uri().path_and_query();
            let path = path.map_or("/", |path| path.as_str());
            Err(PageError::LogIn(path.to_owned()))
        }
    }
}

/// Whoever wants to do something: never sent to the login, since a form cannot be sent again from
/// there.
///
/// # Errors
/// 403, and those of [`visitor`].
pub(super) fn actor(request: &HttpRequest) -> Result<Visitor, PageError> {
    refuse_foreign_pages(request)?;
    visitor(request).map_err(|refused| match refused {
        PageError::LogIn(_) => PageError::forbidden("You are not logged in (any more)."),
        refused @ PageError::Refused { .. } => refused,
    })
}

/// Browsers say which pages they send forms for; what is no browser says nothing.
///
/// # Errors
/// 403 for a page that is not ours.
pub(super) fn refuse_foreign_pages(request: &HttpRequest) -> Result<(), PageError> {
    let site = request.headers().get("sec-fetch-site");
    let is_own = |site: &header::HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    if site.is_none_or(is_own) {
        Ok(())
    } else {
        Err(PageError::forbidden("Another web page sent this form."))
    }
}

/// Refuses a form that one of our own pages did not make for this visitor.
///
/// # Errors
/// 403.
pub(super) fn check_token(visitor: &Visitor, shown: Option<&String>) -> Result<(), PageError> {
    let shown = shown.map(String::as_bytes).unwrap_or_default();
    if bool::from(visitor.csrf.as_bytes().ct_eq(shown)) {
        Ok(())
    } else {
        let why = "The form is out of date. Go back, reload the page and try again.";
        Err(PageError::forbidden(why))
    }
}
