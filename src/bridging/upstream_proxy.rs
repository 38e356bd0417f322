//! The remote side: whoever shows the token, passed on with the key of the API.

use std::{rc::Rc, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use postroom_actors::ports::passing::PassOn;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    door::TokenDoor,
    paths,
    route::{self, Route},
    service,
    visitors::Visitors,
};
use crate::http::{body::cut_upload, error::ApiError};

/// What all workers share.
pub struct Shared {
    /// The way to the API.
    pub route: Route,
    /// What clients must show.
    pub door: TokenDoor,
    /// Who may ask where no token is asked for.
    pub visitors: Visitors,
    /// Requests of the token at once.
    pub in_flight: Arc<Semaphore>,
}

/// What one worker has.
pub struct UpstreamProxy {
    /// What all of them share.
    pub shared: Arc<Shared>,
    /// The worker's own way out.
    pub upstream: Rc<dyn PassOn>,
}

/// Takes every request.
///
/// # Errors
/// 401 and 429 for tokens, 503 beyond the limit of requests at once, and those of the way up.
pub async fn take(
    proxy: web::Data<UpstreamProxy>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let path = request.uri().path();
    if path == "/health" {
        return health(&request);
    }
    match proxy.shared.let_in(&request).await {
        Ok(permit) => {
            let route = &proxy.shared.route;
            let response = route.ask(&proxy.upstream, &request, payload).await?;
            Ok(route::answer(response, Some(permit)))
        }
        Err(refused) => {
            cut_upload(request.headers(), payload);
            Err(refused)
        }
    }
}

fn health(request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    if request.method() != Method::GET {
        return Err(ApiError::method_not_allowed("GET"));
    }
    let body = json!({
        "ok": true, "service": service::UPSTREAM_PROXY, "version": env!("CARGO_PKG_VERSION"),
    });
    Ok(HttpResponse::Ok().json(body))
}

impl Shared {
    async fn let_in(&self, request: &HttpRequest) -> Result<OwnedSemaphorePermit, ApiError> {
        if self.door.is_open() {
            self.visitors.check(request.headers())?;
        }
        self.door.check(request).await?;
        let path = request.uri().path();
        if !paths::is_passed_on(path) {
            return Err(ApiError::not_passed_on(path));
        }
        let permit = Arc::clone(&self.in_flight).try_acquire_owned();
        permit.map_err(|_full| ApiError::too_many_at_once())
    }
}
