//! A panic in a handler is a 500 with a body, and counted; actix-web alone would just hang up.

use std::panic::AssertUnwindSafe;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
};
use futures_util::FutureExt;

use super::{error::ApiError, metrics::PANICS};

/// Catches panics of whatever comes after it.
///
/// # Errors
/// Those of the handler, and 500 for a panic.
pub async fn catch<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    AssertUnwindSafe(next.call(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_panic| {
            metrics::counter!(PANICS).increment(1);
            tracing::error!("a handler panicked");
            Err(ApiError::internal().into())
        })
}
