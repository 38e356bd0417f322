//! A panic in a handler is a 500 with a body, and counted; actix-web alone would just hang up.

use std::panic::AssertUnwindSafe;

use actix_web::{
    Error, ResponseError,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use futures_util::FutureExt;

use super::error::ApiError;

/// Catches panics of whatever comes after it.
///
/// # Errors
/// Those of the handler.
pub async fn catch<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let http_request = request.request().clone();
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(answered) => answered.map(ServiceResponse::map_into_left_body),
        Err(_) => {
            metrics::counter!("postroom_http_panics_total").increment(1);
            tracing::error!(path = http_request.path(), "a handler panicked");
            let response = ApiError::internal().error_response();
            Ok(ServiceResponse::new(http_request, response).map_into_right_body())
        }
    }
}
