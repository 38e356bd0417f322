//! The local side: any client of this machine, passed on with the token of the remote side.

use std::{rc::Rc, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::Method, web};
use percent_encoding::percent_decode_str;
use postroom_actors::ports::passing::{PassOn, PassedResponse};
use serde_json::{Value, json};

use super::{
    door::TokenDoor,
    paths,
    probe::Prober,
    remote_health::BridgeHealth,
    route::{self, Route},
    visitors::Visitors,
};
use crate::{
    http::{body::cut_upload, error::ApiError},
    settings::bridge::BridgeModel,
};

/// What all workers share.
pub struct Shared {
    /// The way to the remote side.
    pub route: Route,
    /// Who may ask.
    pub visitors: Visitors,
    /// What clients must show; an open door as a rule.
    pub door: TokenDoor,
    /// What is offered where the remote side has no list.
    pub models: Vec<BridgeModel>,
}

/// What one worker has.
pub struct Bridge {
    /// What all of them share.
    pub shared: Arc<Shared>,
    /// The worker's own way out.
    pub upstream: Rc<dyn PassOn>,
}

/// Takes every request.
///
/// # Errors
/// Those of a visitor who is not let in, of a path that is not passed on, and of the way up.
pub async fn take(
    bridge: web::Data<Bridge>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let shared = &bridge.shared;
    let path = request.uri().path();
    if let Err(refused) = shared.visitors.check(request.headers()) {
        cut_upload(request.headers(), payload);
        return Err(refused);
    }
    if path == "/health" {
        return bridge.health(&request).await;
    }
    let let_in = if paths::is_passed_on(path) {
        shared.door.check(&request).await
    } else {
        Err(ApiError::not_passed_on(path))
    };
    if let Err(refused) = let_in {
        cut_upload(request.headers(), payload);
        return Err(refused);
    }
    let response = shared
        .route
        .ask(&bridge.upstream, &request, payload)
        .await?;
    match shared.configured(&request, &response) {
        Some(configured) => Ok(HttpResponse::Ok().json(configured)),
        None => Ok(route::answer(response, None)),
    }
}

impl Bridge {
    async fn health(&self, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
        if request.method() != Method::GET {
            return Err(ApiError::method_not_allowed("GET"));
        }
        let url = &self.shared.route.base_url;
        let asked = Prober::new(Rc::clone(&self.upstream)).health(url).await;
        Ok(HttpResponse::Ok().json(BridgeHealth::new(url, asked)))
    }
}

impl Shared {
    /// The models of the configuration, where they are asked for and the remote side knows none.
    fn configured(&self, request: &HttpRequest, response: &PassedResponse) -> Option<Value> {
        if request.method() != Method::GET || !matches!(response.status, 404 | 405 | 501) {
            return None;
        }
        let rest = request.uri().path().strip_prefix("/v1/models")?;
        if rest.trim_end_matches('/').is_empty() {
            let data: Vec<_> = self.models.iter().map(model).collect();
            return Some(json!({"object": "list", "data": data}));
        }
        let id = percent_decode_str(rest.strip_prefix('/')?).decode_utf8_lossy();
        self.models.iter().find(|model| model.id == id).map(model)
    }
}

fn model(model: &BridgeModel) -> Value {
    json!({
        "id": model.id, "object": "model", "created": 0, "owned_by": "proxy-bridge", "name": model.name,
    })
}
