//! Login and logout.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::{self, Payload},
};
use maud::{Markup, html};

use super::{
    answer::{self, PageError},
    form,
    gate::{self, Pass},
    sessions::LASTS,
    shell,
};
use crate::{
    http::{AppState, SharedState, auth::Caller, error::ApiError, incoming},
    settings::Role,
};

/// The cookie's name. By TLS it has the prefix that keeps it from being set by others.
const COOKIE: &str = "postroom_session";
const COOKIE_BY_TLS: &str = "__Host-postroom_session";

/// The form that asks for a key.
///
/// # Errors
/// None: whoever is in already is sent on.
pub(super) async fn show(state: web::Data<AppState>, request: HttpRequest) -> HttpResponse {
    let query = incoming::query(&request);
    let next = form::next(query.get("next"));
    let is_in = gate::visitor(&request).is_ok();
    if is_in || state.shared.door.keys().is_empty() {
        return answer::see_other(&next);
    }
    answer::page(StatusCode::OK, login_page(&next, None))
}

/// Takes a key and begins a session.
///
/// # Errors
/// 401 for a wrong key and 429 for too many, 403 for one that is no operator's.
pub(super) async fn enter(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, PageError> {
    gate::refuse_foreign_pages(&request)?;
    let shared = &state.shared;
    let fields = form::read(shared, &request, payload).await?;
    let next = form::next(fields.get("next"));
    if shared.door.keys().is_empty() {
        return Ok(answer::see_other(&next));
    }
    let key = fields.get("key").map_or("", |key| key.trim());
    if key.is_empty() {
        let form = login_page(&next, Some("Please enter a key."));
        return Ok(answer::page(StatusCode::BAD_REQUEST, form));
    }
    match shared.door.log_in(key, &request).await {
        Ok(caller) if caller.may(Role::Operator) => {
            Ok(let_in(shared, &request, caller, key, &next))
        }
        Ok(_other) => Err(ApiError::forbidden(Role::Operator.name()).into()),
        Err(refused) => Ok(refusal(&refused, &next)),
    }
}

fn let_in(
    shared: &SharedState,
    request: &HttpRequest,
    caller: Caller,
    key: &str,
    next: &str,
) -> HttpResponse {
    let now = shared.clock.now();
    tracing::info!(key = caller.name().map(AsRef::as_ref), "dashboard login");
    let token = shared.dashboard.sessions.begin(caller, key, now);
    let lasts = LASTS.num_seconds();
    answer::see_other_with_cookie(next, &set_cookie(shared, request, &token, lasts))
}

fn refusal(refused: &ApiError, next: &str) -> HttpResponse {
    let status = actix_web::ResponseError::status_code(refused);
    let why = if status == StatusCode::UNAUTHORIZED {
        "This key is not known here.".to_owned()
    } else {
        refused.to_string()
    };
    let mut response = answer::page(status, login_page(next, Some(&why)));
    answer::add_retry_after(&mut response, refused);
    response
}

/// Ends the session.
///
/// # Errors
/// 403 without a session, or without its token.
pub(super) async fn leave(
    state: web::Data<AppState>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, PageError> {
    let visitor = gate::actor(&request)?;
    let shared = &state.shared;
    let fields = form::read(shared, &request, payload).await?;
    gate::check_token(&visitor, fields.get("csrf"))?;
    if let Pass::Session(token) = &visitor.pass {
        shared.dashboard.sessions.end(token);
    }
    let gone = set_cookie(shared, &request, "", 0);
    Ok(answer::see_other_with_cookie("/web/login", &gone))
}

fn is_by_tls(shared: &SharedState, request: &HttpRequest) -> bool {
    shared.endpoint.starts_with("https://") || shared.door.came_by_tls(request)
}

fn set_cookie(shared: &SharedState, request: &HttpRequest, token: &str, lasts_s: i64) -> String {
    let flags = format!("Path=/; Max-Age={lasts_s}; HttpOnly; SameSite=Strict");
    if is_by_tls(shared, request) {
        format!("{COOKIE_BY_TLS}={token}; {flags}; Secure")
    } else {
        format!("{COOKIE}={token}; {flags}")
    }
}

/// The token that the browser has kept.
pub(super) fn cookie<'a>(shared: &SharedState, request: &'a HttpRequest) -> Option<&'a str> {
    let name = if is_by_tls(shared, request) {
        COOKIE_BY_TLS
    } else {
        COOKIE
    };
    let cookies = request.headers().get_all(header::COOKIE);
    let mut pairs = cookies
        .filter_map(|cookies| cookies.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

fn login_page(next: &str, trouble: Option<&str>) -> String {
    let form: Markup = html! {
        main.alone #main {
            form #login .card method="post" action="/web/login" {
                h1 { "Postroom" }
                p { "Log in with an operator key." }
                @if let Some(trouble) = trouble {
                    p.trouble role="alert" { (trouble) }
                }
                input type="hidden" name="next" value=(next);
                label for="key" { "Key" }
                input #key type="password" name="key" required autocomplete="current-password"
                    autofocus spellcheck="false";
                button.main type="submit" data-action="login" { "Log in" }
                p.quiet {
                    "It is one of " code { "server.key" } ", " code { "[keys.…]" } " with the role "
                    code { "operator" } ", or one that " code { "postroom keys add NAME --role operator" }
                    " has made."
                }
            }
        }
    };
    shell::bare("Log in", &form)
}
