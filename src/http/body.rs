//! Reads request bodies, bounded in size and in time. actix-web bounds neither as we need it.

use std::time::Duration;

use actix_web::{
    HttpRequest,
    http::header::{self, HeaderMap},
    web::Payload,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;

use super::error::ApiError;

/// How large and how slow a body may be.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Largest body, in bytes.
    pub size: u64,
    /// The setting that says so, for whoever comes over it.
    pub setting: &'static str,
    /// Longest time without progress.
    pub idle: Duration,
}

/// Longest time for a whole body, whatever its progress.
const WHOLE_BODY: Duration = Duration::from_mins(5);

/// Largest buffer that is reserved on the word of a `Content-Length` alone, in bytes.
const LARGEST_RESERVATION: usize = 256 << 10;

/// How long the rest of a refused body is left in the connection; by then it is closed.
const HELD: Duration = Duration::from_secs(3);

/// Cuts the upload of a body that nobody reads.
///
/// actix-web reads a chunked body that was dropped to its end, however far that is. One that is
/// still held when the answer goes out makes it close the connection instead.
pub fn cut_upload(headers: &HeaderMap, payload: impl Sized + 'static) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        actix_web::rt::spawn(async move {
            tokio::time::sleep(HELD).await;
            drop(payload);
        });
    }
}

/// Reads the whole body. What is refused is not read any further.
///
/// # Errors
/// 413 over the limit, before anything is read where `Content-Length` says so; 408 where it stops
/// coming in; 415 where it is compressed; 400 where it breaks off.
pub async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    limits: BodyLimits,
) -> Result<Bytes, ApiError> {
    let body = read_within(request, &mut payload, limits).await;
    if body.is_err() {
        cut_upload(request.headers(), payload);
    }
    body
}

/// Reads a body of our own surface as JSON.
///
/// # Errors
/// 400 where it is no JSON, or not of this form.
pub fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| {
        ApiError::bad_request(format!("the body is not understood: {error}"), None)
    })
}

async fn read_within(
    request: &HttpRequest,
    payload: &mut Payload,
    limits: BodyLimits,
) -> Result<Bytes, ApiError> {
    refuse_encoded(request)?;
    let announced = announced_length(request);
    if announced.is_some_and(|length| length > limits.size) {
        return Err(ApiError::body_too_large(limits.size, limits.setting));
    }
    let announced = announced
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    tokio::time::timeout(WHOLE_BODY, collect(payload, announced, limits))
        .await
        .unwrap_or_else(|_| Err(ApiError::body_stalled()))
}

async fn collect(
    payload: &mut Payload,
    announced: usize,
    limits: BodyLimits,
) -> Result<Bytes, ApiError> {
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let chunk = tokio::time::timeout(limits.idle, payload.next())
            .await
            .map_err(|_elapsed| ApiError::body_stalled())?;
        let Some(chunk) = chunk else {
            break;
        };
        let chunk = chunk.map_err(|_broken| ApiError::body_broken())?;
        let so_far = first.as_ref().map_or(rest.len(), Bytes::len) + chunk.len();
        if u64::try_from(so_far).is_ok_and(|size| size > limits.size) {
            return Err(ApiError::body_too_large(limits.size, limits.setting));
        }
        // A body of one chunk, the usual case, is not copied.
        match first.take() {
            None if rest.is_empty() => first = Some(chunk),
            None => rest.extend_from_slice(&chunk),
            Some(begin) => {
                rest.reserve(announced.min(LARGEST_RESERVATION).max(so_far));
                rest.extend_from_slice(&begin);
                rest.extend_from_slice(&chunk);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

fn refuse_encoded(request: &HttpRequest) -> Result<(), ApiError> {
    match request.headers().get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => Err(ApiError::body_encoded()),
        _ => Ok(()),
    }
}

fn announced_length(request: &HttpRequest) -> Option<u64> {
    request
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
