//! What a browser sends with a form.

use std::collections::HashMap;

use actix_web::{HttpRequest, web::Payload};

use super::{answer::PageError, page::Page};
use crate::http::{
    SharedState,
    body::{self, BodyLimits},
    incoming,
};

/// The largest form, in bytes.
const LARGEST: u64 = 16 << 10;

/// The fields of a form; of one that is there twice, the last.
pub(super) type Fields = HashMap<String, String>;

/// Reads a form.
///
/// # Errors
/// 400, 408 and 413 as elsewhere.
pub(super) async fn read(
    shared: &SharedState,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Fields, PageError> {
    let limits = BodyLimits {
        size: LARGEST,
        setting: "forms",
        idle: shared.body_limits.idle,
    };
    let body = body::read(request, payload, limits).await?;
    let text = std::str::from_utf8(&body).unwrap_or_default();
    Ok(incoming::parameters(text))
}

/// Where to go afterwards: a page of ours, or the overview.
pub(super) fn next(wanted: Option<&String>) -> String {
    let page = wanted.and_then(|wanted| Page::parse(wanted));
    page.unwrap_or(Page::Overview).path()
}
