//! One exchange: up with the client's request, down with the answer as it comes.

use std::{
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodyStream, SizedStream},
    http::StatusCode,
    web::Payload,
};
use bytes::Bytes;
use futures_util::Stream;
use postroom_actors::ports::{
    Credential, UpstreamBody, UpstreamError, UpstreamTimeouts,
    passing::{PassOn, PassedRequest, PassedResponse},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{headers, upload};
use crate::{
    forwarding::join_url,
    http::{body::BodyLimits, error::ApiError},
    settings::bridge::PassingTimeouts,
};

/// The longest that any exchange may take; streams of a day are no streams any more.
const WHOLE: Duration = Duration::from_hours(24);

/// What bounds a request that is passed on.
pub type PassingLimits = BodyLimits;

/// A way up: who is asked, and how it is shown who asks.
#[derive(Debug, Clone)]
pub struct Route {
    /// How messages call the other side, such as `the remote proxy`.
    pub whose: &'static str,
    /// Its base URL, with or without `/v1`.
    pub base_url: Arc<str>,
    /// What it is shown.
    pub credential: Credential,
    /// Bounds in time.
    pub timeouts: UpstreamTimeouts,
    /// Bounds of bodies that go up.
    pub limits: PassingLimits,
}

impl Route {
    /// A way up with the bounds of the configuration.
    pub fn new(
        whose: &'static str,
        base_url: &str,
        credential: Credential,
        timeouts: PassingTimeouts,
        limits: PassingLimits,
    ) -> Self {
        Self {
            whose,
            base_url: base_url.into(),
            credential,
            timeouts: UpstreamTimeouts {
                connect: timeouts.connect,
                first_byte: timeouts.first_byte,
                idle: timeouts.idle,
                whole: WHOLE,
            },
            limits,
        }
    }

    /// Sends a request up; resolves with the head of its answer.
    ///
    /// # Errors
    /// 501 for what is no plain HTTP; 400, 408 and 413 for the client's body; 502 and 504 where
    /// the other side gives no answer.
    pub(super) async fn ask(
        &self,
        upstream: &Rc<dyn PassOn>,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<PassedResponse, ApiError> {
        if headers::wants_upgrade(request.headers()) || is_for_proxies(request.method().as_str()) {
            return Err(ApiError::no_upgrade());
        }
        let (body, faults) = upload::take(request, payload, self.limits).await?;
        let passed = PassedRequest {
            method: request.method().as_str().to_owned(),
            url: self.url(request),
            credential: self.credential.clone(),
            headers: headers::upwards(request.headers()),
            body,
            timeouts: self.timeouts,
        };
        let answered = upstream.pass_on(passed).await.and_then(no_upgrade);
        answered.map_err(|error| {
            faults
                .error(self.limits)
                .unwrap_or_else(|| self.failed(request.path(), &error))
        })
    }

    fn url(&self, request: &HttpRequest) -> String {
        let uri = request.uri();
        let path = uri
            .path_and_query()
            .map_or_else(|| uri.path(), |path| path.as_str());
        join_url(&self.base_url, path)
    }

    fn failed(&self, path: &str, error: &UpstreamError) -> ApiError {
        tracing::warn!(path, url = %self.base_url, %error, "request not passed on");
        ApiError::upstream_failed(self.whose, &self.base_url, error)
    }
}

/// `CONNECT` makes tunnels, `TRACE` shows a client what was added to its request.
fn is_for_proxies(method: &str) -> bool {
    matches!(method, "CONNECT" | "TRACE")
}

fn no_upgrade(response: PassedResponse) -> Result<PassedResponse, UpstreamError> {
    if response.status < 200 {
        let text = format!("an answer with status {}", response.status);
        return Err(UpstreamError::Broken(text.into()));
    }
    Ok(response)
}

/// The answer for the client. `permit` is held until its last byte.
pub(super) fn answer(
    response: PassedResponse,
    permit: Option<OwnedSemaphorePermit>,
) -> HttpResponse {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let length = headers::length(&response.headers);
    let mut answer = HttpResponse::build(status);
    for header in headers::downwards(response.headers) {
        answer.append_header(header);
    }
    let body = Passing {
        body: response.body,
        _permit: permit,
    };
    match length {
        Some(length) => answer.body(SizedStream::new(length, body)),
        None => answer.body(BodyStream::new(body)),
    }
}

/// A body on its way down. Dropping it ends the exchange.
struct Passing {
    body: UpstreamBody,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Stream for Passing {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = self.body.as_mut().poll_next(context);
        if let Poll::Ready(Some(Err(error))) = &piece {
            tracing::warn!(%error, "an answer broke off");
        }
        piece
    }
}
