//! What browsers ask before a web page may talk to us, and what lets it read our answers.
//!
//! Only pages that [`Visitors`](super::visitors::Visitors) trusts get such an answer. Programs that
//! are no browsers send no `Origin` and see nothing of this.

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web,
};

use super::{SharedState, body, dashboard, error::ApiError};

/// For how long a browser may remember what a page may do, in seconds.
const REMEMBERED_S: &str = "600";

/// The verbs that we know.
const VERBS: &str = "GET, POST, DELETE, OPTIONS";

/// What a page may read besides the headers that it always may.
const READABLE: &str = "Retry-After, X-Request-Id, WWW-Authenticate";

const PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// Answers a browser that asks beforehand, and marks answers for pages that may read them.
///
/// # Errors
/// 403 where a page that may not ask has its browser ask beforehand; those of what comes after it.
pub async fn answer<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let asks_beforehand = is_preflight(&request);
    let page = trusted_page(&request);
    let Some(page) = page else {
        if asks_beforehand {
            let payload = request.take_payload();
            body::cut_upload(request.headers(), payload);
            return Err(refusal(&request).into());
        }
        return Ok(next.call(request).await?.map_into_left_body());
    };
    if asks_beforehand {
        let response = allowed(request.headers(), page);
        return Ok(request.into_response(response).map_into_right_body());
    }
    match next.call(request).await {
        Ok(mut response) => {
            mark(response.headers_mut(), page);
            Ok(response.map_into_left_body())
        }
        Err(error) => {
            let mut response = error.error_response();
            mark(response.headers_mut(), page);
            Err(InternalError::from_response(error, response).into())
        }
    }
}

fn is_preflight(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn trusted_page(request: &ServiceRequest) -> Option<HeaderValue> {
    let state = request.app_data::<web::Data<SharedState>>()?;
    if dashboard::is_served_here(state, request) {
        // Its pages are for people: no other page reads them.
        return None;
    }
    let page = state.door.visitors().page(request.headers())?;
    HeaderValue::from_str(page).ok()
}

fn refusal(request: &ServiceRequest) -> ApiError {
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin.and_then(|origin| origin.to_str().ok());
    ApiError::foreign_origin(origin.unwrap_or_default(), "server")
}

/// Whatever headers the page wants to send are fine: it is trusted.
fn allowed(asked: &HeaderMap, page: HeaderValue) -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    let headers = response.headers_mut();
    mark(headers, page);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(VERBS),
    );
    if let Some(wanted) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static(REMEMBERED_S),
    );
    if asked.contains_key(PRIVATE_NETWORK) {
        headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
    }
    response
}

fn mark(headers: &mut HeaderMap, page: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(READABLE),
    );
}
